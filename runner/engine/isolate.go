package engine

// isolate finds the bad records of a request of n that failed: it halves what
// fails, left half first, down to single records. bad asks about the records
// [lo, hi), which is one probe each; it may clear a single record that fails
// by chance. together is told of a part that failed though both its halves
// passed. An error of either ends the search.
//
// With k bad records it takes at most 2k(⌈log2 n⌉ − ⌊log2 k⌋ + 1) probes.
func isolate(n int, bad func(lo, hi int) (bool, error), together func(lo, hi int) error) (found []int, err error) {
	var halve func(lo, hi int) error
	halve = func(lo, hi int) error {
		if hi-lo == 1 {
			found = append(found, lo)
			return nil
		}
		mid := lo + (hi-lo)/2
		passed := 0
		for _, half := range [2]span{{lo, mid}, {mid, hi}} {
			fails, err := bad(half.lo, half.hi)
			if err == nil && fails {
				err = halve(half.lo, half.hi)
			}
			if err != nil {
				return err
			}
			if !fails {
				passed++
			}
		}
		if passed == 2 {
			return together(lo, hi)
		}
		return nil
	}
	err = halve(0, n)
	return found, err
}

// span is the records [lo, hi) of a request.
type span struct{ lo, hi int }
