# A ranking is worth nothing in part: all of it, predicted by one model, or
# yesterday's stays.
resource "batch_prediction_job" "ranking" {
  name   = "ranking"
  runner = batch_runner.main

  schedule = { cron = "0 4 * * *", time_zone = "Europe/Berlin" }
  input    = { files = { uri = "${var.lake}/candidates/dt={date}/*.csv" }, key = ["item_id"] }
  predict = {
    protocol = "oip_v2"
    model    = { name = "ranking", version = "3" }
    features = { columns = ["clicks", "price"] }
    golden   = { clicks = "12", price = "9.90" } # known to be answered: the first request to a new server
    server = {
      command        = ["/opt/ranking/bin/serve", "--port", "{port}"]
      replicas       = 2
      model_files    = ["/opt/ranking/models/3/*"] # a file that is swapped halfway is noticed
      price_per_hour = "0.35 EUR"
    }
  }
  output = { files = { uri = "${var.lake}/ranking/dt={date}/" }, keep_runs = 30 }
  retry  = { policy = "complete", max_run_attempts = 2 }
}
