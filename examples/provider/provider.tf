terraform {
  required_version = ">= 1.11"
  required_providers {
    batch = { source = "batchpattern/batch" }
  }
}

# Everything has a default: jobs name their runner, and a runner on this host
# needs no token.
provider "batch" {
  owner = "growth-team" # others that declare the same job are refused
}
