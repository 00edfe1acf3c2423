# An unreachable runner is reachable = false and healthy = false, never an error.
data "batch_prediction_job_status" "churn" {
  job = "churn-nightly"
}

check "churn_is_healthy" {
  assert {
    condition     = data.batch_prediction_job_status.churn.healthy
    error_message = data.batch_prediction_job_status.churn.summary
  }
}
