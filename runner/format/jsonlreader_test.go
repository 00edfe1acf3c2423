package format_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func TestJSONLRecords(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"plain":                    {`{"a":1,"b":"x"}`, []string{`1: "x"|1`}},
		"numbers stay as they are": {`{"a":12345678901234567890.10e-7,"b":-0}`, []string{`1: -0|12345678901234567890.10e-7`}},
		"null is a value":          {`{"a":null,"b":null}`, []string{`1: null|null`}},
		"other keys, any order":    {`{"z":{"a":0},"b":[1, {"a":2}],"a":true,"y":[]}`, []string{`1: [1, {"a":2}]|true`}},
		"blanks":                   {" {\t\"a\" : 1 ,\"b\"\t:2 } ", []string{"1: 2|1"}},
		"crlf":                     {"{\"a\":1,\"b\":2}\r\n{\"a\":3,\"b\":4}\r\n", []string{"1: 2|1", "2: 4|3"}},
		"blank lines":              {"\n{\"a\":1,\"b\":2}\n \r\n\n{\"a\":3,\"b\":4}", []string{"2: 2|1", "5: 4|3"}},
		"escaped key":              {`{"\u0061":1,"b":2}`, []string{`1: 2|1`}},
		"key that only looks alike": {
			`{"a\u0000":1,"a":3,"b":2}`, []string{`1: 2|3`}},
		"escapes in values":       {`{"a":"\"}{\\","b":"\ud83d\ude00"}`, []string{`1: "\ud83d\ude00"|"\"}{\\"`}},
		"blanks change":           {"{\"a\":1,\"b\" : 2}\n{\"a\": 3,\"b\" :4}\n{\"a\":5,\"b\" :  6}", []string{"1: 2|1", "2: 4|3", "3: 6|5"}},
		"keys change their order": {"{\"a\":1,\"b\":2}\n{\"b\":3,\"a\":4}\n{\"a\":5,\"b\":6}", []string{"1: 2|1", "2: 3|4", "3: 6|5"}},
		"missing column":          {"{\"a\":1}\n{\"a\":3,\"b\":4}", []string{`1! has no column "b"; write null where there is no value`, "2: 4|3"}},
		"empty object":            {`{ }`, []string{`1! has no column "b"; write null where there is no value`}},
		"wanted key twice":        {`{"a":1,"b":2,"a":3}`, []string{`1! has column "a" twice`}},
		"other key twice":         {`{"a":1,"b":2,"c":3,"c":4}`, []string{`1: 2|1`}},
		"list":                    {`[1]`, []string{`1! is a list where a JSON object is wanted`}},
		"number":                  {`1`, []string{`1! is a number where a JSON object is wanted`}},
		"string":                  {`"a"`, []string{`1! is a string where a JSON object is wanted`}},
		"null":                    {`null`, []string{`1! is null where a JSON object is wanted`}},
		"csv":                     {`1,2`, []string{`1! is not valid JSON at byte 2: unexpected ','`}},
		"two objects":             {`{"a":1,"b":2}{}`, []string{`1! is not valid JSON at byte 14: unexpected '{'`}},
		"trailing comma":          {`{"a":1,}`, []string{`1! is not valid JSON at byte 8: unexpected '}'`}},
		"no colon":                {`{"a" 1}`, []string{`1! is not valid JSON at byte 6: unexpected '1'`}},
		"leading zero":            {`{"a":01}`, []string{`1! is not valid JSON at byte 7: unexpected '1'`}},
		"NaN":                     {`{"a":NaN}`, []string{`1! is not valid JSON at byte 6: unexpected 'N'`}},
		"bad escape":              {`{"a":"\x"}`, []string{`1! is not valid JSON at byte 8: unexpected 'x'`}},
		"control character":       {"{\"a\":\"\t\"}", []string{`1! is not valid JSON at byte 7: unexpected '\t'`}},
		"cut short":               {"{\"a\":1,\"b\":\n{\"a\":3,\"b\":4}", []string{"1! is not valid JSON: it ends too early, after byte 11", "2: 4|3"}},
		"not utf-8":               {"{\"a\":\"\xff\",\"b\":1}", []string{"1! is not UTF-8 at byte 7"}},
		"too large":               {`{"a":"` + strings.Repeat("x", format.MaxRecord) + "\"}\n{\"a\":3,\"b\":4}", []string{"1! " + tooLarge, "2: 4|3"}},
		"nested deeper than allowed": {
			`{"a":` + strings.Repeat("[", 10_001), []string{"1! is nested more than 10000 levels deep, at byte 10005"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(t, newReader(t, "jsonl", strings.NewReader(test.text), nil, []string{"b", "a"}))
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestJSONLValuesAreTokens(t *testing.T) {
	record, err := newReader(t, "jsonl", strings.NewReader(`{"a":null}`), nil, []string{"a", "a"}).Read()
	if err != nil || record.Bad != nil {
		t.Fatal(err, record)
	}
	for _, value := range record.Values {
		if !value.JSON || string(value.Bytes) != "null" {
			t.Errorf("null is %q, JSON %v", value.Bytes, value.JSON)
		}
	}
}

// FuzzJSONLReader: a record is good exactly where encoding/json sees a sound
// object with the wanted keys, and the values are the same bytes.
func FuzzJSONLReader(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"b":[{"c":"\u0041"}]}`, `{"\u0061":-1.5e+3,"b":null}`, `{"a":"\ud800x","a":2}`, `[1]`, `{"a":01}`, `{"a":tru}`, ` { } `,
	} {
		f.Add(text)
	}
	wanted := []string{"a", "b"}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, "\n", " ")
		reader := newReader(t, "jsonl", strings.NewReader(text+"\n"+text), nil, wanted)
		first, err := reader.Read()
		if err != nil {
			return // a blank line
		}
		firstBad := first.Bad
		second, err := reader.Read() // now with the keys seen before
		if err != nil {
			t.Fatal(err)
		}
		if (firstBad == nil) != (second.Bad == nil) || firstBad != nil && firstBad.Error() != second.Bad.Error() {
			t.Fatalf("%q is first %v, then %v", text, firstBad, second.Bad)
		}
		keys, sound := topLevel(text)
		sound = sound && utf8.ValidString(text) && len(keys["a"]) == 1 && len(keys["b"]) == 1
		if sound != (second.Bad == nil) {
			t.Fatalf("%q: bad %v, but sound is %v", text, second.Bad, sound)
		}
		for i, name := range wanted {
			if sound && !bytes.Equal(second.Values[i].Bytes, keys[name][0]) {
				t.Fatalf("%q: %s is %q, want %q", text, name, second.Values[i].Bytes, keys[name][0])
			}
		}
	})
}

// topLevel reads an object with encoding/json, each key as often as it stands.
func topLevel(text string) (map[string][]json.RawMessage, bool) {
	if !json.Valid([]byte(text)) || strings.TrimLeft(text, " \t\r")[0] != '{' {
		return nil, false
	}
	keys := map[string][]json.RawMessage{}
	decoder := json.NewDecoder(strings.NewReader(text))
	_, _ = decoder.Token()
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, false
		}
		keys[key.(string)] = append(keys[key.(string)], value)
	}
	return keys, true
}
