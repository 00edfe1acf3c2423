# The 21st once more: its input was delivered again.
# terraform apply -invoke=action.batch_rerun.the_21st
action "batch_rerun" "the_21st" {
  config {
    job        = "churn-nightly"
    occurrence = "2026-11-21"
    wait       = "2h"
  }
}
