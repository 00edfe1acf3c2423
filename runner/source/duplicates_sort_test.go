package source

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// However little memory there is, what goes in comes out in order.
func TestASortHoldsLittleInMemory(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := newSorter(dir, rapid.IntRange(1, 40).Draw(t, "entries in memory")*entrySize)
		defer s.close()
		var want []entry
		for range rapid.IntRange(0, 200).Draw(t, "entries") {
			e := entry{hash: [2]uint64{rapid.Uint64().Draw(t, "high"), rapid.Uint64Range(0, 3).Draw(t, "low")}, place: rapid.Int64Range(0, 1<<62).Draw(t, "place")}
			if rapid.Bool().Draw(t, "like others") {
				e.hash[0] = 7
			}
			want = append(want, e)
			if err := s.add(e); err != nil {
				t.Fatal(err)
			}
			if len(s.entries) > s.most || cap(s.entries) > max(2*s.most, 2048) {
				t.Fatalf("%d entries are in memory, of %d", cap(s.entries), s.most)
			}
		}
		slices.SortFunc(want, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.hash[0], b.hash[0]), cmp.Compare(a.hash[1], b.hash[1]), cmp.Compare(a.place, b.place))
		})
		var got []entry
		for e, err := range s.sorted() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}
