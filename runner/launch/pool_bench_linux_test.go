package launch

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPool asks programs that do next to nothing: what is left is ours.
// cpu-µs/op is the CPU time of this process alone.
func BenchmarkPool(b *testing.B) {
	for name, o := range map[string]struct {
		once  bool
		lines int
	}{
		"process_per_mini_batch/1024":  {true, 1 << 10},
		"process_per_mini_batch/16384": {true, 16 << 10},
		"long_lived/128":               {false, 128},
	} {
		b.Run(name, func(b *testing.B) {
			command := []string{"/bin/cat"}
			pool, err := OpenPool(Program{ID: testPrefix() + b.Name(), Args: command, Once: o.once, Timeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			defer pool.Close(context.Background(), patience) //nolint:errcheck // it has answered
			if _, err := os.Stat(command[0]); err != nil {
				b.Fatal(err)
			}
			text := strings.Repeat(`{"a":1.25,"b":2.5,"c":3.75,"d":5.5}`+"\n", o.lines)
			before := ownCPU()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ask(context.Background(), pool, text); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((ownCPU()-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// ownCPU is the CPU time of this process, without its children.
func ownCPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // can't fail
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
