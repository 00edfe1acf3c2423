package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestLogKeepsTheNewestBytesThroughTurnsAndReopening(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "log")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "server.log")
		limit := rapid.Int64Range(2, 40).Draw(t, "limit")
		var all []byte
		for range rapid.IntRange(1, 3).Draw(t, "openings") {
			log, err := OpenLog(path, limit)
			if err != nil {
				t.Fatal(err)
			}
			for range rapid.IntRange(0, 6).Draw(t, "writes") {
				text := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "text")
				if n, err := log.Write(text); n != len(text) || err != nil {
					t.Fatalf("wrote %d of %d: %v", n, len(text), err)
				}
				all = append(all, text...)
				checkLog(t, path, limit, all)
			}
			if err := errors.Join(log.Close(), log.Close()); err != nil {
				t.Fatal(err)
			}
		}
		checkLog(t, path, limit, all)
	})
}

// checkLog: what is read is the end of what was written, it fits the limit, and
// it is no less than the file that was full when the log last turned, of which
// one write that did not fit may be missing.
func checkLog(t *rapid.T, path string, limit int64, all []byte) {
	got := readLog(t, path)
	if !bytes.HasSuffix(all, got) {
		t.Fatalf("kept %q, which is not the end of %q", got, all)
	}
	if int64(len(got)) > limit {
		t.Fatalf("kept %d bytes of at most %d", len(got), limit)
	}
	if whole := int64(len(all)) <= limit/2; whole && len(got) < len(all) || int64(len(got)) < min(int64(len(all)), limit/2) {
		t.Fatalf("kept %d of %d bytes, limit %d", len(got), len(all), limit)
	}
}

func TestLogNeverTearsWhatFits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	log, err := OpenLog(path, 60)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		if _, err := fmt.Fprintf(log, "line %d ...\n", i); err != nil { // 11 bytes: two in a file of 30
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := string(readLog(t, path)), "line 6 ...\nline 7 ...\nline 8 ...\n"; got != want {
		t.Fatalf("kept %q, want %q", got, want)
	}
}

func TestLogTakesWritersAndReadersAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	log, err := OpenLog(path, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for range 500 {
				if _, err := fmt.Fprintf(log, "%s\n", strings.Repeat(fmt.Sprint(i), 15)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		reader, err := ReadLog(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, reader); err != nil {
			t.Error(err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
	writers.Wait()
	for line := range strings.Lines(string(readLog(t, path))) {
		if len(line) != 16 || strings.Trim(line, line[:1]) != "\n" {
			t.Fatalf("two writes are mixed: %q", line)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("a closed log takes text: %v", err)
	}
}

func TestReadLogFindsTheOlderFileAloneAfterACrashInATurn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	if _, err := ReadLog(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("no log: %v", err)
	}
	if err := os.WriteFile(older(path), []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := string(readLog(t, path)); got != "old\n" {
		t.Fatalf("read %q", got)
	}
}

type failer interface{ Fatal(...any) }

func readLog(t failer, path string) []byte {
	reader, err := ReadLog(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		t.Fatal(err)
	}
	return text
}
