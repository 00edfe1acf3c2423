# What two schedules will do around the end of daylight saving, before anything
# is created: no runner is asked.
data "batch_schedule_preview" "autumn" {
  schedules = {
    nightly = { cron = "30 2 * * *", time_zone = "Europe/Berlin" }
    month_end = {
      calendar  = { days_of_month = [-1], hours = [2], minutes = [30] }
      time_zone = "Europe/Berlin"
    }
  }
  from  = "2026-10-24T00:00:00Z"
  limit = 4 # of each
}

output "due" {
  value = [
    for o in data.batch_schedule_preview.autumn.occurrences :
    "${o.local} ${o.schedule}${o.note == null ? "" : " (${o.note})"}"
  ]
}

# Jobs that share a runner wait for each other when they are due together.
output "together" {
  value = data.batch_schedule_preview.autumn.collisions
}
