package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// maxBody is far above any job; what is larger is a mistake.
const maxBody = 1 << 20

// maxHeader bounds what a client may put into the history.
const maxHeader = 256

// decode reads a JSON body; none is an empty document where that is allowed.
func decode(w http.ResponseWriter, r *http.Request, into any, emptyIsFine bool) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return err
		}
		return api.Errorf(api.CodeMalformed, "", "the request body can't be read: %v", err)
	}
	if len(text) == 0 && emptyIsFine {
		return nil
	}
	return api.Decode(text, into)
}

// intoSpec turns the pointers of a PutJob's findings to pointers into its
// specification, which is the document that people write.
func intoSpec(err error) error {
	if e, ok := errors.AsType[*api.Error](err); ok {
		for i := range e.Problems {
			p := &e.Problems[i]
			if rest, found := strings.CutPrefix(p.Pointer, "/spec"); found {
				p.Pointer, p.Hint = rest, strings.TrimPrefix(p.Hint, "spec.")
				if words, found := strings.CutPrefix(p.Hint, "spec takes "); found {
					p.Hint = "a job takes " + words
				}
			}
		}
	}
	return err
}

// parameters reads the query of a route, which has no others than these.
type parameters struct {
	values map[string]string
	err    error
}

func query(r *http.Request, known ...string) *parameters {
	p := &parameters{values: map[string]string{}}
	values := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(known, name) {
			hint := "it takes none"
			if len(known) > 0 {
				hint = "it takes " + strings.Join(known, ", ")
			}
			p.fail(hint, "the query parameter %s is unknown", name)
		}
		p.values[name] = values.Get(name)
	}
	return p
}

func (p *parameters) fail(hint, format string, args ...any) {
	p.err = cmp.Or(p.err, error(api.Errorf(api.CodeInvalid, hint, format, args...)))
}

// number reads a whole number in a range.
func (p *parameters) number(name string, absent, low, high int64) int64 {
	text, given := p.values[name]
	if !given {
		return absent
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		p.fail("", "%s %q is not a whole number in %d–%d", name, text, low, high)
	}
	return n
}

// instant reads a point in time; the zero time where it is absent.
func (p *parameters) instant(name string) (at time.Time) {
	text, given := p.values[name]
	if !given {
		return at
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		p.fail("write it like 2026-11-21T02:00:00Z", "%s %q is not an instant", name, text)
	}
	return at
}

// words reads names with commas between them, each one of those allowed.
func words[T ~string](p *parameters, name string, allowed ...T) []T {
	text, given := p.values[name]
	if !given {
		return nil
	}
	var all []T
	for word := range strings.SplitSeq(text, ",") {
		if !slices.Contains(allowed, T(word)) {
			p.fail(fmt.Sprintf("it takes %v, with commas between them", allowed), "%s %q is unknown", name, word)
		}
		all = append(all, T(word))
	}
	return all
}

func (p *parameters) flag(name string) bool {
	text, given := p.values[name]
	if given && text != "true" && text != "false" {
		p.fail("", "%s %q is neither true nor false", name, text)
	}
	return text == "true"
}

// actor is who asks, for the history.
func actor(r *http.Request) string {
	name := strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, r.Header.Get("Batch-Actor"))
	return cmp.Or(name[:min(len(name), maxHeader)], "api")
}

// key is the Idempotency-Key of a request that may be sent again.
func key(r *http.Request) (string, error) {
	text := r.Header.Get("Idempotency-Key")
	if len(text) > maxHeader {
		return "", api.Errorf(api.CodeMalformed, "", "the Idempotency-Key is longer than %d bytes", maxHeader)
	}
	return text, nil
}

// ifMatch is the generation that a write is meant for; 0 is any.
func ifMatch(r *http.Request) (int64, error) {
	text := r.Header.Get("If-Match")
	if text == "" {
		return 0, nil
	}
	bare, err := strconv.Unquote(text)
	if err == nil {
		var n int64
		if n, err = strconv.ParseInt(bare, 10, 64); err == nil && n > 0 {
			return n, nil
		}
	}
	return 0, api.Errorf(api.CodeMalformed, `send the ETag of the job, like "3"`, "If-Match %s is not a job's generation", text)
}

// ifNoneMatch tells a Create from an Update.
func ifNoneMatch(r *http.Request) (bool, error) {
	switch text := r.Header.Get("If-None-Match"); text {
	case "":
		return false, nil
	case "*":
		return true, nil
	default:
		return false, api.Errorf(api.CodeMalformed, "send *", "If-None-Match %s is not *", text)
	}
}

func etag(generation int64) string { return strconv.Quote(strconv.FormatInt(generation, 10)) }
