package format

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// seemsSize are so many bytes that a file shows what it is.
const seemsSize = 256

// binaryKinds are what is known by its first bytes.
var binaryKinds = []struct{ magic, is, remedy string }{
	{parquetMagic, "is a Parquet file", `set input.files.format = "parquet"`},
	{"\x1f\x8b", "is compressed by gzip", `set input.files.compression = "gzip"`},
	{"\x28\xb5\x2f\xfd", "is compressed by zstd", `set input.files.compression = "zstd"`},
	{"PK\x03\x04", "is a zip archive, as spreadsheets are", "unpack it, or save it as CSV"},
	{"BZh", "is compressed by bzip2", "compress it by gzip or zstd, or not at all"},
	{"\xfd7zXZ", "is compressed by xz", "compress it by gzip or zstd, or not at all"},
	{"\xff\xfe", "is UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"},
	{"\xfe\xff", "is UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"},
}

// checkLines says what a file is that should be JSON Lines, where its beginning
// shows that it is JSON over several lines.
func checkLines(start []byte) error {
	const remedy = "; JSON Lines has one object on each line: jq -c "
	start = bytes.TrimPrefix(start, []byte(byteOrderMark))
	start = start[skipSpace(start, 0):]
	if len(start) == 0 {
		return nil
	}
	line, _, _ := bytes.Cut(start, newline)
	_, whole := skipValue(line, 0, 0)
	inside := bytes.TrimLeft(start[1:], " \t\r")
	next := bytes.TrimLeft(inside, " \t\r\n")
	switch {
	case onlyReturns(line):
		return errOnlyReturns
	case whole: // what follows may be sound
	case start[0] == '[' && bytes.HasPrefix(next, []byte{'{'}):
		return errors.New("is one JSON list" + remedy + "'.[]'")
	case start[0] == '{' && bytes.HasPrefix(inside, newline) && hasKey(next):
		return errors.New("is JSON over several lines" + remedy + "'.'")
	}
	return nil
}

// onlyReturns tells whether an object and the beginning of another one stand in
// what seems to be one line.
func onlyReturns(line []byte) bool {
	first, rest, _ := bytes.Cut(line, []byte{'\r'})
	end, ok := skipValue(first, 0, 0)
	return ok && end == len(first) && bytes.IndexByte(first, ':') >= 0 && bytes.HasPrefix(rest, []byte{'{'})
}

func hasKey(object []byte) bool {
	i, ok := skipString(object, 0)
	if ok {
		_, ok = skipColon(object, i)
	}
	return ok
}

var errOnlyReturns = errors.New(`ends its lines by carriage returns alone; convert them: tr '\r' '\n'`)

// checkText says what a file is that should be text, where that can be seen.
func checkText(start []byte) error {
	if isText(start) {
		return nil
	}
	for _, kind := range binaryKinds {
		if bytes.HasPrefix(start, []byte(kind.magic)) {
			return errors.New(kind.is + "; " + kind.remedy)
		}
	}
	return nil
}

// notParquet says what a file seems to be that should be Parquet.
func notParquet(start []byte) error {
	if err := checkText(start); err != nil {
		return fmt.Errorf("is not a Parquet file: it %w", err)
	}
	remedy := ""
	switch line := firstLine(start); {
	case !isText(start):
	case bytes.HasPrefix(bytes.TrimSpace(line), []byte("{")):
		remedy = fmt.Sprintf("; set input.files.format = %q", api.FormatJSONL)
	case bytes.Contains(line, comma):
		remedy = fmt.Sprintf("; set input.files.format = %q", api.FormatCSV)
	}
	return fmt.Errorf("is not a Parquet file: it begins with %q%s", shown(start), remedy)
}

// checkIsCompressed says what a file is that should be compressed in another way
// than it is, where that can be seen.
func checkIsCompressed(compression string, start []byte) error {
	if len(start) < 4 { // too little to tell
		return nil
	}
	if isText(start) {
		return fmt.Errorf("the file is not compressed: it begins with %q; set input.files.compression = %q", shown(start), api.CompressionNone)
	}
	for _, kind := range binaryKinds {
		switch {
		case !bytes.HasPrefix(start, []byte(kind.magic)):
		case kind.magic == parquetMagic:
			return fmt.Errorf("it %s; %s and input.files.compression = %q", kind.is, kind.remedy, api.CompressionNone)
		case kind.is != "is compressed by "+compression:
			return fmt.Errorf("it %s; %s", kind.is, kind.remedy)
		}
	}
	return nil
}

// isText tells whether the beginning of a file is UTF-8 without control
// characters.
func isText(start []byte) bool {
	for i, c := range start {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
		if c >= utf8.RuneSelf && !utf8.FullRune(start[i:]) { // cut in the middle
			return utf8.Valid(start[:i])
		}
	}
	return utf8.Valid(start)
}

func firstLine(start []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(start, []byte(byteOrderMark)), newline)
	return bytes.TrimSuffix(line, []byte{'\r'})
}

// shown is as much of the first line as a message has room for.
func shown(start []byte) []byte {
	line := firstLine(start)
	return line[:min(len(line), 40)]
}
