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

# Twice on the 30th, and on the last day of February: more than cron can say.
resource "batch_prediction_job" "month_end" {
  name   = "churn-month-end"
  runner = batch_runner.main

  schedule = {
    calendar = {
      days_of_month  = [30] # in February, its last day
      on_short_month = "last_day"
      hours          = [6, 18]
    }
    time_zone     = "Europe/Berlin"
    exclude_dates = ["2026-12-30"]
    jitter        = "10m" # jobs of one rule begin apart
  }
  catch_up            = { mode = "latest", window = "2d" } # of what an outage missed
  overlap             = "queue_one"                        # what comes due meanwhile waits
  hold_after_failures = 3                                  # then somebody must look: batch-runner release

  input = { files = { uri = "${var.lake}/customers/dt={date}/*.csv" } }
  predict = {
    protocol = "oip_v2"
    model    = { name = "churn", version = "7" }
    features = { columns = ["age", "tenure", "spend"] }
    endpoint = { url = "http://127.0.0.1:8080" }
  }
  output = { files = { uri = "${var.lake}/month-end/dt={date}/{hour}/" } }
}
