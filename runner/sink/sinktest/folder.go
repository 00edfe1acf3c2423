// Package sinktest judges a published folder from outside, as a reader would:
// it shares no code with what wrote it but the manifest's type. And it holds, as
// tests, what outputs of files must do wherever they lie, in every format and
// layout, and what those in object stores must.
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

// Check reads a published folder, as os.DirFS of its path, and says what is wrong
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
		listed = append(listed, deadLetters(folder, m))
	}
	return m, onlyHolds(folder, listed)
}

// deadLetters names the file of dead letters, which carries its revision in an
// object store.
func deadLetters(folder fs.FS, m sink.Manifest) string {
	if name := fmt.Sprintf("_DEAD_LETTERS.r%d.jsonl", m.Revision); exists(folder, name) {
		return name
	}
	return "_DEAD_LETTERS.jsonl"
}

func exists(folder fs.FS, name string) bool {
	_, err := fs.Stat(folder, name)
	return err == nil
}

func onlyHolds(folder fs.FS, listed []string) error {
	var found []string
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(found)
	slices.Sort(listed)
	if !slices.Equal(found, listed) {
		return fmt.Errorf("the folder holds %v, want %v", found, listed)
	}
	return nil
}
