variable "run" {
  type = string
}

# The model was wrong, not the records: send the refused ones again, too.
# terraform apply -invoke=action.batch_retry_run.again -var run=…
action "batch_retry_run" "again" {
  config {
    run          = var.run
    dead_letters = true
    wait         = "1h"
  }
}
