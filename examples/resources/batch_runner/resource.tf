variable "data_dir" {
  type    = string
  default = "/var/lib/batch-runner"
}

# A runner on the host that Terraform runs on, reached through a socket that
# only this user may open.
resource "batch_runner" "main" {
  local = { service = "process", data_dir = var.data_dir }

  max_concurrent_runs = 4
  drain_timeout       = "1m"
}
