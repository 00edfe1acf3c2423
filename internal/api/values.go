package api

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as people write it: Go's units plus "d" for 24
// hours, "90m", "1h30m", "7d". The empty Duration means "the default".
type Duration string

// Parse gives the duration's value. It refuses negative values and such
// without a unit ("10") with an error that shows how to write them.
func (d Duration) Parse() (time.Duration, error) {
	text, days := string(d), time.Duration(0)
	if head, tail, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration; write it like 30s, 10m, 1h30m or 7d", string(d))
		}
		days, text = time.Duration(n)*24*time.Hour, tail
		if text == "" {
			return days, nil
		}
	}
	rest, err := time.ParseDuration(text)
	if err != nil || strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") || days+rest < days {
		return 0, fmt.Errorf("%q is not a duration; write it like 30s, 10m, 1h30m or 7d", string(d))
	}
	return days + rest, nil
}

// Value is Parse for a duration that Validate has passed; zero otherwise.
func (d Duration) Value() time.Duration {
	v, err := d.Parse()
	if err != nil {
		return 0
	}
	return v
}

// Size is a number of bytes as people write it: "500MB", "50GB", "1GiB".
type Size string

var sizeForm = regexp.MustCompile(`^([0-9]{1,9})(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$`)

// Parse gives the size in bytes.
func (s Size) Parse() (int64, error) {
	m := sizeForm.FindStringSubmatch(string(s))
	if m == nil {
		return 0, fmt.Errorf("%q is not a size; write it like 500MB, 50GB or 1GiB", string(s))
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // sizeForm lets nine digits pass
	units := map[string]int64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
	if n > math.MaxInt64/units[m[2]] {
		return 0, fmt.Errorf("%q is more than a machine can count", string(s))
	}
	return n * units[m[2]], nil
}

// Value is Parse for a size that Validate has passed; zero otherwise.
func (s Size) Value() int64 {
	v, err := s.Parse()
	if err != nil {
		return 0
	}
	return v
}

// canonical spells a size one way, so that 1000MB and 1GB are one.
func (s Size) canonical() Size {
	v, err := s.Parse()
	if err != nil {
		return s
	}
	return sizeOf(v)
}

// sizeOf writes a number of bytes in the largest unit that divides it.
func sizeOf(n int64) Size {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "TiB"}, {1e12, "TB"}, {1 << 30, "GiB"}, {1e9, "GB"}, {1 << 20, "MiB"}, {1e6, "MB"}, {1 << 10, "KiB"}, {1e3, "kB"}} {
		if n > 0 && n%unit.bytes == 0 {
			return Size(fmt.Sprint(n/unit.bytes) + unit.name)
		}
	}
	return Size(fmt.Sprint(n) + "B")
}

// canonical spells a duration one way, so that 90m and 1h30m are one.
func (d Duration) canonical() Duration {
	v, err := d.Parse()
	if err != nil {
		return d
	}
	return Duration(v.String())
}

// Threshold is a parsed max_failed: a count of records, or a share of the
// planned ones. Shares are kept exact: 0.1 % of 1,000 records is 1, not 2.
type Threshold struct {
	count int64
	share *big.Rat // nil for a count
}

// ParseThreshold reads "25" or "0.1%".
func ParseThreshold(text string) (Threshold, error) {
	bad := fmt.Errorf("%q is neither a count nor a percentage; write it like 0, 25 or 0.1%%", text)
	if number, isShare := strings.CutSuffix(text, "%"); isShare {
		if strings.Trim(number, "0123456789.") != "" {
			return Threshold{}, bad
		}
		r, ok := new(big.Rat).SetString(number)
		if !ok || r.Cmp(big.NewRat(100, 1)) > 0 {
			return Threshold{}, bad
		}
		return Threshold{share: r.Quo(r, big.NewRat(100, 1))}, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || strings.HasPrefix(text, "+") {
		return Threshold{}, bad
	}
	return Threshold{count: int64(n)}, nil
}

// Allows is the number of records that may fail out of planned: a percentage
// is rounded up.
func (t Threshold) Allows(planned int64) int64 {
	if t.share == nil {
		return t.count
	}
	product := new(big.Rat).Mul(t.share, new(big.Rat).SetInt64(planned))
	quotient, rest := new(big.Int).QuoRem(product.Num(), product.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		quotient.Add(quotient, big.NewInt(1))
	}
	if !quotient.IsInt64() {
		return math.MaxInt64
	}
	return quotient.Int64()
}

// FormatInstant writes an instant as it stands in names and folders:
// 20261121T020000Z.
func FormatInstant(t time.Time) string {
	return t.UTC().Format("20060102T150405Z")
}

// Path is the local path of a file uri: an absolute path, or file:///….
func Path(uri string) string {
	if rest, ok := strings.CutPrefix(uri, "file://"); ok {
		return rest
	}
	return uri
}

// Zero tells whether no record may fail.
func (t Threshold) Zero() bool {
	if t.share == nil {
		return t.count == 0
	}
	return t.share.Sign() == 0
}

// Price is an amount per hour, with its currency where one is given.
type Price struct {
	Amount   *big.Rat
	Currency string // ISO 4217, or empty
}

var priceForm = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,9})?)(?: ([A-Z]{3}))?$`)

// ParsePrice reads "0.35" or "0.35 EUR".
func ParsePrice(text string) (Price, error) {
	parts := priceForm.FindStringSubmatch(text)
	if parts == nil {
		return Price{}, fmt.Errorf("%q is not a price; write it like \"0.35\" or \"0.35 EUR\"", text)
	}
	amount, _ := new(big.Rat).SetString(parts[1])
	return Price{Amount: amount, Currency: parts[2]}, nil
}

// checkDoneMarker checks the name of a marker file.
func checkDoneMarker(marker string) error {
	if strings.ContainsAny(marker, "/?[") || strings.Count(marker, "*") > 1 || marker == "*" || marker == "." || marker == ".." {
		return fmt.Errorf("%q is not the name of a marker; write \"*.done\", where * is the file's name, or \"_SUCCESS\"", marker)
	}
	return nil
}
