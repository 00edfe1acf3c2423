package format_test

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A reader that knows what the records before looked like must read each one as
// a reader does that has seen none.
func TestARecordIsReadAlikeWhateverWasBeforeIt(t *testing.T) {
	value := rapid.OneOf(
		rapid.SampledFrom([]string{
			"0", "-0", "-1.75", "3e2", "1E+05", "123456789012345678901234567890.000000000001e-400", "1234567", "12345678", "123456789",
			`""`, `"plain"`, `"seven77"`, `"eight888"`, `"nine99999"`, `"ümlaut and 日本語"`, `"a\"b\\c\u00e9\n"`, `"ends in a backslash\\"`, `"}"`, `","`,
			"true", "false", "null", "{}", "[]", `[1, {"a": "b"}]`, `{"a":{"a":1}}`, "[\r]",
		}),
		rapid.SampledFrom([]string{ // none of these is JSON
			"01", "-", "1.", ".5", "+1", "1e", "1e+", "--1", "0x1", "NaN", "nul", "'a'", `"open`, `"\x"`, `"\u12g4"`, "\"\xff\"", "\"tab\there\"",
			"\"seven77\xc3\"", "[1,]", "{\"a\"}", "", "1 2",
		}),
		rapid.StringMatching(`-?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?`),
		rapid.Map(rapid.StringN(0, 40, -1), func(s string) string { return `"` + s + `"` }),
	)
	key := rapid.SampledFrom([]string{"a", "b", "c", "id", "\\u0061", "sepal_length_in_cm", "sepal_length_in_mm", "ключ"})
	blank := rapid.SampledFrom([]string{"", "", "", "", " ", "\t ", "\r"})
	record := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 20).Draw(t, "odd") == 0 {
			return rapid.SampledFrom([]string{"{}", "[1]", "{", `{"a":1`, `{"a":1,}`, `{"a":1}}`, "1,2", `{"a" 1}`, "\xff"}).Draw(t, "oddity")
		}
		var text strings.Builder
		for i := range rapid.IntRange(1, 4).Draw(t, "keys") {
			text.WriteString([]string{"{", ","}[min(i, 1)] + blank.Draw(t, "blank") + `"` + key.Draw(t, "key") + `":` + blank.Draw(t, "blank") +
				value.Draw(t, "value") + blank.Draw(t, "blank"))
		}
		return text.String() + "}" + blank.Draw(t, "blank")
	})
	rapid.Check(t, func(r *rapid.T) {
		var records []string
		for range rapid.IntRange(1, 12).Draw(r, "records") {
			text := record.Draw(r, "record")
			text = strings.ReplaceAll(text, "\n", " ")
			// The same keys in the same order again, with other values.
			for range rapid.IntRange(1, 3).Draw(r, "times") {
				records = append(records, text)
				if at := strings.LastIndexByte(text, ':'); at > 0 {
					text = text[:at+1] + strings.ReplaceAll(value.Draw(r, "other value"), "\n", " ") + "}"
				}
			}
		}
		lineEnd := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(r, "line end")
		lines := strings.SplitAfter(strings.Join(records, lineEnd)+rapid.SampledFrom([]string{"", lineEnd}).Draw(r, "last line end"), "\n")
		wanted := []string{"a", "sepal_length_in_cm"}[:rapid.IntRange(1, 2).Draw(r, "wanted")]
		reader := newReader(t, "jsonl", strings.NewReader(strings.Join(lines, "")), nil, wanted)
		for i, text := range records {
			got, err := reader.Read()
			if err != nil {
				r.Fatal(err)
			}
			want, err := newReader(t, "jsonl", strings.NewReader(lines[i]), nil, wanted).Read()
			if err != nil {
				r.Fatal(err)
			}
			if got.Line != int64(i+1) || !bytes.Equal(got.Raw, want.Raw) || (got.Bad == nil) != (want.Bad == nil) || len(got.Values) != len(want.Values) {
				r.Fatalf("record %d: %q: got line %d, %q, %v; alone it is %q, %v", i+1, text, got.Line, got.Raw, got.Bad, want.Raw, want.Bad)
			}
			if got.Bad != nil && got.Bad.Error() != want.Bad.Error() {
				r.Fatalf("%q: got %v, alone it is %v", text, got.Bad, want.Bad)
			}
			for v := range got.Values {
				if got.Values[v].JSON != want.Values[v].JSON || !bytes.Equal(got.Values[v].Bytes, want.Values[v].Bytes) {
					r.Fatalf("%q: value %d is %q, alone it is %q", text, v, got.Values[v].Bytes, want.Values[v].Bytes)
				}
			}
		}
	})
}
