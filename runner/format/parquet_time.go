package format

import (
	"errors"
	"fmt"
	"time"

	parquetformat "github.com/parquet-go/parquet-go/format"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func appendDate(to []byte, v *leafValues, i int) ([]byte, error) {
	return appendTime(to, time.Unix(int64(v.int32s[i])*86400, 0), time.DateOnly)
}

// julianEpoch is 1970-01-01 as a Julian day, which Int96 counts.
const julianEpoch = 2440588

func appendInt96(to []byte, v *leafValues, i int) ([]byte, error) {
	t := v.int96s[i]
	nanos := int64(uint64(t[0]) | uint64(t[1])<<32)
	return appendTime(to, time.Unix((int64(t[2])-julianEpoch)*86400, 0).Add(time.Duration(nanos)), "2006-01-02T15:04:05.000000000Z")
}

func timestampType(unit parquetformat.TimeUnit) string {
	if _, nanos := unit.Value.(*parquetformat.NanoSeconds); nanos {
		return typeNanos
	}
	return api.TypeTimestamp
}

func timestampText(unit parquetformat.TimeUnit) leafText {
	switch unit.Value.(type) {
	case *parquetformat.MilliSeconds:
		return func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendTime(to, time.UnixMilli(v.int64s[i]), "2006-01-02T15:04:05.000Z")
		}
	case *parquetformat.NanoSeconds:
		return func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendTime(to, time.Unix(0, v.int64s[i]), "2006-01-02T15:04:05.000000000Z")
		}
	default:
		return func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendTime(to, time.UnixMicro(v.int64s[i]), "2006-01-02T15:04:05.000000Z")
		}
	}
}

func appendTime(to []byte, t time.Time, layout string) ([]byte, error) {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return to, fmt.Errorf("lies in the year %d; a date is between the years 0 and 9999", year)
	}
	return append(t.AppendFormat(append(to, '"'), layout), '"'), nil
}

func timeText(unit parquetformat.TimeUnit) leafText {
	switch unit.Value.(type) {
	case *parquetformat.MilliSeconds:
		return func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendTimeOfDay(to, int64(v.int32s[i]), time.Millisecond, "15:04:05.000")
		}
	case *parquetformat.NanoSeconds:
		return func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendTimeOfDay(to, v.int64s[i], time.Nanosecond, "15:04:05.000000000")
		}
	default:
		return func(to []byte, v *leafValues, i int) ([]byte, error) {
			return appendTimeOfDay(to, v.int64s[i], time.Microsecond, "15:04:05.000000")
		}
	}
}

func appendTimeOfDay(to []byte, count int64, unit time.Duration, layout string) ([]byte, error) {
	if count < 0 || count >= int64(24*time.Hour/unit) {
		return to, errors.New("is not a time of day")
	}
	t := time.Unix(0, count*int64(unit)).UTC()
	return append(t.AppendFormat(append(to, '"'), layout), '"'), nil
}
