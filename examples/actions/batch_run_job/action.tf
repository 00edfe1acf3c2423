# terraform apply -invoke=action.batch_run_job.now
action "batch_run_job" "now" {
  config {
    job     = "churn-nightly"
    wait    = "2h"
    fail_on = "incomplete"
  }
}
