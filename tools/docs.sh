#!/usr/bin/env bash
# make docs: docs/ from the provider's schema and the examples,
# without a network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=build/docs
rm -rf "$scratch"
mkdir -p "$scratch"
cat > "$scratch/cli.tfrc" <<RC
provider_installation {
  dev_overrides {
    "batchpattern/batch" = "$PWD/build"
  }
  direct {}
}
RC
cat > "$scratch/main.tf" <<'TF'
terraform {
  required_providers {
    batch = { source = "batchpattern/batch" }
  }
}
TF
# A Terraform before 1.14 does not tell the actions.
CHECKPOINT_DISABLE=1 TF_CLI_CONFIG_FILE=$scratch/cli.tfrc terraform "-chdir=$scratch" providers schema -json |
  go run ./internal/schemadocs > "$scratch/schema.json"
build/tools/tfplugindocs generate --provider-name batch --rendered-provider-name Batch --providers-schema "$scratch/schema.json"

# The quickstart's HCL in the README is the quickstart's.
awk '
  /<!-- quickstart/ { print; print "```hcl"; while ((getline line < "examples/quickstart/main.tf") > 0) print line; print "```"; skip = 1; next }
  /<!-- end -->/ { skip = 0 }
  !skip { print }
' README.md > "$scratch/README.md"
cp "$scratch/README.md" README.md
