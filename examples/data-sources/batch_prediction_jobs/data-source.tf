# One check over all jobs of a team.
data "batch_prediction_jobs" "growth" {
  labels = { team = "growth" }
}

check "growth_is_healthy" {
  assert {
    condition     = data.batch_prediction_jobs.growth.healthy
    error_message = data.batch_prediction_jobs.growth.summary
  }
}
