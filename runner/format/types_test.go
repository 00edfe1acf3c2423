package format_test

import (
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// What a typed column makes of a value: what is read back, or why it does not
// fit.
func TestTypedColumns(t *testing.T) {
	for _, test := range []struct {
		typ   string
		value format.Value
		want  string // the JSON that is read back, or "! why"
	}{
		{"double", token("1.5"), "1.5"}, {"double", token("1e-7"), "1e-07"}, {"double", token("-0"), "-0"}, {"double", text(" .5 "), "0.5"},
		{"double", token("0.1"), "0.1"}, {"double", text(""), "null"}, {"double", token("null"), "null"}, {"double", token(`"NaN"`), `"NaN"`},
		{"double", text("-Infinity"), `"-Inf"`}, {"double", token("1.2345678901234567890e19"), "12345678901234567000"},
		{"double", token("9007199254740992"), "9007199254740992"}, {"double", token("-9007199254740993"), "! a double does not hold so large an integer exactly"},
		{"double", token("12345678901234567890"), "! a double does not hold"}, {"double", token("12345678901234567168"), "12345678901234567000"},
		{"double", text("0009007199254740993"), "! a double does not hold"}, {"double", token("0.30000000000000004"), "0.30000000000000004"},
		{"double", token("1e999"), "! it is out of range"}, {"double", text("0x10"), "! it is not a number"}, {"double", text("1_0"), "! it is not a number"},
		{"double", token("true"), "! it is not a number"}, {"double", token("[1]"), "! it is not a number"},
		{"int64", token("-9223372036854775808"), "-9223372036854775808"}, {"int64", text("42"), "42"}, {"int64", token("1.0"), "1"}, {"int64", token("25e2"), "2500"},
		{"int64", token("-0.0"), "0"}, {"int64", token("9223372036854775808"), "! it is out of range"}, {"int64", token("1e400"), "! it is out of range"},
		{"int64", token("1.5"), "! it is not a whole number"}, {"int64", text("x"), "! it is not a number"}, {"int64", text("1e99999999"), "! it is not a number"},
		{"boolean", token("true"), "true"}, {"boolean", text("False"), "false"}, {"boolean", token("1"), "true"}, {"boolean", text("yes"), "! it is neither true nor false"},
		{"string", text("a\"b"), `"a\"b"`}, {"string", text(""), `""`}, {"string", token(`"é\n"`), `"é\n"`}, {"string", token("1.50"), `"1.50"`},
		{"string", token(`{"a": 1}`), `"{\"a\": 1}"`}, {"string", token("null"), "null"}, {"string", text("a\xff"), `"a` + "\uFFFD" + `"`},
		{"timestamp", text("2026-12-24T18:00:00Z"), `"2026-12-24T18:00:00.000000Z"`}, {"timestamp", token(`"2026-12-24T18:00:00.123456+02:00"`), `"2026-12-24T16:00:00.123456Z"`},
		{"timestamp", text("2026-12-24 18:00:00.5"), `"2026-12-24T18:00:00.500000Z"`}, {"timestamp", text("2026-12-24 18:00:00+01"), `"2026-12-24T17:00:00.000000Z"`},
		{"timestamp", text("1970-01-01T00:00:00.000000001Z"), "! it is finer than a microsecond"}, {"timestamp", token("5"), "! it is not a time as in 2026-12-24T18:00:00Z"},
		{"timestamp_ns", text("2026-12-24T18:00:00.123456789+01:00"), `"2026-12-24T17:00:00.123456789Z"`}, {"timestamp_ns", text("1677-12-24T18:00:00Z"), `"1677-12-24T18:00:00.000000000Z"`},
		{"timestamp_ns", text("9999-12-31T00:00:00Z"), "! it is out of range"}, {"timestamp_ns", text("1677-01-01T00:00:00Z"), "! it is out of range"},
		{"date", text("2026-12-24"), `"2026-12-24"`}, {"date", text("1969-12-31"), `"1969-12-31"`}, {"date", text("24.12.2026"), "! it is not a date as in 2026-12-24"},
		{"json", token("{\"a\":\n[1]}"), `{"a":[1]}`}, {"json", token(`"a"`), `"a"`}, {"json", text(`{"a":1}`), `{"a":1}`}, {"json", text("{"), "! is not valid JSON: it ends too early, after byte 1"},
		{"json", token("null"), "null"}, {"json", token("1.50"), "1.50"},
		{"decimal(4,2)", token("12.3"), "12.30"}, {"decimal(4,2)", text("-0.05"), "-0.05"}, {"decimal(4,2)", token("1230e-2"), "12.30"}, {"decimal(4,2)", token("99.990"), "99.99"},
		{"decimal(4,2)", token("100"), "! it is out of range"}, {"decimal(4,2)", token("0.123"), "! it has 3 digits behind the point"}, {"decimal(4,2)", token("0"), "0.00"},
		{"decimal(18,0)", token("-999999999999999999"), "-999999999999999999"}, {"decimal(18,18)", token("0.999999999999999999"), "0.999999999999999999"},
		{"decimal(38,3)", token("-12345678901234567890123456789012345.678"), "-12345678901234567890123456789012345.678"}, {"decimal(38,0)", token("1e37"), "1" + strings.Repeat("0", 37)},
		{"decimal(38,0)", token("1e38"), "! it is out of range"}, {"decimal(20,0)", token("18446744073709551615"), "18446744073709551615"}, {"decimal(4,2)", text("1.2.3"), "! it is not a number"},
	} {
		column := api.Column{Name: "c", Type: test.typ}
		why, refused := strings.CutPrefix(test.want, "! ")
		if err := format.Fits(column, test.value); refused != (err != nil) {
			t.Errorf("%s in %s: %v", test.value.Bytes, test.typ, err)
			continue
		} else if refused {
			if !strings.Contains(err.Error(), `column "c": `) || !strings.Contains(err.Error(), "type "+test.typ+": "+why) {
				t.Errorf("%s in %s is refused with: %v", test.value.Bytes, test.typ, err)
			}
			continue
		}
		data := writtenTyped(t, api.FormatParquet, []api.Column{column}, []format.Value{test.value})
		p := openParquet(t, []byte(data))
		if got, want := rowsOf(t, p, 0, 1, nil)[0], `{"c":`+test.want+`}`; got != want || p.Columns()[0] != column {
			t.Errorf("%s in %s is read as %s of %s, want %s", test.value.Bytes, test.typ, got, p.Columns()[0].Type, want)
		}
	}
}

func TestTheFirstPredictionSuggestsAType(t *testing.T) {
	for value, want := range map[string]string{
		"9007199254740992": "double", "9007199254740993": "int64", "-9007199254740993": "int64", "18446744073709551615": "decimal(38,0)",
		"123456789012345678901234567890123456789": "decimal(76,0)", "1" + strings.Repeat("1", 80): "string", "1e300": "double", "1": "double", "-1.5e3": "double", "true": "boolean", "false": "boolean", `"a"`: "string", "{}": "json", "[1]": "json", "null": "",
	} {
		if got := format.TypeOf(token(value)); got != want {
			t.Errorf("%s suggests %q, want %q", value, got, want)
		}
	}
	if got := format.TypeOf(text("1")); got != "string" {
		t.Errorf("text suggests %q", got)
	}
}

func TestNumbersOfAKeyAreWhole(t *testing.T) {
	for value, want := range map[string]string{"1": "int64", "1.5": "double", "9007199254740993": "int64", "18446744073709551615": "decimal(38,0)", `"a"`: "string", "null": ""} {
		if got := format.KeyTypeOf(token(value)); got != want {
			t.Errorf("%s suggests %q, want %q", value, got, want)
		}
	}
}

func TestParquetNeedsTypes(t *testing.T) {
	for _, typ := range []string{"", "float", "decimal(0,0)", "decimal(4,5)", "decimal(77,0)"} {
		column := api.Column{Name: "c", Type: typ}
		if _, err := format.NewWriter(api.FormatParquet, nil, []api.Column{column}); err == nil || !strings.Contains(err.Error(), `"c"`) {
			t.Errorf("type %q gives %v", typ, err)
		}
	}
	if err := format.Fits(api.Column{Name: "c"}, text("x")); err != nil {
		t.Errorf("a column without a type refuses: %v", err)
	}
}

func TestARecordThatDoesNotFitNamesItsColumn(t *testing.T) {
	fitter, err := format.NewFitter([]api.Column{{Name: "free"}, {Name: "p", Type: api.TypeDouble}, {Name: "n", Type: api.TypeInt64}})
	if err != nil {
		t.Fatal(err)
	}
	if err := fitter.Fits([]format.Value{text("x"), token("0.5"), token("1")}); err != nil {
		t.Errorf("a fitting record gives %v", err)
	}
	err = fitter.Fits([]format.Value{text("x"), token("0.5"), token("1.5")})
	if want := `column "n": 1.5 does not fit its type int64: it is not a whole number`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := format.NewFitter([]api.Column{{Name: "p", Type: "number"}}); err == nil {
		t.Error("an unknown type was taken")
	}
}
