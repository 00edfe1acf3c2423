#!/usr/bin/env bash
# make demo and make demo-destroy: the quickstart with a real Terraform, a real
# runner and a real prediction server, and nothing written outside build/.
set -euo pipefail

TF=${TF:-terraform}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "$here/../.." && pwd)/build
demo=$build/demo

if ! command -v "$TF" >/dev/null; then
  echo "$TF is not on the PATH: install Terraform 1.11 or later, or say TF=tofu" >&2
  exit 1
fi

# The configuration is applied from a copy, so that its state lies in build/ too.
# dev_overrides take the provider from there: no init, no lock file.
mkdir -p "$demo"
cp "$here/main.tf" "$here/iris.csv" "$demo/"
cat > "$demo/cli.tfrc" <<RC
provider_installation {
  dev_overrides {
    "batchpattern/batch" = "$build"
  }
  direct {}
}
RC
export TF_CLI_CONFIG_FILE=$demo/cli.tfrc TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
export BATCH_ALLOW_EPHEMERAL_HOST=1 # a demo may run in CI or a container

terraform_() {
  local command=$1
  shift
  [ -t 1 ] || set -- "$@" -no-color
  # The warning about dev_overrides is true and of no use here: compact.
  "$TF" "-chdir=$demo" "$command" -auto-approve -input=false -compact-warnings "$@"
}

case ${1:?apply or destroy} in
apply)
  terraform_ apply
  runner=$build/batch-runner
  export BATCH_ENDPOINT=unix://$demo/runner/runner.sock
  echo
  "$runner" status iris-nightly
  latest=$(sed -n 's/.*"folder": *"\(.*\)".*/\1/p' "$demo/predictions/_LATEST.json")
  echo
  echo "The first predictions of $demo/predictions/${latest%/}:"
  head -n 3 "$demo/predictions/${latest%/}/part-000001.jsonl"
  cat <<TXT

Look further, with  export BATCH_ENDPOINT='$BATCH_ENDPOINT'
  '$runner' runs iris-nightly          the runs so far
  '$runner' run iris-nightly --wait    run it again now
  '$runner' why RUN                    how a run came to its state
Stop the runner and remove what it made:  make demo-destroy
TXT
  ;;
destroy)
  if [ -f "$demo/terraform.tfstate" ]; then terraform_ destroy; fi
  rm -rf "$demo"
  ;;
esac
