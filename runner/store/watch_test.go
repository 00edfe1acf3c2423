package store

import "testing"

func TestChangedIsClosedByTheNextCommit(t *testing.T) {
	s, _ := open(t)
	first, same := s.Changed(), s.Changed()
	select {
	case <-first:
		t.Fatal("it is closed before anything was written")
	default:
	}
	newJob(t, s, "iris")
	<-first
	<-same
	select {
	case <-s.Changed():
		t.Error("the next one is closed by an earlier commit")
	default:
	}
}
