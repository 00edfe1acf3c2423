package compare

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

func csvCell(s string) format.Value  { return format.Value{Bytes: []byte(s)} }
func jsonCell(s string) format.Value { return format.Value{Bytes: []byte(s), JSON: true} }

func TestCellsThatMeanTheSame(t *testing.T) {
	for _, test := range []struct {
		a, b      format.Value
		tolerance float64
		want      bool
	}{
		{csvCell("7"), jsonCell("7"), 0, true},
		{csvCell("7.0"), jsonCell("7"), 0, true},
		{jsonCell("1e3"), jsonCell("1000.00"), 0, true},
		{csvCell("9007199254740993"), jsonCell("9007199254740993.0"), 0, true},
		{csvCell("9007199254740993"), jsonCell("9007199254740992"), 0, false},
		{jsonCell("0.1"), jsonCell("0.10000000000000001"), 0, false},
		{jsonCell("0.1"), jsonCell("0.1000001"), 1e-6, true},
		{jsonCell("0.1"), jsonCell("0.101"), 1e-6, false},
		{jsonCell("1000000"), jsonCell("1000000.5"), 1e-6, true}, // a share of the larger
		{jsonCell("1e999999999"), jsonCell("2e999999999"), 1e-6, false},
		{csvCell("setosa"), jsonCell(`"setosa"`), 0, true},
		{csvCell("007"), jsonCell(`"007"`), 0, true},
		{jsonCell(`"7"`), jsonCell(`"7.0"`), 1, false}, // texts, both
		{jsonCell(`"7"`), jsonCell("7"), 0, false},
		{csvCell("007"), jsonCell("7"), 0, true},
		{csvCell("True"), jsonCell("true"), 0, true},
		{csvCell(""), jsonCell("null"), 0, true},
		{csvCell(""), jsonCell(`""`), 0, true},
		{jsonCell("null"), jsonCell(`""`), 0, false},
		{csvCell("NaN"), jsonCell("NaN"), 0, true},
		{jsonCell(`"a"`), jsonCell(`"\u0061"`), 0, true},
		{jsonCell(`[1, 2.0]`), jsonCell(`[1.0,2]`), 0, true},
		{jsonCell(`{"a": 1, "b": [0.5]}`), jsonCell(`{"b":[0.5000001],"a":1}`), 1e-6, true},
		{jsonCell(`{"a": 1}`), jsonCell(`{"b": 1}`), 0, false},
		{jsonCell(`[1]`), jsonCell(`[1,2]`), 0, false},
		{csvCell(`{"a": 1}`), jsonCell(`{"a":1.0}`), 0, true},
		{csvCell(`{`), jsonCell(`{}`), 0, false},
		{jsonCell("true"), jsonCell("[true]"), 0, false},
	} {
		for _, pair := range [][2]format.Value{{test.a, test.b}, {test.b, test.a}} {
			if got := equal(pair[0], pair[1], test.tolerance); got != test.want {
				t.Errorf("%s and %s within %v: %t", pair[0].Bytes, pair[1].Bytes, test.tolerance, got)
			}
		}
	}
}

func TestOneNumberHasOneDecimal(t *testing.T) {
	for number, want := range map[string]string{
		"7": "7", "+7.0": "7", "007": "7", "-0.250": "-0.25", ".5": "0.5", "5.": "5", "12e2": "1200", "1e30": "1e30", "0e9": "0", "-0": "0",
		"1e-3": "0.001", "123e-2": "1.23", "1e-40": "1e-40", "1e999999999": "1e999999999", "seven": "seven", "": "", "1e1e1": "1e1e1",
	} {
		if got := decimal(number); got != want {
			t.Errorf("%q is %q, not %q", number, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`-?[0-9]{1,30}(\.[0-9]{1,30})?(e-?[0-9]{1,3})?`).Draw(t, "number")
		once := decimal(number)
		if twice := decimal(once); twice != once {
			t.Fatalf("%s is %s, and that is %s", number, once, twice)
		}
	})
}

func TestKeysOfAllFormatsMeet(t *testing.T) {
	for _, same := range [][2]format.Value{{csvCell("7"), jsonCell("7")}, {jsonCell("7.0"), csvCell("7")}, {csvCell("a"), jsonCell(`"a"`)}, {csvCell("007"), jsonCell(`"007"`)}} {
		a, b := appendKey(nil, same[:1]), appendKey(nil, same[1:])
		if string(a) != string(b) {
			t.Errorf("%s and %s are two keys", same[0].Bytes, same[1].Bytes)
		}
	}
	one, other := appendKey(nil, []format.Value{csvCell("a"), csvCell("bc")}), appendKey(nil, []format.Value{csvCell("ab"), csvCell("c")})
	if string(one) == string(other) {
		t.Error("two keys of two columns are one")
	}
}
