package provider

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

type diagnostics = diag.Diagnostics

// diagnose turns one finding, whoever made it, into what Terraform shows.
// Terraform shows no line inside an object: so the finding attaches to the
// top-level attribute, whose whole expression is then printed, and its summary
// begins with the dotted path.
func diagnose(finding api.Error) diag.Diagnostic {
	pointer := strings.TrimPrefix(finding.Pointer, "/settings")
	if strings.HasPrefix(pointer, "/spec/") {
		pointer = strings.TrimPrefix(pointer, "/spec")
	}
	if pointer == "" {
		return diag.NewErrorDiagnostic(finding.Message, finding.Hint)
	}
	top, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return diag.NewAttributeErrorDiagnostic(path.Root(top), api.Located(pointer, finding.Message), finding.Hint)
}

// explain turns the error of something that was tried into what Terraform
// shows: the findings of an invalid document each on its own, everything else
// after what was tried.
func explain(tried string, err error) diagnostics {
	var all diagnostics
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		all.AddError("cannot "+tried, err.Error())
		return all
	}
	for _, problem := range e.Problems {
		all.Append(diagnose(problem))
	}
	if len(e.Problems) == 0 && e.Pointer != "" {
		all.Append(diagnose(*e))
	}
	switch {
	case len(all) > 0:
	case err.Error() == e.Error():
		all.AddError("cannot "+tried, sentence(e))
	default: // with a story around it
		all.AddError("cannot "+tried, err.Error())
	}
	return all
}

// sentence is an error's message and remedy as text.
func sentence(e *api.Error) string {
	text := strings.ToUpper(e.Message[:min(1, len(e.Message))]) + e.Message[min(1, len(e.Message)):] + "."
	if e.Hint != "" {
		text += "\n\n" + strings.ToUpper(e.Hint[:1]) + e.Hint[1:] + "."
	}
	return text
}

// bearings lists what a finding about an attribute may rest on besides what
// stands in and beside it. A finding within a key is doubtful while one of its
// values is unknown.
var bearings = map[string][]string{
	"/max_queued":                {"/overlap"},
	"/overlap":                   {"/schedule", "/output/files/uri", "/output/sql", "/retry/policy", "/input/mode"},
	"/catch_up":                  {"/schedule"},
	"/input/key":                 {"/output/sql"},
	"/input/state":               {"/input/files/uri", "/input/sql/dsn/secret", "/input/sql/dsn/file", "/input/sql/dsn/env", "/input/sql/query", "/input/sql/watermark/column"},
	"/input/files/min_age":       {"/input/mode"},
	"/input/files/done_marker":   {"/input/mode"},
	"/input/sql/watermark":       {"/input/mode"},
	"/input/wait_for":            {"/input/files", "/input/sql"},
	"/predict/model":             {"/predict/program"},
	"/predict/features":          {"/predict/program"},
	"/predict/outputs":           {"/output/keep", "/output/sql/json_column", "/input/key"},
	"/predict/golden":            {"/predict/features/columns"},
	"/predict/rows_per_request":  {"/predict/program/per"},
	"/predict/on_model_change":   {"/retry/policy"},
	"/output/publish":            {"/retry/policy", "/output/files/uri", "/output/files/layout", "/output/files/partition_by"},
	"/output/files/partition_by": {"/output/keep", "/input/key"},
	"/output/files/types":        {"/output/keep", "/input/key", "/predict/outputs"},
	"/output/sql/json_column":    {"/output/keep", "/input/key", "/predict/outputs"},
	"/output/sql/run_at":         {"/output/keep", "/input/key", "/predict/outputs"},
	"/retry/max_carries":         {"/input/mode", "/input/sql"},
	"/max_failed":                {"/retry/policy"},
	"/dead_letters/input":        {"/input/key"},
	"/fail_on":                   {"/wait"},
}

// certain keeps the findings that the values not yet known can't change: none
// about such a value, about an object that holds one, beside one, because a
// rule may join neighbours, or resting on one.
func certain(findings []api.Error, unknown []string) []api.Error {
	var kept []api.Error
	for _, finding := range findings {
		if !slices.ContainsFunc(unknown, func(u string) bool { return bears(u, finding.Pointer) }) {
			kept = append(kept, finding)
		}
	}
	return kept
}

// bears tells whether what becomes of an unknown value may change a finding.
func bears(unknown, finding string) bool {
	parent, _ := splitPointer(finding)
	beside, _ := splitPointer(unknown)
	if within(unknown, finding) || within(finding, unknown) || parent != "" && parent == beside {
		return true
	}
	for about, grounds := range bearings {
		if within(finding, about) && slices.ContainsFunc(grounds, func(ground string) bool { return within(ground, unknown) }) {
			return true
		}
	}
	return false
}

func within(pointer, ancestor string) bool {
	return pointer == ancestor || strings.HasPrefix(pointer, ancestor+"/")
}

func splitPointer(pointer string) (parent, last string) {
	i := strings.LastIndexByte(pointer, '/')
	if i < 0 {
		return "", pointer
	}
	return pointer[:i], pointer[i+1:]
}

// pointerOf is a framework path as a JSON pointer.
func pointerOf(p path.Path) string {
	pointer := ""
	for _, step := range p.Steps() {
		switch s := step.(type) {
		case path.PathStepAttributeName:
			pointer = appendPointer(pointer, string(s))
		case path.PathStepElementKeyString:
			pointer = appendPointer(pointer, string(s))
		case path.PathStepElementKeyInt:
			pointer = appendPointer(pointer, fmt.Sprint(int64(s)))
		}
	}
	return pointer
}

func appendPointer(base, token string) string {
	return base + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}

// findings collects what is wrong with an object that package api does not
// know.
type findings []api.Error

func (f *findings) add(pointer, format string, args ...any) {
	*f = append(*f, api.Error{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// check adds an error that continues a sentence beginning with the value.
func (f *findings) check(pointer, value string, err error) {
	if err != nil {
		f.add(pointer, "%q %v", value, err)
	}
}

func (f *findings) absolute(pointer, path string) {
	if path != "" && !filepath.IsAbs(path) {
		f.add(pointer, `%q is not absolute; write abspath(%q)`, path, path)
	}
}

func (f *findings) word(pointer, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		f.add(pointer, "%q is not one of %s", value, strings.Join(known, ", "))
	}
}

// report shows the findings that hold whatever the unknown values become, and
// each empty value that nothing was said about.
func (f *findings) report(diags *diagnostics, unknown, empty []string) {
	for _, pointer := range empty {
		if !slices.ContainsFunc(*f, func(e api.Error) bool { return e.Pointer == pointer }) {
			f.add(pointer, "is empty; give it a value, or remove it")
		}
	}
	for _, finding := range certain(*f, unknown) {
		diags.Append(diagnose(finding))
	}
}
