variable "run" {
  type    = string
  default = "rtroatenblayd"
}

# What became of one run's records, and why.
data "batch_prediction_run" "it" {
  id               = var.run
  max_dead_letters = 3
}

output "what_failed" {
  value = {
    records = data.batch_prediction_run.it.counts
    errors  = data.batch_prediction_run.it.errors
    places  = try([for d in data.batch_prediction_run.it.dead_letters : "${d.file}:${d.line}"], [])
    cost    = data.batch_prediction_run.it.cost
  }
}
