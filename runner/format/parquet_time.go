package format

import (
	"errors"
	"fmt"
	"time"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

func appendDate(to []byte, v parquet.Value) ([]byte, error) {
	return appendTime(to, time.Unix(int64(v.Int32())*86400, 0), time.DateOnly)
}

// julianEpoch is 1970-01-01 as a Julian day, which Int96 counts.
const julianEpoch = 2440588

func appendInt96(to []byte, v parquet.Value) ([]byte, error) {
	i := v.Int96()
	nanos := int64(uint64(i[0]) | uint64(i[1])<<32)
	return appendTime(to, time.Unix((int64(i[2])-julianEpoch)*86400, 0).Add(time.Duration(nanos)), "2006-01-02T15:04:05.000000000Z")
}

func timestampText(unit parquetformat.TimeUnit) leafText {
	switch unit.Value.(type) {
	case *parquetformat.MilliSeconds:
		return func(to []byte, v parquet.Value) ([]byte, error) {
			return appendTime(to, time.UnixMilli(v.Int64()), "2006-01-02T15:04:05.000Z")
		}
	case *parquetformat.NanoSeconds:
		return func(to []byte, v parquet.Value) ([]byte, error) {
			return appendTime(to, time.Unix(0, v.Int64()), "2006-01-02T15:04:05.000000000Z")
		}
	default:
		return func(to []byte, v parquet.Value) ([]byte, error) {
			return appendTime(to, time.UnixMicro(v.Int64()), "2006-01-02T15:04:05.000000Z")
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
		return func(to []byte, v parquet.Value) ([]byte, error) {
			return appendTimeOfDay(to, int64(v.Int32()), time.Millisecond, "15:04:05.000")
		}
	case *parquetformat.NanoSeconds:
		return func(to []byte, v parquet.Value) ([]byte, error) {
			return appendTimeOfDay(to, v.Int64(), time.Nanosecond, "15:04:05.000000000")
		}
	default:
		return func(to []byte, v parquet.Value) ([]byte, error) {
			return appendTimeOfDay(to, v.Int64(), time.Microsecond, "15:04:05.000000")
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
