// Package api is the wire contract between the Terraform provider, the command
// line and the runner: what a job is, what a run is, the states and reasons
// they go through, the defaults, and the errors people see.
//
// It imports the standard library only and does no I/O, so that everyone may
// import it. The calendar is not here: whether a cron expression is sound is
// judged by package schedule.
package api
