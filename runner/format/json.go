package format

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested, as in encoding/json.
const maxDepth = 10_000

// plainInString marks the bytes that stand for themselves in a JSON string:
// all but quotes, backslashes and control characters.
var plainInString = func() (plain [256]bool) {
	for c := 0x20; c < len(plain); c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// The skip functions pass over one piece of JSON that begins at i, checking
// its grammar (RFC 8259) without decoding it. They give the place behind it and
// true, or the place of the first byte that is wrong and false.

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}

func skipValue(data []byte, i, depth int) (int, bool) {
	if i == len(data) {
		return i, false
	}
	switch c := data[i]; {
	case c == '"':
		return skipString(data, i)
	case c == '-' || '0' <= c && c <= '9':
		return skipNumber(data, i)
	case c == '{' || c == '[':
		if depth == maxDepth {
			return i, false
		}
		return skipContainer(data, i, depth+1)
	case c == 't':
		return skipWord(data, i, "true")
	case c == 'f':
		return skipWord(data, i, "false")
	case c == 'n':
		return skipWord(data, i, "null")
	default:
		return i, false
	}
}

func skipContainer(data []byte, i, depth int) (int, bool) {
	object, last := data[i] == '{', byte(']')
	if object {
		last = '}'
	}
	if i = skipSpace(data, i+1); i < len(data) && data[i] == last {
		return i + 1, true
	}
	for ; ; i = skipSpace(data, i+1) {
		var ok bool
		if object {
			if i, ok = skipString(data, i); !ok {
				return i, false
			}
			if i, ok = skipColon(data, i); !ok {
				return i, false
			}
		}
		if i, ok = skipValue(data, i, depth); !ok {
			return i, false
		}
		if i = skipSpace(data, i); i == len(data) {
			return i, false
		}
		switch data[i] {
		case last:
			return i + 1, true
		case ',':
		default:
			return i, false
		}
	}
}

// skipColon passes over the colon behind a key, and over the blanks around it.
func skipColon(data []byte, i int) (int, bool) {
	if i = skipSpace(data, i); i == len(data) || data[i] != ':' {
		return i, false
	}
	return skipSpace(data, i+1), true
}

func skipString(data []byte, i int) (int, bool) {
	if i == len(data) || data[i] != '"' {
		return i, false
	}
	for i++; i < len(data); i++ {
		switch c := data[i]; {
		case plainInString[c]:
		case c == '"':
			return i + 1, true
		case c != '\\':
			return i, false
		default:
			if i++; i == len(data) {
				return i, false
			}
			switch data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(data[i+1:]); !ok {
					return i, false
				}
				i += 4
			default:
				return i, false
			}
		}
	}
	return i, false
}

func skipNumber(data []byte, i int) (int, bool) {
	if data[i] == '-' {
		i++
	}
	first := i
	for i < len(data) && data[i]-'0' < 10 {
		i++
	}
	if i == first {
		return i, false
	}
	if data[first] == '0' && i > first+1 {
		return first + 1, false
	}
	if i < len(data) && data[i] == '.' {
		i++
		point := i
		for i < len(data) && data[i]-'0' < 10 {
			i++
		}
		if i == point {
			return i, false
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return skipDigits(data, i)
	}
	return i, true
}

// skipDigits passes over at least one digit.
func skipDigits(data []byte, i int) (int, bool) {
	first := i
	for i < len(data) && '0' <= data[i] && data[i] <= '9' {
		i++
	}
	return i, i > first
}

func skipWord(data []byte, i int, word string) (int, bool) {
	if len(data)-i < len(word) || string(data[i:i+len(word)]) != word {
		return i, false
	}
	return i + len(word), true
}

func hex4(data []byte) (rune, bool) {
	if len(data) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range data[:4] {
		r <<= 4
		switch {
		case '0' <= c && c <= '9':
			r |= rune(c - '0')
		case 'a' <= c && c <= 'f':
			r |= rune(c-'a') + 10
		case 'A' <= c && c <= 'F':
			r |= rune(c-'A') + 10
		default:
			return 0, false
		}
	}
	return r, true
}

// appendUnescaped appends what the inside of a JSON string (without its
// quotes, found sound by skipString) stands for. Half a surrogate pair becomes
// U+FFFD.
func appendUnescaped(to, inside []byte) []byte {
	for {
		i := bytes.IndexByte(inside, '\\')
		if i < 0 {
			return append(to, inside...)
		}
		to = append(to, inside[:i]...)
		c := inside[i+1]
		inside = inside[i+2:]
		switch c {
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			r, _ := hex4(inside)
			inside = inside[4:]
			if utf16.IsSurrogate(r) {
				r, inside = surrogatePair(r, inside)
			}
			to = utf8.AppendRune(to, r)
		default: // quote, backslash and slash stand for themselves
			to = append(to, c)
		}
	}
}

func surrogatePair(high rune, inside []byte) (rune, []byte) {
	if len(inside) >= 6 && inside[0] == '\\' && inside[1] == 'u' {
		low, _ := hex4(inside[2:])
		if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
			return r, inside[6:]
		}
	}
	return utf8.RuneError, inside
}

// AppendString appends text as a JSON string. What is not UTF-8 stays as it is:
// who reads the line says so of that record alone.
func AppendString(to, text []byte) []byte {
	to = append(to, '"')
	start := 0
	for i, c := range text {
		if !plainInString[c] {
			to = appendEscaped(append(to, text[start:i]...), c)
			start = i + 1
		}
	}
	to = append(to, text[start:]...)
	return append(to, '"')
}

// appendQuoted is AppendString for what nobody reads anew: each byte that is
// not UTF-8 becomes U+FFFD.
func appendQuoted(to, text []byte) []byte {
	if !utf8.Valid(text) {
		text = []byte(string([]rune(string(text))))
	}
	return AppendString(to, text)
}

// appendEscaped appends a byte that does not stand for itself in a string.
func appendEscaped(to []byte, c byte) []byte {
	const hexDigits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(to, '\\', c)
	case '\n':
		return append(to, '\\', 'n')
	case '\r':
		return append(to, '\\', 'r')
	case '\t':
		return append(to, '\\', 't')
	}
	return append(to, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
