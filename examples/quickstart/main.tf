terraform {
  required_version = ">= 1.11"
  required_providers {
    batch = { source = "batchpattern/batch" }
  }
}

locals {
  build = abspath("${path.module}/../../build") # make demo builds and writes here only
}

# The runner: one process on this machine, with its state in one folder.
resource "batch_runner" "main" {
  local = { service = "process", data_dir = "${local.build}/demo/runner" }
}

# Fisher's iris measurements, classified every night at one.
resource "batch_prediction_job" "iris" {
  name   = "iris-nightly"
  runner = batch_runner.main

  schedule = { cron = "0 1 * * *", time_zone = "Europe/Berlin" }

  input = {
    files = { uri = abspath("${path.module}/iris.csv") }
    key   = ["id"]
  }

  mini_batch  = { rows = 20 }
  parallelism = 4 # requests in flight in the whole run

  predict = {
    protocol = "oip_v2"
    model    = { name = "iris" }
    features = { columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"] }
    outputs  = { label = "label", probabilities = "probabilities" }
    server   = { command = ["${local.build}/iris-server"] } # takes its port from PORT; lives as long as the run
  }

  output = {
    files = { uri = "${local.build}/demo/predictions/dt={date}/", format = "jsonl" }
    keep  = ["id"]
  }

  run_on_create = "1m" # a first run now, waited for at most this long
}

# How the last run went, for people, pipelines and checks.
data "batch_prediction_job_status" "iris" {
  job    = batch_prediction_job.iris.name
  runner = batch_runner.main
}

check "iris_is_healthy" {
  assert {
    condition     = data.batch_prediction_job_status.iris.healthy
    error_message = data.batch_prediction_job_status.iris.summary
  }
}

output "predictions" {
  value = batch_prediction_job.iris.output.files.uri
}
