variable "lake" {
  type    = string
  default = "/srv/lake"
}

resource "batch_runner" "main" {
  local = { service = "process", data_dir = "${var.lake}/runner" }
}

# Yesterday's customers, scored every working night.
resource "batch_prediction_job" "churn" {
  name   = "churn-nightly"
  runner = batch_runner.main
  labels = { team = "growth" }

  schedule = { cron = "0 2 * * MON-SAT", time_zone = "Europe/Berlin" }

  input = {
    files = { uri = "${var.lake}/customers/dt={date-1d}/*.csv" } # of the occurrence, not of today
    key   = ["customer_id"]
  }

  mini_batch  = { rows = 5000 }
  parallelism = 8 # requests in flight in the whole run

  predict = {
    protocol = "oip_v2"
    model    = { name = "churn", version = "7" }
    features = { columns = ["age", "tenure", "spend"] }
    outputs  = { score = "predict_proba[1]" } # result column = output name, with index
    server = {
      command    = ["/opt/churn/bin/serve", "--port", "{port}", "/opt/churn/models/{model_version}"]
      secret_env = { LICENCE_KEY = { file = "/etc/churn/licence" } }
    }
  }

  output = {
    files = { uri = "${var.lake}/scores/dt={date}/", format = "csv" }
    keep  = ["customer_id"]
  }

  retry      = { policy = "partial", attempts = 4, backoff = ["10s", "1m", "5m"] }
  max_failed = "0.1%" # above it nothing is published: the run is withheld, and says why
}
