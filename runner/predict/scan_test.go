package predict

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzScannerAgreesWithEncodingJSON: what JSON is, the scanner takes whole, and
// what it passes on is the same JSON on one line; the only other thing it
// takes is a bare NaN or Infinity.
func FuzzScannerAgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a": [1, -0.5e+7, {"b": null}], "c\"\u00e9": "x\\"}`, `[]`, ` {} `, `[NaN,Infinity,-Infinity]`, `[1,]`, `{"a"}`,
		`01`, `1.`, `-`, `"\x"`, `"\u12"`, "\"\n\"", `[[[[`, `tru`, `1 2`, `{"a":1,}`, `- 1`, `["NaN, Infinity"]`, "[\t-1 ,\r\n-Infinity ]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := scanner{buf: text}
		tok, err := s.value()
		if err == nil {
			err = s.end()
		}
		valid := json.Valid(text)
		switch {
		case err != nil && valid:
			t.Fatalf("%q is JSON, but the scanner says it %v", text, err)
		case err != nil:
			return
		}
		clean := s.text(tok)
		if tok.dirty {
			clean, _ = appendClean(nil, clean, false)
		}
		if !json.Valid(clean) {
			t.Fatalf("%q is passed on as %q, which is not JSON", text, clean)
		}
		if !valid {
			if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
				t.Fatalf("%q is not JSON, but the scanner took it", text)
			}
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(clean, compact.Bytes()) {
			t.Fatalf("%q is passed on as %q, want %q", text, clean, compact.Bytes())
		}
	})
}

// FuzzAnswers: whatever a server answers, cutting it does not panic, and what
// is cut is one JSON token per record and column.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"id":"k","outputs":[{"name":"score","shape":[2],"data":[1,2]}]}`,
		`{"outputs":[{"data":[[1,NaN],[3 ,"x"]],"shape":[2,2],"name":"p"},{"name":"s","shape":[2,1,1],"data":[[[1]],[[2]]]}]}`,
		`{"outputs":[{"name":"s","shape":[2,9999999999,9999999999],"data":[]}]}`,
		`{"predictions":[{"a":1,"b":[1,2]},{"b":[3 ,4],"a":{}}]}`,
		`{"predictions":[[1,2],[3,4]]}`, `{"predictions":[1,2]}`, `{"predictions":[1,{"a":1}]}`, `{"predictions":[1,2,3]}`,
		`{"outputs":[{"name":"s","shape":[2],"data":[1]}`, `[]`, ``, `{"outputs":[{"name":"s","shape":[2],"data":[]}]}`,
	} {
		for mode := range byte(4) {
			f.Add(mode, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, mode byte, body []byte) {
		config := Config{Protocol: []string{"oip_v2", "tf_v1"}[mode%2], BaseURL: "http://server"}
		config.Features.Columns = []string{"x"}
		if mode&2 != 0 {
			config.Outputs = map[string]string{"a": "a", "b": "b[1]", "c": "p[0]"}
		}
		c, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		r := c.newResponse()
		r.begin(body, 2)
		if parse(c.codec, r, 2, "k") != nil {
			return
		}
		if len(r.Columns()) == 0 && config.Protocol == "oip_v2" {
			t.Fatalf("%q gives no columns", body)
		}
		for record := range r.Len() {
			values := r.Values(record, nil)
			if len(values) != len(r.Columns()) {
				t.Fatalf("%q gives %d values for %d columns", body, len(values), len(r.Columns()))
			}
			for _, v := range values {
				if !json.Valid(v.Bytes) || !utf8.Valid(v.Bytes) || bytes.ContainsAny(v.Bytes, "\r\n") {
					t.Fatalf("%q gives %q, which is no JSON on one line", body, v.Bytes)
				}
			}
		}
	})
}

// FuzzNumbersKeepTheirValue: text that is sent as a number is JSON, and the
// same number to the last digit.
func FuzzNumbersKeepTheirValue(f *testing.F) {
	for _, seed := range []string{"1", ".5", "1.", "+1", "-.5e-3", "007", "-0", "9007199254740993", " 1 ", "1e5", "1E+05", "1.e2", "0x10", "NaN", "", ".", "1_0", "1e", "+-1", "1,5", "Infinity", "00.10"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := appendNumber([]byte("["), text)
		if !ok {
			if string(got) != "[" {
				t.Fatalf("%q is refused, but leaves %q", text, got)
			}
			if json.Valid(text) && text[0] != '"' && strings.Trim(string(text), "0123456789+-.eE \t\r\n") == "" {
				t.Fatalf("%q is a JSON number, but refused", text)
			}
			return
		}
		got = got[1:]
		var number json.Number
		if err := json.Unmarshal(got, &number); err != nil || len(got) == 0 || got[0] == '"' {
			t.Fatalf("%q is sent as %q: %v", text, got, err)
		}
		if at := bytes.IndexAny(got, "e"); at >= 0 && len(got)-at > 5 {
			return // exponents that no exact number is made for
		}
		want, ok1 := new(big.Rat).SetString(strings.TrimSpace(string(text)))
		have, ok2 := new(big.Rat).SetString(string(got))
		if !ok1 || !ok2 || want.Cmp(have) != 0 {
			t.Fatalf("%q is sent as %q", text, got)
		}
	})
}
