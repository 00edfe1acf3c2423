#!/usr/bin/env bash
# The peers of the benchmarks: Debian packages, and Python packages in a
# virtual environment. install.sh DIR
set -euo pipefail
dir=$1
packages=()
for need in wrk:wrk parallel:parallel curl:curl jq:jq python3:python3; do
  command -v "${need%%:*}" > /dev/null || packages+=("${need##*:}")
done
python3 -c 'import ensurepip, venv' 2> /dev/null || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "the benchmarks compare with other programs, of which these are missing: ${packages[*]}. Install them, or run this as root on Debian." >&2
    exit 1
  fi
  echo "installing ${packages[*]} (apt-get)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
fi
# Made anew when other versions are asked for, and after an installation that was cut short.
wanted=$(dirname "${BASH_SOURCE[0]}")/requirements.txt
if ! cmp -s "$wanted" "$dir/venv/installed.txt"; then
  echo "installing $(tr '\n' ' ' < "$wanted")(pip)"
  python3 -m venv --clear "$dir/venv"
  "$dir/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  cp "$wanted" "$dir/venv/installed.txt"
fi
