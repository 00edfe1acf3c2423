data "batch_runner" "main" {}

check "runner_answers" {
  assert {
    condition     = data.batch_runner.main.reachable
    error_message = "the runner at ${data.batch_runner.main.endpoint} does not answer"
  }
}
