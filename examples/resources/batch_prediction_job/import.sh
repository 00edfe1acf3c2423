# A job on the provider's endpoint.
terraform import batch_prediction_job.churn churn-nightly

# A job on another runner.
terraform import batch_prediction_job.churn 'unix:///srv/lake/runner/runner.sock#churn-nightly'
