variable "run" {
  type = string
}

# terraform apply -invoke=action.batch_cancel_run.it -var run=…
action "batch_cancel_run" "it" {
  config {
    run  = var.run
    wait = "5m"
  }
}
