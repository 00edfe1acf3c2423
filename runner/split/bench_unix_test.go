//go:build unix

package split_test

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSplit is the planning pass over a file of the page cache, reading
// included.
func BenchmarkSplit(b *testing.B) {
	for name, record := range map[string]string{
		"csv":         "1017,5.1,3.5,1.4,0.2,setosa\n",
		"csv_text":    "1017,5.1,3.5,1.4,0.2,\"a flower, \"\"wild\"\", seen by the lake\"\n",
		"csv_quoted":  "\"1017\",\"5.1\",\"3.5\",\"1.4\",\"0.2\",\"setosa\"\n",
		"csv_newline": "1017,5.1,3.5,1.4,0.2,\"first line\nsecond, line\"\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			files := input(b, b.TempDir(), "csv", "id,a,b,c,d,species\n"+strings.Repeat(record, 64<<20/len(record)))
			b.SetBytes(files[0].Size)
			b.ReportAllocs()
			begun := cpuTime(b)
			for b.Loop() {
				slices(b, files, 1_000)
			}
			b.ReportMetric(float64(b.N)*float64(files[0].Size)/float64(cpuTime(b)-begun), "GB/cpu-s")
		})
	}
}

// cpuTime is what this process has used, with what the system has used for it:
// on a busy machine the only figure worth comparing.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
