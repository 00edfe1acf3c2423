terraform {
  required_version = ">= 1.11"
  required_providers {
    batch = { source = "batchpattern/batch" }
  }
}

variable "database" {
  description = "What the items lie in: sqlite, postgres or mysql (MariaDB too)."
  type        = string
  default     = "sqlite"
}

variable "folder" {
  description = "Folder of this example: secrets/items_dsn says where the database is, iris-server is the prediction server."
  type        = string
}

locals {
  # The measurements are members of the JSON in "values"; each database has its way to take them out. What is no number
  # stays what it is: the runner finds it, and predicts the others.
  features = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
  member = {
    sqlite   = "\"values\" ->> '$.%[1]s' AS %[1]s"
    postgres = "\"values\" -> '%[1]s' AS %[1]s"
    mysql    = "json_extract(`values`, '$.%[1]s') AS %[1]s"
  }
  columns = join(", ", [for name in local.features : format(local.member[var.database], name)])
}

resource "batch_runner" "main" {
  local       = { service = "process", data_dir = "${var.folder}/runner" }
  secrets_dir = "${var.folder}/secrets"
}

# Every hour, the items that have no prediction yet.
resource "batch_prediction_job" "items" {
  name   = "iris-items"
  runner = batch_runner.main

  schedule = { cron = "0 * * * *" }

  input = {
    sql = {
      dsn   = { secret = "items_dsn" }
      query = "SELECT id, ${local.columns} FROM items WHERE prediction IS NULL"
    }
    mode = "predicate" # what the query finds; an item that can't be predicted is left out until it changes
    key  = ["id"]
  }

  mini_batch  = { rows = 50 } # one transaction each
  parallelism = 4

  predict = {
    protocol = "oip_v2"
    model    = { name = "iris" }
    features = { columns = local.features }
    outputs  = { label = "label", probabilities = "probabilities" }
    server   = { command = ["${var.folder}/iris-server"] }
  }

  # Each prediction goes back into its row, as one JSON value, in the transaction of its mini-batch.
  output = {
    sql = {
      dsn         = { secret = "items_dsn" }
      table       = "items"
      write       = "update"
      json_column = "prediction"
    }
  }

  max_failed = "10%" # above it the run stops
}
