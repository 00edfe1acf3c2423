# Each mini-batch shows as soon as it is predicted: readers take what is there,
# and those who want the whole day wait for _SUCCESS.
resource "batch_prediction_job" "captions" {
  name   = "captions"
  runner = batch_runner.main

  schedule   = { cron = "0 20 * * *" }
  input      = { files = { uri = "${var.lake}/images/dt={date}/*.jsonl" }, key = ["image_id"] }
  mini_batch = { rows = 200 }
  predict = {
    protocol         = "oip_v2"
    model            = { name = "captions" }
    features         = { columns = ["embedding"] }
    rows_per_request = 8
    requests         = "fixed"
    endpoint         = { url = "http://127.0.0.1:8000" }
  }
  output            = { files = { uri = "${var.lake}/captions/dt={date}/" }, publish = "progressive" }
  max_failed        = "2%"
  accept_incomplete = true # a few captions may be missing
}
