# The runs of this year that did not end well.
data "batch_prediction_runs" "bad" {
  job    = "churn-nightly"
  states = ["failed", "incomplete", "stopped"]
  since  = "2026-01-01T00:00:00Z"
  limit  = 50
}

output "bad_nights" {
  value = [for r in data.batch_prediction_runs.bad.runs : "${r.occurrence} ${r.state}: ${r.counts.committed} of ${r.counts.planned}"]
}
