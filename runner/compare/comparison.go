package compare

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// comparison is one in progress.
type comparison struct {
	Options
	published, against string // the names of the sides

	result   Result
	examples map[string][]Example // by kind, those with the smallest places first
}

// state of a key while its part is compared.
type state struct {
	entry
	published, against bool
}

// part compares one part of both sides.
func (c *comparison) part(ctx context.Context, published, against *parts, i int) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	known := map[string]*state{}
	err := published.each(i, func(e entry) error {
		if known[e.key] != nil {
			return c.doubled(e.key, c.published)
		}
		known[e.key] = &state{entry: e, published: true}
		return nil
	})
	if err != nil {
		return err
	}
	err = against.each(i, func(e entry) error {
		s := known[e.key]
		switch {
		case s == nil:
			known[e.key] = &state{entry: entry{place: e.place, key: e.key}, against: true}
			c.count(&c.result.Missing, Example{Kind: Missing, place: e.place}, e.key)
			return nil
		case s.against:
			return c.doubled(e.key, c.against)
		}
		s.against = true
		c.compare(s.entry, e)
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if s := known[key]; !s.against {
			c.count(&c.result.Extra, Example{Kind: Extra, place: s.place}, key)
		}
	}
	return nil
}

// compare looks at two records of one key.
func (c *comparison) compare(published, against entry) {
	if bytes.Equal(published.cells, against.cells) {
		c.result.Equal++
		return
	}
	one, other := published.cells, against.cells
	for _, column := range c.result.Columns {
		a, restA := cell(one)
		b, restB := cell(other)
		if !equal(a, b, c.Tolerance) {
			c.count(&c.result.Differ, Example{Kind: Differ, Column: column, Published: string(a.Bytes), Against: string(b.Bytes), place: published.place}, published.key)
			return
		}
		one, other = restA, restB
	}
	c.result.Equal++
}

func (c *comparison) doubled(key, where string) error {
	return fmt.Errorf("%s stands twice in %s; name the columns that tell its records apart by --key", c.keyed(key), where)
}

// keyed is a key as people write it: "id=7, day=mon".
func (c *comparison) keyed(key string) string {
	rest := []byte(key)
	texts := make([]string, len(c.Key))
	for i, column := range c.Key {
		var text []byte
		text, rest = cutBytes(rest)
		texts[i] = column + "=" + string(text)
	}
	return strings.Join(texts, ", ")
}

// count counts a record that is not equal, and keeps it as an example while it
// is among the first of its kind.
func (c *comparison) count(n *int64, e Example, key string) {
	*n++
	if c.examples == nil {
		c.examples = map[string][]Example{}
	}
	kept := c.examples[e.Kind]
	if len(kept) == c.Examples && (c.Examples == 0 || kept[len(kept)-1].place < e.place) {
		return
	}
	e.Key = c.keyed(key)
	at, _ := slices.BinarySearchFunc(kept, e, func(a, b Example) int { return cmp.Compare(a.place, b.place) })
	kept = slices.Insert(kept, at, e)
	c.examples[e.Kind] = kept[:min(len(kept), c.Examples)]
}

func (c *comparison) end() Result {
	c.result.Examples = []Example{}
	for _, kind := range []string{Differ, Missing, Extra} {
		c.result.Examples = append(c.result.Examples, c.examples[kind]...)
	}
	return c.result
}
