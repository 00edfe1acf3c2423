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
if [ ! -e "$dir/venv/ready" ]; then
  echo "installing aiohttp, scikit-learn and SQLAlchemy (pip)"
  python3 -m venv "$dir/venv"
  "$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
    aiohttp==3.14.5 uvloop==0.23.0 orjson==3.13.0 scikit-learn==1.9.1 SQLAlchemy==2.1.9 requests==2.34.2 PyMySQL==1.2.4 psycopg2-binary==2.9.13
  touch "$dir/venv/ready"
fi
