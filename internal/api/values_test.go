package api

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurationParse(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute,
		"250ms": 250 * time.Millisecond, "7d": 7 * day, "1d12h": 36 * time.Hour, "0s": 0, "0d": 0, "65535d": 65535 * day,
	} {
		if got, err := Duration(text).Parse(); err != nil || got != want {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "10", "s", "d", "-1s", "+1s", "-0s", "-1d", "+1d", "1d-1h", "1d+1h", "1.5d", "1h7d", "1d2d", "10 s", "1w",
		"65536d", "99999999999h", "1e3s", "٣s", "forever",
	} {
		got, err := Duration(text).Parse()
		if err == nil {
			t.Errorf("%q is taken for %s", text, got)
			continue
		}
		if !strings.Contains(err.Error(), `write it like 30s`) {
			t.Errorf("%q: the error shows no way out: %v", text, err)
		}
		if Duration(text).Value() != 0 {
			t.Errorf("%q has the value %s", text, Duration(text).Value())
		}
	}
}

func TestDurationsOfOneLengthHaveOneCanonicalSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.IntRange(0, 100_000).Draw(t, "minutes")
		length := time.Duration(minutes) * time.Minute
		plain := Duration(length.String())
		inDays := Duration(big.NewInt(int64(minutes/1440)).String() + "d" + (length % (24 * time.Hour)).String())
		if plain.canonical() != inDays.canonical() {
			t.Fatalf("%s and %s are spelled %s and %s", plain, inDays, plain.canonical(), inDays.canonical())
		}
		if got := plain.canonical().Value(); got != length {
			t.Fatalf("the canonical spelling of %s is worth %s", length, got)
		}
	})
	if got := Duration("nonsense").canonical(); got != "nonsense" {
		t.Errorf("what can't be read became %q", got)
	}
}

func TestThreshold(t *testing.T) {
	for _, test := range []struct {
		text            string
		planned, allows int64
	}{
		{"0", 1000, 0}, {"25", 1000, 25}, {"25", 10, 25}, {"0%", 1000, 0},
		{"0.1%", 1000, 1}, {"0.1%", 1001, 2}, {"1%", 150, 2}, {"1%", 100, 1}, {"1%", 1, 1}, {"1%", 0, 0},
		{"33.3%", 3, 1}, {"33.4%", 3, 2}, {"100%", 7, 7}, {"100%", 1 << 62, 1 << 62}, {"0.000000000000000001%", 1, 1},
		{"9223372036854775807", 5, 1<<63 - 1},
	} {
		threshold, err := ParseThreshold(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got := threshold.Allows(test.planned); got != test.allows {
			t.Errorf("%s of %d allows %d, not %d", test.text, test.planned, got, test.allows)
		}
	}
	for _, text := range []string{"", "%", "-1", "+1", "-1%", "+1%", "1.5", "100.01%", "1/2%", "1e1%", "0x1%", "1_0", "1%%", " 1%", "1 %", ".%", "1.2.3%", "NaN%", "9223372036854775808"} {
		if threshold, err := ParseThreshold(text); err == nil {
			t.Errorf("%q is taken for %+v", text, threshold)
		} else if !strings.Contains(err.Error(), "write it like 0, 25 or 0.1%") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAShareIsRoundedUpAndByLessThanOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{1,2}(\.[0-9]{1,6})?`).Draw(t, "percent")
		planned := rapid.Int64Range(0, 1<<53).Draw(t, "planned")
		threshold, err := ParseThreshold(text + "%")
		if err != nil {
			t.Fatal(err)
		}
		percent, _ := new(big.Rat).SetString(text)
		exact := percent.Mul(percent, big.NewRat(planned, 100))
		over := new(big.Rat).Sub(new(big.Rat).SetInt64(threshold.Allows(planned)), exact)
		if over.Sign() < 0 || over.Cmp(big.NewRat(1, 1)) >= 0 {
			t.Fatalf("%s%% of %d is %s and allows %d", text, planned, exact.FloatString(6), threshold.Allows(planned))
		}
	})
}

func TestInstantsInNamesAreUTC(t *testing.T) {
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.FixedZone("CET", 3600))
	if got := FormatInstant(at); got != "20261121T020000Z" {
		t.Error(got)
	}
}

func TestPathOfAURI(t *testing.T) {
	for uri, want := range map[string]string{"/a/b": "/a/b", "file:///a/b": "/a/b", "file://host/a": "host/a", "a": "a", "": ""} {
		if got := Path(uri); got != want {
			t.Errorf("%q is %q, not %q", uri, got, want)
		}
	}
}
