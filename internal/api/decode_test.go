package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// bodies are the documents that people and programs send.
var bodies = []any{Job{}, PutJob{}, Trigger{}, Accept{}, RetryRun{}}

// nested wraps a value so that it stands at a JSON pointer.
func nested(pointer string, value any) []byte {
	parts := strings.Split(pointer, "/")[1:]
	for _, part := range slices.Backward(parts) {
		value = map[string]any{part: value}
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// walk visits every type below t with the pointer it stands at; a map's
// entry goes by the name KEY.
func walk(t reflect.Type, pointer string, visit func(pointer string, t reflect.Type)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	visit(pointer, t)
	switch {
	case t == reflect.TypeFor[time.Time]():
	case t.Kind() == reflect.Map:
		walk(t.Elem(), pointer+"/KEY", visit)
	case t.Kind() == reflect.Struct:
		fields := jsonFields(t)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			walk(fields[name], pointer+"/"+name, visit)
		}
	}
}

// decode decodes into a new value of the type of body.
func decode(text []byte, body any) (any, error) {
	target := reflect.New(reflect.TypeOf(body))
	err := Decode(text, target.Interface())
	return target.Elem().Interface(), err
}

// onlyProblem is the one finding of a refused document.
func onlyProblem(t *testing.T, text []byte, body any) Error {
	t.Helper()
	_, err := decode(text, body)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != CodeInvalid || len(e.Problems) != 1 {
		t.Fatalf("%s into %T: %v; want one problem", text, body, err)
	}
	return e.Problems[0]
}

func TestEveryMisspeltKeyOfEveryObjectIsNamedWithTheAcceptedKeys(t *testing.T) {
	objects := 0
	for _, body := range bodies {
		walk(reflect.TypeOf(body), "", func(pointer string, at reflect.Type) {
			if at.Kind() != reflect.Struct || at == reflect.TypeFor[time.Time]() {
				return
			}
			objects++
			keys := slices.Sorted(maps.Keys(jsonFields(at)))
			for _, key := range keys {
				for _, misspelt := range []string{key + "s", strings.ToUpper(key), "x" + key} {
					if slices.Contains(keys, misspelt) {
						continue
					}
					problem := onlyProblem(t, nested(pointer+"/"+misspelt, 1), body)
					if problem.Pointer != pointer+"/"+misspelt || problem.Message != "is unknown" {
						t.Errorf("%T: %+v", body, problem)
					}
					if !strings.HasSuffix(problem.Hint, " takes "+strings.Join(keys, ", ")) {
						t.Errorf("%T %s: the hint %q does not list %v", body, pointer, problem.Hint, keys)
					}
				}
			}
		})
	}
	if objects < 30 {
		t.Errorf("only %d objects were tried", objects)
	}
}

func TestEveryValueOfAWrongTypeIsNamedWithItsPointer(t *testing.T) {
	for _, body := range bodies {
		walk(reflect.TypeOf(body), "", func(pointer string, at reflect.Type) {
			if pointer == "" {
				return
			}
			wrong, text := any([]any{}), "is a list; "
			switch {
			case at == reflect.TypeFor[time.Time]():
				text += "an RFC 3339 instant is wanted"
			case at.Kind() == reflect.Slice:
				wrong, text = map[string]any{}, "is an object; a list is wanted"
			case at.Kind() == reflect.String:
				text += "a string is wanted"
			case at.Kind() == reflect.Bool:
				text += "true or false is wanted"
			case at.Kind() == reflect.Int64:
				text += "a whole number is wanted"
			default:
				text += "an object is wanted"
			}
			if got := onlyProblem(t, nested(pointer, wrong), body); got.Pointer != pointer || got.Message != text {
				t.Errorf("%T %s: %+v; want %q", body, pointer, got, text)
			}
		})
	}
}

func TestDecodeNamesTheValueThatIsWrong(t *testing.T) {
	for _, test := range []struct {
		text, pointer, message string
		body                   any
	}{
		{`[]`, "", "is a list; an object is wanted", Job{}},
		{`"x"`, "", `is the string "x"; an object is wanted`, Job{}},
		{`{"parallelism": 1.5}`, "/parallelism", "is 1.5; a whole number is wanted", Job{}},
		{`{"parallelism": 1e3}`, "/parallelism", "is 1e3; a whole number is wanted", Job{}},
		{`{"parallelism": 9223372036854775808}`, "/parallelism", "is 9223372036854775808; a whole number is wanted", Job{}},
		{`{"parallelism": "8"}`, "/parallelism", `is the string "8"; a whole number is wanted`, Job{}},
		{`{"paused": 1}`, "/paused", "is 1; true or false is wanted", Job{}},
		{`{"max_failed": 5}`, "/max_failed", "is 5; a string is wanted", Job{}},
		{`{"labels": {"a/b": true}}`, "/labels/a~1b", "is true; a string is wanted", Job{}},
		{`{"predict": {"features": {"columns": ["a", 2]}}}`, "/predict/features/columns/1", "is 2; a string is wanted", Job{}},
		{`{"retry": {"backoff": [10]}}`, "/retry/backoff/0", "is 10; a string is wanted", Job{}},
		{`{"predict": {"server": {"secret_env": {"A": "x"}}}}`, "/predict/server/secret_env/A", `is the string "x"; an object is wanted`, Job{}},
		{`{"predict": {"server": {"secret_env": {"A": {"secret": "x", "files": "y"}}}}}`, "/predict/server/secret_env/A/files", "is unknown", Job{}},
		{`{"name": "a", "input": {}, "name": "b"}`, "/name", "is given twice", Job{}},
		{`{"labels": {"a": "1", "a": "2"}}`, "/labels/a", "is given twice", Job{}},
		{`{"spec": {"nome": "x"}}`, "/spec/nome", "is unknown", PutJob{}},
		{`{"occurrence": "yesterday"}`, "/occurrence", `"yesterday" is not an RFC 3339 instant; write it like 1970-01-01T00:00:00Z`, Trigger{}},
		{`{"occurrence": {"wall": 1}}`, "/occurrence", "is an object; an RFC 3339 instant is wanted", Trigger{}},
		{`{"occurrence": 1}`, "/occurrence", "is 1; an RFC 3339 instant is wanted", Trigger{}},
	} {
		got := onlyProblem(t, []byte(test.text), test.body)
		if got.Pointer != test.pointer || got.Message != test.message {
			t.Errorf("%s: %q %q\nwant %q %q", test.text, got.Pointer, got.Message, test.pointer, test.message)
		}
	}
}

func TestDecodeReportsAllFindingsAtOnce(t *testing.T) {
	_, err := decode([]byte(`{"nme": 1, "paused": "no", "input": {"uri": "x"}}`), Job{})
	want := `document is not valid
  nme is unknown; the document takes accept_incomplete, catch_up, dead_letters, hold_after_failures, input, keep_withheld, labels, max_failed, max_queued, mini_batch, name, output, overlap, parallelism, paused, predict, retry, schedule
  paused is the string "no"; true or false is wanted
  input.uri is unknown; input takes duplicate_keys, files, key, max_spool, mode, on_empty, sql, state, wait_for`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

func TestDecodeReadsWhatItShould(t *testing.T) {
	text, err := json.Marshal(fullJob())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(text, Job{}); err != nil || !reflect.DeepEqual(got, fullJob()) {
		t.Errorf("%v\n%+v", err, got)
	}
	got, err := decode([]byte(`{"occurrence": "2026-11-21T02:00:00+01:00", "if_idle": true}`), Trigger{})
	if want := time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC); err != nil || !got.(Trigger).Occurrence.Equal(want) || !got.(Trigger).IfIdle {
		t.Errorf("%v, %+v", err, got)
	}
	got, err = decode([]byte(` {"name": "a", "labels": null, "paused": null, "predict": null, "schedule": null}`+"\n"), Job{})
	if err != nil || !reflect.DeepEqual(got, Job{Name: "a"}) {
		t.Errorf("null is not absent: %v, %+v", err, got)
	}
}

func TestWhatIsNoJSONDocumentIsMalformed(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "the document is empty",
		" \n":                       "the document is empty",
		`{"name": "a"`:              "the document ends too early, on line 1",
		"{\n\"name\": \"a\",\n\nx}": "line 4 is not JSON",
		"{\"name\": tru}":           "line 1 is not JSON",
		`{} {}`:                     "text follows the JSON document",
		`{}}`:                       "text follows the JSON document",
		`{} x`:                      "text follows the JSON document",
		strings.Repeat("[", 20_000): "exceeded max depth",
		`{"a" 1}`:                   "line 1 is not JSON",
	} {
		_, err := decode([]byte(text), Job{})
		if CodeOf(err) != CodeMalformed || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%.40q: %s %v; want %q", text, CodeOf(err), err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	full, err := json.Marshal(fullJob())
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(full), `{}`, `null`, `[1]`, `{"a":{"a":[{}]}}`, `{"labels":{"":null}}`, `{"name":"\ud800"}`, `{"name":1,"name":2}`, "\xff", `{`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, body := range bodies {
			got, err := decode(text, body)
			if err != nil {
				// Whatever is JSON but not wanted is a finding with a place.
				if json.Valid(text) && CodeOf(err) != CodeInvalid {
					t.Errorf("%q into %T: %v", text, body, err)
				}
				continue
			}
			if job, ok := got.(Job); ok {
				Validate(job)
				job.Hash()
				_ = job.Summary("")
			}
		}
	})
}
