package server

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// conformance holds answers against the OpenAPI document. Its schemas are JSON
// Schema 2020-12, as OpenAPI 3.1 has it.
type conformance struct {
	routes   map[string]route // by method and pattern
	compiler *jsonschema.Compiler
	document any
	mux      *http.ServeMux // tells which route a request takes
	seen     map[string]bool
}

func newConformance(t *testing.T) *conformance {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	must(t, err)
	c := &conformance{routes: map[string]route{}, compiler: jsonschema.NewCompiler(), document: document, mux: http.NewServeMux(), seen: map[string]bool{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	must(t, c.compiler.AddResource("openapi.json", document))
	for _, r := range (&Server{}).routes() {
		c.routes[r.method+" "+r.path] = r
		c.mux.HandleFunc(r.method+" "+r.path, func(http.ResponseWriter, *http.Request) {})
	}
	return c
}

// check holds one answer against the document and remembers what it covered.
func (c *conformance) check(t *testing.T, method, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	_, pattern := c.mux.Handler(httptest.NewRequest(method, path, nil))
	route, known := c.routes[pattern]
	if !known {
		t.Fatalf("%s %s is no route", method, path)
	}
	covered := fmt.Sprintf("%s %d", pattern, w.Code)
	c.seen[covered] = true
	response := lookup(c.document, "paths", route.path, strings.ToLower(method), "responses", fmt.Sprint(w.Code))
	if response == nil {
		t.Errorf("%s is not documented: %s", covered, w.Body)
		return
	}
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	content, _ := lookup(response, "content").(map[string]any)
	if content == nil {
		return // no JSON
	}
	if lookup(response, "content", media) == nil {
		t.Errorf("%s answers with %s", covered, media)
		return
	}
	if !strings.HasSuffix(media, "json") {
		return
	}
	place := strings.NewReplacer("~", "~0", "/", "~1")
	schema, err := c.compiler.Compile(fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%d/content/%s/schema",
		percent(place.Replace(route.path)), strings.ToLower(method), w.Code, place.Replace(media)))
	must(t, err)
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err == nil {
		err = schema.Validate(body)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", covered, err, w.Body)
	}
}

// percent writes a JSON pointer as a fragment.
func percent(pointer string) string {
	return strings.NewReplacer("{", "%7B", "}", "%7D").Replace(pointer)
}

func lookup(node any, keys ...string) any {
	for _, key := range keys {
		object, _ := node.(map[string]any)
		node = object[key]
	}
	return node
}

// missing lists the documented statuses that were not seen, but for those of
// every route, which have tests of their own.
func (c *conformance) missing() []string {
	var missing []string
	for pattern, r := range c.routes {
		for _, status := range r.status {
			if covered := fmt.Sprintf("%s %d", pattern, status); !c.seen[covered] {
				missing = append(missing, covered)
			}
		}
	}
	return missing
}
