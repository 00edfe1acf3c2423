terraform {
  required_version = ">= 1.11"
  required_providers {
    batch = { source = "batchpattern/batch" }
  }
}

variable "folder" {
  description = "Folder of the data: iris.csv is read there, predictions/ is written."
  type        = string
}

variable "program" {
  description = "Absolute path of score.py."
  type        = string
}

resource "batch_runner" "main" {
  local = { service = "process", data_dir = "${var.folder}/runner" }
}

# What the line in the crontab said: every night at one.
resource "batch_prediction_job" "iris" {
  name     = "iris-nightly"
  runner   = batch_runner.main
  schedule = { cron = "0 1 * * *" }

  input = {
    files = { uri = "${var.folder}/iris.csv" }
    key   = ["id"]
  }

  mini_batch = { rows = 50 }

  predict = {
    features = { columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"] }
    outputs  = { label = "label", distance = "distance" }
    program  = { command = [var.program] } # one process for each request in flight, as long as the run
  }
  parallelism = 2

  output = {
    files = { uri = "${var.folder}/predictions/dt={date}/", format = "csv" }
  }

  run_on_create = "1m"
}
