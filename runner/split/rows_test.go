package split

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestRowsAreCutAtRowGroups(t *testing.T) {
	for name, test := range map[string]struct {
		groups []int64
		most   int64
		around []Span
		want   []Span
	}{
		"one group, several slices":  {[]int64{25}, 10, nil, []Span{{0, 10}, {10, 10}, {20, 5}}},
		"none across a large group":  {[]int64{15, 15}, 10, nil, []Span{{0, 10}, {10, 5}, {15, 10}, {25, 5}}},
		"small groups together":      {[]int64{4, 4, 4, 4}, 10, nil, []Span{{0, 8}, {8, 8}}},
		"an empty group":             {[]int64{4, 0, 4}, 10, nil, []Span{{0, 8}}},
		"around what is left out":    {[]int64{20}, 10, []Span{{5, 10}}, []Span{{0, 5}, {15, 5}}},
		"a group that is left out":   {[]int64{4, 4, 4}, 10, []Span{{4, 4}}, []Span{{0, 4}, {8, 4}}},
		"left out across two groups": {[]int64{10, 10}, 20, []Span{{8, 4}}, []Span{{0, 8}, {12, 8}}},
		"nothing":                    {nil, 10, nil, nil},
	} {
		if got := cutAll(test.groups, test.most, test.around); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// However rows lie in groups, each is in one slice or left out, and no slice is
// too large, or in two groups without holding both whole.
func TestEachRowIsInOneSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SliceOfN(rapid.Int64Range(0, 30), 0, 8).Draw(t, "groups")
		most := rapid.Int64Range(1, 25).Draw(t, "most")
		var ends []int64
		var rows int64
		for _, n := range groups {
			rows += n
			ends = append(ends, rows)
		}
		var around []Span
		for at := int64(0); at < rows; {
			at += rapid.Int64Range(0, 9).Draw(t, "gap")
			n := min(rapid.Int64Range(1, 9).Draw(t, "left out"), rows-at)
			if n > 0 {
				around = append(around, Span{at, n})
			}
			at += max(n, 0)
		}
		seen := make([]int, rows)
		mark := func(s Span) {
			for i := s.Offset; i < s.Offset+s.Length; i++ {
				seen[i]++
			}
		}
		for _, s := range around {
			mark(s)
		}
		last := int64(0)
		for _, s := range cutAll(groups, most, around) {
			if s.Length < 1 || s.Length > most || s.Offset < last {
				t.Fatalf("slice %+v of at most %d behind row %d", s, most, last)
			}
			last = s.Offset + s.Length
			mark(s)
			begin := int64(0)
			for _, end := range ends {
				if crosses := s.Offset < begin && last > begin && begin < end; crosses && last < end {
					t.Fatalf("slice %+v ends inside the group of rows %d to %d", s, begin, end)
				}
				begin = end
			}
		}
		for i, n := range seen {
			if n != 1 {
				t.Fatalf("row %d is in %d places", i, n)
			}
		}
	})
}

func cutAll(groups []int64, most int64, around []Span) (all []Span) {
	_ = cutRows(groups, most, around, func(s Span) error {
		all = append(all, s)
		return nil
	})
	return all
}
