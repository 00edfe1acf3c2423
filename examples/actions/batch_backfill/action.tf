# What November lacks, two nights at a time.
# terraform apply -invoke=action.batch_backfill.november
action "batch_backfill" "november" {
  config {
    job          = "churn-nightly"
    from         = "2026-11-01"
    to           = "2026-11-30"
    only         = "missing"
    max_parallel = 2
  }
}
