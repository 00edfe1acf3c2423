package launch_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/launch"
)

func TestServersThatShareALogKeepTheirLinesWhole(t *testing.T) {
	log := &sharedBuffer{}
	var servers sync.WaitGroup
	for n := 1; n <= 3; n++ {
		servers.Go(func() {
			lines := launch.Lines(log, fmt.Sprintf("[%d] ", n))
			for i := range 100 {
				for _, piece := range []string{"line ", fmt.Sprint(i), " of ", fmt.Sprintf("%d\n", n)} {
					if _, err := lines.Write([]byte(piece)); err != nil {
						t.Error(err)
					}
				}
			}
			if _, err := lines.Write([]byte("torn")); err != nil {
				t.Error(err)
			}
			if err := lines.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	servers.Wait()
	of := map[byte][]string{}
	for line := range strings.Lines(log.String()) {
		of[line[1]] = append(of[line[1]], line)
	}
	for n := 1; n <= 3; n++ {
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprintf("[%d] line %d of %d\n", n, i, n))
		}
		want = append(want, fmt.Sprintf("[%d] torn\n", n))
		if got := of['0'+byte(n)]; !slices.Equal(got, want) {
			t.Errorf("server %d wrote %q", n, got)
		}
	}
}

func TestALineWithoutAnEndIsNotHeldBackForEver(t *testing.T) {
	log := &sharedBuffer{}
	lines := launch.Lines(log, "[1] ")
	for range 100 {
		if _, err := lines.Write(bytes.Repeat([]byte("x"), 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(log.String()); n < 64<<10 {
		t.Errorf("of 100 KiB without a line end %d bytes are in the log", n)
	}
}

func TestTheOnlyServerWritesAsItComes(t *testing.T) {
	log := &sharedBuffer{}
	if _, err := launch.Lines(log, "").Write([]byte("loading")); err != nil || log.String() != "loading" {
		t.Errorf("the log holds %q: %v", log.String(), err)
	}
}

type sharedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sharedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sharedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
