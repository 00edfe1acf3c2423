package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// jsonObject is a JSON object; encoding sorts its keys.
type jsonObject = map[string]any

// The document is made from the routes, the types of package api and their
// comments, so that it can't fall behind them unnoticed.
func TestTheOpenAPIDocumentDescribesTheRoutes(t *testing.T) {
	d := &documenter{schemas: jsonObject{}, comments: comments(t, "../../internal/api"), body: map[reflect.Type]bool{}}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	must(t, encoder.Encode(d.document((&Server{}).routes())))
	if *update {
		must(t, os.WriteFile("openapi.json", text.Bytes(), 0o644))
	} else if !bytes.Equal(text.Bytes(), openAPI) {
		t.Error("openapi.json is not what the routes and types say; go test ./runner/server -run OpenAPI -update writes it")
	}
}

type documenter struct {
	schemas  jsonObject
	comments map[string]string // of types and of their fields, "Job" and "Job.Name"
	body     map[reflect.Type]bool
}

func (d *documenter) document(routes []route) jsonObject {
	paths := jsonObject{}
	for _, r := range routes {
		at, _ := paths[r.path].(jsonObject)
		if at == nil {
			at = jsonObject{}
			paths[r.path] = at
		}
		at[strings.ToLower(r.method)] = d.operation(r)
	}
	d.schemas["Problem"] = d.structure(reflect.TypeFor[problem]())
	return jsonObject{
		"openapi": "3.1.0",
		"info": jsonObject{
			"title": "batch-runner", "version": api.Version,
			"description": "Declares batch prediction jobs, runs them and tells how they went. Version 1 only grows. " +
				"Unknown fields of a request are refused. Errors are problem documents (RFC 9457); the pointers of their problems lead into the document that was sent, and for a job into its spec.",
		},
		"paths": paths,
		"components": jsonObject{
			"schemas":         d.schemas,
			"securitySchemes": jsonObject{"token": jsonObject{"type": "http", "scheme": "bearer", "description": "On a port. On a unix socket the permissions of its file decide."}},
		},
	}
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

func (d *documenter) operation(r route) jsonObject {
	parameters := []jsonObject{}
	parameter := func(in, name string, required bool) {
		parameters = append(parameters, jsonObject{"in": in, "name": name, "required": required, "schema": jsonObject{"type": "string"}})
	}
	for _, m := range pathParameter.FindAllStringSubmatch(r.path, -1) {
		parameter("path", m[1], true)
	}
	for _, name := range r.query {
		parameter("query", name, false)
	}
	for _, name := range r.headers {
		parameter("header", name, false)
	}
	op := jsonObject{"summary": r.summary, "responses": d.responses(r)}
	if len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if !r.open {
		op["security"] = []jsonObject{{"token": []string{}}, {}}
	}
	if r.body != nil {
		d.close(reflect.TypeOf(r.body))
		op["requestBody"] = jsonObject{"content": jsonObject{"application/json": jsonObject{"schema": d.schema(reflect.TypeOf(r.body))}}}
	}
	return op
}

func (d *documenter) responses(r route) jsonObject {
	all := jsonObject{}
	for _, status := range documented(r) {
		response := jsonObject{"description": http.StatusText(status)}
		switch {
		case status >= 400:
			response["content"] = jsonObject{"application/problem+json": jsonObject{"schema": ref("Problem")}}
		case r.answer != nil || r.media != nil:
			response["content"] = d.content(r)
		}
		all[strconv.Itoa(status)] = response
	}
	return all
}

// content is what a success of a route holds.
func (d *documenter) content(r route) jsonObject {
	content := jsonObject{}
	if r.answer != nil {
		content["application/json"] = jsonObject{"schema": d.schema(reflect.TypeOf(r.answer))}
	}
	for _, media := range r.media {
		content[media] = jsonObject{"schema": jsonObject{"type": "string"}}
	}
	return content
}

// documented are all statuses of a route, also those that need no mention.
func documented(r route) []int {
	all := r.status
	if !r.open {
		all = append(all[:len(all):len(all)], http.StatusUnauthorized, http.StatusInternalServerError)
	}
	if r.body != nil {
		all = append(all[:len(all):len(all)], http.StatusRequestEntityTooLarge)
	}
	if r.method != http.MethodGet { // the disk is full, or the clock not to be trusted
		all = append(all[:len(all):len(all)], http.StatusServiceUnavailable)
	}
	return all
}

func ref(name string) jsonObject { return jsonObject{"$ref": "#/components/schemas/" + name} }

// close marks what a request is made of: there, unknown keys are refused.
func (d *documenter) close(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		d.close(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() || d.body[t] {
			return
		}
		d.body[t] = true
		delete(d.schemas, t.Name()) // an answer may have named it before
		for field := range t.Fields() {
			d.close(field.Type)
		}
	}
}

func (d *documenter) schema(t reflect.Type) jsonObject {
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.Slice:
		return jsonObject{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return jsonObject{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.String:
		return jsonObject{"type": "string"}
	case reflect.Bool:
		return jsonObject{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return jsonObject{"type": "integer"}
	case reflect.Float64:
		return jsonObject{"type": "number"}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return jsonObject{"type": "string", "format": "date-time"}
		}
		name := t.Name()
		if strings.HasSuffix(name, "List") || name == "finding" {
			return d.structure(t) // in place
		}
		if d.schemas[name] == nil {
			d.schemas[name] = jsonObject{} // what refers to itself ends here
			d.schemas[name] = d.structure(t)
		}
		return ref(name)
	}
	panic("no schema for " + t.String())
}

func (d *documenter) structure(t reflect.Type) jsonObject {
	properties, required := jsonObject{}, []string{}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := d.schema(field.Type)
		if text := d.comments[t.Name()+"."+field.Name]; text != "" {
			property["description"] = text
		}
		properties[name] = property
		if options == "" {
			required = append(required, name)
		}
	}
	s := jsonObject{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	if text := d.comments[t.Name()]; text != "" {
		s["description"] = text
	}
	if d.body[t] {
		s["additionalProperties"] = false
	}
	return s
}

// comments reads what a package says of its types and their fields.
func comments(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.go")
	must(t, err)
	texts := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		must(t, err)
		for _, declared := range parsed.Decls {
			if general, ok := declared.(*ast.GenDecl); ok {
				for _, spec := range general.Specs {
					if named, ok := spec.(*ast.TypeSpec); ok {
						texts[named.Name.Name] = oneLine(general.Doc)
						fieldComments(named, texts)
					}
				}
			}
		}
	}
	return texts
}

func fieldComments(named *ast.TypeSpec, texts map[string]string) {
	structure, ok := named.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range structure.Fields.List {
		text := oneLine(field.Doc)
		if text == "" {
			text = oneLine(field.Comment)
		}
		for _, name := range field.Names {
			texts[fmt.Sprintf("%s.%s", named.Name.Name, name.Name)] = text
		}
	}
}

func oneLine(group *ast.CommentGroup) string {
	return strings.Join(strings.Fields(group.Text()), " ")
}
