package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Page is a part of a list.
type Page[T any] struct {
	Items []T
	// Next is the Paging.After of the page behind this one; empty where this
	// is the last.
	Next string
}

// Paging asks for a part of a list; the zero value for its beginning, as long
// as the runner makes it.
type Paging struct {
	Limit int
	After string // the Next of the page before; what it holds is the runner's affair
}

func (p Paging) query() url.Values {
	query := url.Values{}
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.After != "" {
		query.Set("after", p.After)
	}
	return query
}

// walk gives a whole list, asking for a page where the one before is used up.
// It ends with the first error.
func walk[T any](fetch func(Paging) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for paging := (Paging{}); ; {
			page, err := fetch(paging)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			paging.After = page.Next
		}
	}
}

// get asks for a document.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.do(ctx, &call{method: http.MethodGet, path: path, query: query, into: into})
}
