# Score once more whenever another version of the model is declared.
variable "model_version" {
  type = string
}

resource "terraform_data" "model" {
  input = var.model_version

  lifecycle {
    action_trigger {
      events  = [after_update]
      actions = [action.batch_run_job.now]
    }
  }
}
