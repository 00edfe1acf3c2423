package engine

import (
	"errors"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// IsolationProbes is how many probes the isolation of a request takes.
func IsolationProbes(n int, bad []int) int {
	count, _ := probes(n, bad...)
	return count
}

// probes is how many probes isolate takes for these bad records, and which it
// finds.
func probes(n int, bad ...int) (count int, found []int) {
	found, _ = isolate(n, func(lo, hi int) (bool, error) {
		count++
		return slices.ContainsFunc(bad, func(at int) bool { return lo <= at && at < hi }), nil
	}, func(int, int) error { return nil })
	return count, found
}

func TestIsolateFindsExactlyTheBadRecordsWithinItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1024).Draw(t, "n")
		bad := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 1, min(n, 120), rapid.ID).Draw(t, "bad")
		slices.Sort(bad)
		count, found := probes(n, bad...)
		if !slices.Equal(found, bad) {
			t.Fatalf("of %v it found %v", bad, found)
		}
		k := len(bad)
		limit := 2 * k * (bits.Len(uint(n-1)) - (bits.Len(uint(k)) - 1) + 1)
		if count > limit {
			t.Fatalf("%d of %d bad: %d probes, at most %d are allowed", k, n, count, limit)
		}
	})
}

func TestIsolateTellsASizeThatIsTheCause(t *testing.T) {
	for _, c := range []struct {
		n, fits int
		want    []span
	}{
		{8, 4, []span{{0, 8}}},
		{8, 2, []span{{0, 4}, {4, 8}}},
		{5, 4, []span{{0, 5}}},
		{2, 1, []span{{0, 2}}},
	} {
		var got []span
		found, err := isolate(c.n, func(lo, hi int) (bool, error) { return hi-lo > c.fits, nil },
			func(lo, hi int) error { got = append(got, span{lo, hi}); return nil })
		if err != nil || len(found) > 0 || !slices.Equal(got, c.want) {
			t.Errorf("%d records, %d fit: bad %v, too large together %v, want %v (%v)", c.n, c.fits, found, got, c.want, err)
		}
	}
}

func TestIsolateEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	count := 0
	_, err := isolate(64, func(int, int) (bool, error) {
		if count++; count == 3 {
			return false, broken
		}
		return true, nil
	}, func(int, int) error { return nil })
	if !errors.Is(err, broken) || count != 3 {
		t.Errorf("%d probes: %v", count, err)
	}
}
