package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Record is <data_dir>/install.json: what was installed, and how.
type Record struct {
	Settings     Settings `json:"settings"`
	ConfigHash   string   `json:"config_hash"`
	BinarySHA256 string   `json:"binary_sha256"`
	Version      string   `json:"version"`
	RunnerID     string   `json:"runner_id"`
	// PID is for people: whether a runner lives is asked of its socket.
	PID int `json:"pid"`
}

// At is the record with its data dir spelled out: what was declared may be
// empty, and mean another folder for another user.
func (r Record) At(dataDir string) Record {
	r.Settings.DataDir = dataDir
	return r
}

// ErrNotInstalled is the error of a data dir without a record.
var ErrNotInstalled = errors.New("no runner is installed there")

// Load reads the record of a data dir.
func Load(dataDir string) (Record, error) {
	content, err := os.ReadFile(recordPath(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, fmt.Errorf("read %s: %w", recordPath(dataDir), ErrNotInstalled)
	}
	if err != nil {
		return Record{}, err
	}
	var record Record
	if err := json.Unmarshal(content, &record); err != nil {
		return Record{}, fmt.Errorf("read %s: %w", recordPath(dataDir), err)
	}
	return record, nil
}

func (r Record) save(dataDir string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(recordPath(dataDir), append(content, '\n'), 0o600)
}

func recordPath(dataDir string) string { return filepath.Join(dataDir, "install.json") }

// writeFile puts a whole file in place, or leaves the old one.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already if all went well
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
