# Events are scored once, as their files come in. There is no hurry: what fails
# is tried again with the next files, and becomes a dead letter after three runs.
resource "batch_prediction_job" "events" {
  name   = "events"
  runner = batch_runner.main

  schedule = { every = "15m" }
  input = {
    files = { uri = "${var.lake}/events/*.jsonl", done_marker = "*.done" }
    key   = ["event_id"]
    mode  = "new_files"
  }
  mini_batch = { rows = 1000, timeout = "10m" }
  predict = {
    protocol           = "tf_v1"
    model              = { name = "events" }
    features           = { columns = ["amount", "country"], as = "columns" }
    endpoint           = { url = "http://127.0.0.1:8501" }
    transient_statuses = [404] # while this server loads a new version
  }
  output       = { files = { uri = "${var.lake}/scored/at={scheduled_at}/" }, keep_for = "90d" }
  retry        = { policy = "next_batch", max_carries = 3 }
  max_failed   = "50%"                                    # above it nothing is carried: the run is withheld
  dead_letters = { input = "key_only", keep_for = "30d" } # events must not be copied
}
