// Package sinktest judges a published folder from outside, as a reader would:
// it shares no code with what wrote it but the manifest's type.
package sinktest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// Check reads a published folder, os.DirFS of its path, and says what is wrong
// with it: a part that is missing, changed or not listed, counts that don't add
// up, no _SUCCESS.
func Check(folder fs.FS) (sink.Manifest, error) {
	var m sink.Manifest
	content, err := fs.ReadFile(folder, "_MANIFEST.json")
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return m, fmt.Errorf("read manifest: %w", err)
	}
	listed := []string{"_MANIFEST.json", "_SUCCESS"}
	var records int64
	for _, part := range m.Parts {
		content, err := fs.ReadFile(folder, part.Name)
		if err != nil {
			return m, err
		}
		sum := sha256.Sum256(content)
		if int64(len(content)) != part.Bytes || hex.EncodeToString(sum[:]) != part.SHA256 {
			return m, fmt.Errorf("%s is not what the manifest says", part.Name)
		}
		listed = append(listed, part.Name)
		records += part.Records
	}
	if records != m.Counts.Committed {
		return m, fmt.Errorf("the parts hold %d records, %d are committed", records, m.Counts.Committed)
	}
	if m.Counts.DeadLettered > 0 {
		listed = append(listed, "_DEAD_LETTERS.jsonl")
	}
	return m, onlyHolds(folder, listed)
}

func onlyHolds(folder fs.FS, listed []string) error {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return err
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	slices.Sort(found)
	slices.Sort(listed)
	if !slices.Equal(found, listed) {
		return fmt.Errorf("the folder holds %v, want %v", found, listed)
	}
	return nil
}
