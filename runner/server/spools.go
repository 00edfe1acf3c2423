package server

import (
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// noteSpools notes in runs what their copies of input take on the runner's disk.
func (s *Server) noteSpools(runs ...*api.Run) error {
	sizes, err := s.Engine.SpoolBytes()
	if err != nil {
		return fmt.Errorf("measure the copies of input: %w", err)
	}
	for _, run := range runs {
		if run != nil {
			run.SpoolBytes = sizes[run.ID]
		}
	}
	return nil
}

// spooled is what all copies of input take, and how many runs have some.
func (s *Server) spooled() (bytes int64, runs int, err error) {
	sizes, err := s.Engine.SpoolBytes()
	for _, size := range sizes {
		bytes += size
	}
	return bytes, len(sizes), err
}
