package server

import (
	"fmt"
	"net/http"
	"time"
)

// monthForm is how a month is written.
const monthForm = "2006-01"

// getCosts tells what servers came to in a month, in UTC.
func (s *Server) getCosts(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, "month", "job")
	month := s.Now().UTC()
	if text, given := ask.values["month"]; given {
		var err error
		if month, err = time.Parse(monthForm, text); err != nil {
			ask.fail("write it like 2026-11", "month %q is not a month", text)
		}
	}
	if ask.err != nil {
		return ask.err
	}
	uid := ""
	if name := ask.values["job"]; name != "" {
		job, err := s.findJob(name)
		if err != nil {
			return err
		}
		uid = job.UID
	}
	costs, err := s.Store.Costs(month, uid)
	if err != nil {
		return fmt.Errorf("sum up what servers came to in %s: %w", month.Format(monthForm), err)
	}
	answer(w, http.StatusOK, costList{Costs: orEmpty(costs)})
	return nil
}
