output "in_words" {
  value = provider::batch::cron_describe("0 2 * * MON-SAT", "Europe/Berlin")
}
