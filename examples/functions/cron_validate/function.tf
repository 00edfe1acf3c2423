variable "cron" {
  type    = string
  default = "0 2 * * MON-SAT"

  validation {
    condition     = provider::batch::cron_validate(var.cron)
    error_message = "cron must be an expression like 0 2 * * MON-SAT."
  }
}
