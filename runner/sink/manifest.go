package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// The names in a published folder beside its parts, and at the root.
const (
	ManifestName    = "_MANIFEST.json"
	SuccessName     = "_SUCCESS"
	DeadLettersName = "_DEAD_LETTERS.jsonl"
	LatestName      = "_LATEST.json"
)

// fileFormat is the version of the manifest and of the pointer.
const fileFormat = 1

// Manifest says what a published folder is. Run, times, attempts, launches
// and runner may differ between two runs of one plan; nothing else does.
type Manifest struct {
	Format     int64          `json:"format"`
	Job        string         `json:"job"`
	UID        string         `json:"uid"`
	Generation int64          `json:"generation"`
	Origin     api.Origin     `json:"origin"`
	Occurrence time.Time      `json:"occurrence"`
	Revision   int64          `json:"revision"`        // counting from 1 within the occurrence
	State      api.RunState   `json:"state"`           // succeeded or incomplete; of a progressive folder without _SUCCESS: running, failed, …
	Reason     api.Reason     `json:"reason,omitzero"` // accepted: somebody published it in spite of failures
	PlanHash   string         `json:"plan_hash"`
	Counts     api.Counts     `json:"counts"`
	Parts      []ManifestPart `json:"parts"`
	Run        string         `json:"run"`
	Times      Times          `json:"times"`
	Attempts   int64          `json:"attempts"` // run attempts
	Launches   int64          `json:"launches"` // prediction servers started
	Runner     Runner         `json:"runner"`
}

// ManifestPart is one file of a published folder with predictions. It is the
// part of a mini-batch, or of several: see layout.go.
type ManifestPart struct {
	Name         string `json:"name"`                // with slashes, relative to the folder
	MiniBatch    int64  `json:"mini_batch,omitzero"` // absent: of several, perhaps
	Records      int64  `json:"records"`
	DeadLettered int64  `json:"dead_lettered,omitzero"` // records of the mini-batch that are not in the part
	Bytes        int64  `json:"bytes"`
	SHA256       string `json:"sha256"`
	Fingerprint  string `json:"fingerprint,omitzero"` // of the model, where a run may mix models
}

// Times are the instants of a run. PublishedAt is that of the stored intent,
// so that a publish resumed after a crash writes the same bytes.
type Times struct {
	CreatedAt   time.Time `json:"created_at"`
	StartedAt   time.Time `json:"started_at"`
	PublishedAt time.Time `json:"published_at"`
}

// Runner is the runner that published.
type Runner struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// part finds a mini-batch's part.
func (m *Manifest) part(miniBatch int64) (ManifestPart, bool) {
	for _, p := range m.Parts {
		if p.MiniBatch == miniBatch {
			return p, true
		}
	}
	return ManifestPart{}, false
}

// encode writes a document the one way: indented, text unescaped where JSON
// allows it, a newline at the end.
func encode(document any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decode reads a document that is ours only if it says a format we know.
func decode(content []byte, document any, format *int64) error {
	if err := json.Unmarshal(content, document); err != nil {
		return err
	}
	if *format != fileFormat {
		return fmt.Errorf("format %d is not known to this runner", *format)
	}
	return nil
}
