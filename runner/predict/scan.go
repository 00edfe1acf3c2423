package predict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// maxDepth is the nesting that is followed, as in encoding/json.
const maxDepth = 10_000

// errEnds is the error of JSON that stops before it is complete: the one kind
// of malformed answer that may be a cut one.
var errEnds = errors.New("ends before its JSON is complete")

// scanner cuts JSON into tokens without decoding it. It accepts what JSON is
// and the bare words NaN, Infinity and -Infinity, which many servers send.
type scanner struct {
	buf []byte
	pos int
}

// token is a value where it stands in an answer.
type token struct {
	start, end int
	// dirty tells that the text can't be passed on as it stands: a bare NaN,
	// or a list or object with white space in it. See appendClean.
	dirty bool
}

func (s *scanner) text(t token) []byte { return s.buf[t.start:t.end] }

// peek skips white space and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.buf); s.pos++ {
		switch c := s.buf[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) bad() error {
	if s.pos >= len(s.buf) {
		return errEnds
	}
	return fmt.Errorf("is not JSON: unexpected %q at byte %d", s.buf[s.pos], s.pos)
}

// take skips white space and the byte c.
func (s *scanner) take(c byte) error {
	if s.peek() != c || s.pos >= len(s.buf) {
		return s.bad()
	}
	s.pos++
	return nil
}

// end checks that nothing but white space follows.
func (s *scanner) end() error {
	if s.peek(); s.pos < len(s.buf) {
		return s.bad()
	}
	return nil
}

// value cuts the next value, of any kind.
func (s *scanner) value() (token, error) { return s.valueAt(0) }

func (s *scanner) valueAt(depth int) (token, error) {
	c := s.peek()
	t := token{start: s.pos}
	var err error
	switch c {
	case '"':
		err = s.skipString()
	case '{', '[':
		t.dirty, err = s.skipNested(c, depth+1)
	case 't':
		err = s.word("true")
	case 'f':
		err = s.word("false")
	case 'n':
		err = s.word("null")
	case 'N':
		t.dirty, err = true, s.word("NaN")
	case 'I':
		t.dirty, err = true, s.word("Infinity")
	default:
		t.dirty, err = s.skipNumber()
	}
	t.end = s.pos
	return t, err
}

// skipNested skips a list or an object; dirty where white space or a bare NaN
// stands in it.
func (s *scanner) skipNested(open byte, depth int) (dirty bool, err error) {
	if depth > maxDepth {
		return false, errors.New("is nested too deeply")
	}
	s.pos++
	spaced := func() byte {
		before := s.pos
		c := s.peek()
		dirty = dirty || s.pos != before
		return c
	}
	shut := open + 2 // '[' and ']', '{' and '}' stand two apart
	if spaced() == shut {
		s.pos++
		return dirty, nil
	}
	for {
		if open == '{' {
			if spaced() != '"' {
				return dirty, s.bad()
			}
			if err := s.skipString(); err != nil {
				return dirty, err
			}
			if spaced() != ':' {
				return dirty, s.bad()
			}
			s.pos++
		}
		spaced()
		element, err := s.valueAt(depth)
		if err != nil {
			return dirty, err
		}
		dirty = dirty || element.dirty
		switch spaced() {
		case ',':
			s.pos++
		case shut:
			s.pos++
			return dirty, nil
		default:
			return dirty, s.bad()
		}
	}
}

func (s *scanner) skipString() error {
	for s.pos++; s.pos < len(s.buf); s.pos++ {
		switch c := s.buf[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return s.bad()
		case c == '\\':
			s.pos++
			if s.pos >= len(s.buf) {
				return errEnds
			}
			switch s.buf[s.pos] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					s.pos++
					if s.pos >= len(s.buf) || !isHex(s.buf[s.pos]) {
						return s.bad()
					}
				}
			default:
				return s.bad()
			}
		}
	}
	return errEnds
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) word(word string) error {
	for i := range len(word) {
		if s.pos >= len(s.buf) || s.buf[s.pos] != word[i] {
			return s.bad()
		}
		s.pos++
	}
	return nil
}

// skipNumber skips a number as JSON writes it, or -Infinity, which is dirty.
func (s *scanner) skipNumber() (dirty bool, err error) {
	if end := numberEnd(s.buf, s.pos); end > s.pos && (end == len(s.buf) || s.buf[end]|0x20 != 'e') {
		s.pos = end
		return false, nil
	}
	if s.pos < len(s.buf) && s.buf[s.pos] == '-' {
		s.pos++
		if s.pos < len(s.buf) && s.buf[s.pos] == 'I' {
			return true, s.word("Infinity")
		}
	}
	if s.pos < len(s.buf) && s.buf[s.pos] == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return false, err
	}
	if s.pos < len(s.buf) && s.buf[s.pos] == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return false, err
		}
	}
	if s.pos < len(s.buf) && s.buf[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.buf) && (s.buf[s.pos] == '+' || s.buf[s.pos] == '-') {
			s.pos++
		}
		return false, s.digits()
	}
	return false, nil
}

// digits skips one digit or more.
func (s *scanner) digits() error {
	first := s.pos
	for s.pos < len(s.buf) && isDigit(s.buf[s.pos]) {
		s.pos++
	}
	if s.pos == first {
		return s.bad()
	}
	return nil
}

// members walks the object that stands next. visit is called before each
// value and must consume it.
func (s *scanner) members(visit func(key token) error) error {
	if s.peek() != '{' {
		return errors.New("is no JSON object")
	}
	s.pos++
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.bad()
		}
		key := token{start: s.pos}
		if err := s.skipString(); err != nil {
			return err
		}
		key.end = s.pos
		if err := s.take(':'); err != nil {
			return err
		}
		if err := visit(key); err != nil {
			return err
		}
		if s.peek() != ',' {
			return s.take('}')
		}
		s.pos++
	}
}

// elements walks the list that stands next. visit is called before each
// element and must consume it.
func (s *scanner) elements(visit func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := visit(); err != nil {
			return err
		}
		if s.peek() != ',' {
			return s.take(']')
		}
		s.pos++
	}
}

// isString tells whether a string token means want.
func isString(tok []byte, want string) bool {
	if len(tok) < 2 || tok[0] != '"' {
		return false
	}
	if bytes.IndexByte(tok, '\\') < 0 {
		return string(tok[1:len(tok)-1]) == want
	}
	return unquote(tok) == want
}

// unquote decodes a string token.
func unquote(tok []byte) string {
	if bytes.IndexByte(tok, '\\') < 0 {
		return string(tok[1 : len(tok)-1])
	}
	var s string
	if json.Unmarshal(tok, &s) != nil {
		return strconv.Quote(string(tok)) // can't be: the scanner has passed it
	}
	return s
}

// appendClean appends a dirty token as plain JSON on one line: NaN and the
// infinities become null, or their names as strings; white space between tokens
// goes. It tells whether there was one of them.
func appendClean(to, tok []byte, named bool) (cleaned []byte, nan bool) {
	for i := 0; i < len(tok); {
		switch c := tok[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '"':
			s := scanner{buf: tok, pos: i}
			_ = s.skipString()
			to = append(to, tok[i:s.pos]...)
			i = s.pos
		case 'N', 'I', '-':
			word := notNumber(tok[i:])
			switch {
			case word == "":
				to = append(to, c)
				i++
				continue
			case named:
				to = append(append(append(to, '"'), word...), '"')
			default:
				to = append(to, "null"...)
			}
			i, nan = i+len(word), true
		default:
			to = append(to, c)
			i++
		}
	}
	return to, nan
}

// notNumber is NaN or the infinity that text begins with, if it does.
func notNumber(text []byte) string {
	for _, word := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return word
		}
	}
	return ""
}
