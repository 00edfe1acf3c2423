package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Decode reads one JSON document into target, a pointer to a struct of this
// package. Unknown and doubled keys, wrong types and trailing text are
// refused, each with the JSON pointer of the value; nothing is ever dropped
// silently. null is the same as absent.
func Decode(data []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	var text json.RawMessage
	if err := decoder.Decode(&text); err != nil {
		return malformed(data, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Errorf(CodeMalformed, "send one JSON document", "text follows the JSON document")
	}
	tree, err := parse(text)
	if err != nil {
		return malformed(data, err)
	}
	if problems := misfits(tree, reflect.TypeOf(target).Elem(), ""); len(problems) > 0 {
		return Invalid("document", problems)
	}
	if err := json.Unmarshal(text, target); err != nil {
		return malformed(data, err)
	}
	return nil
}

func malformed(data []byte, err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return Errorf(CodeMalformed, "", "line %d is not JSON: %v", line, err)
	}
	if errors.Is(err, io.EOF) {
		return Errorf(CodeMalformed, "send one JSON document", "the document is empty")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return Errorf(CodeMalformed, "close what is open", "the document ends too early, on line %d", 1+bytes.Count(bytes.TrimRight(data, "\n"), []byte("\n")))
	}
	return Errorf(CodeMalformed, "", "not a JSON document: %v", err)
}

// object is a JSON object as it was written: in order, doubled keys and all.
type object []member

type member struct {
	key   string
	value any
}

// parse reads text, which is known to be JSON, into object, []any, string,
// json.Number, bool and nil.
func parse(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return parseValue(decoder)
}

func parseValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		members := object{}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			value, err := parseValue(decoder)
			if err != nil {
				return nil, err
			}
			members = append(members, member{fmt.Sprint(key), value})
		}
		_, err := decoder.Token() // }
		return members, err
	case json.Delim('['):
		elements := []any{}
		for decoder.More() {
			value, err := parseValue(decoder)
			if err != nil {
				return nil, err
			}
			elements = append(elements, value)
		}
		_, err := decoder.Token() // ]
		return elements, err
	}
	return token, nil
}

// misfits walks a document beside the type it should have and reports every
// unknown or doubled key and every value of a wrong type.
func misfits(node any, t reflect.Type, pointer string) []Error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if node == nil {
		return nil
	}
	if message := mismatch(node, t); message != "" {
		return []Error{{Code: CodeInvalid, Pointer: pointer, Message: message}}
	}
	var problems []Error
	switch value := node.(type) {
	case object:
		seen := map[string]bool{}
		for _, m := range value {
			at := pointerTo(pointer, m.key)
			switch of, hint := memberType(t, m.key, pointer); {
			case of == nil:
				problems = append(problems, Error{Code: CodeInvalid, Pointer: at, Message: "is unknown", Hint: hint})
			case seen[m.key]:
				problems = append(problems, Error{Code: CodeInvalid, Pointer: at, Message: "is given twice", Hint: "keep one"})
			default:
				problems = append(problems, misfits(m.value, of, at)...)
			}
			seen[m.key] = true
		}
	case []any:
		for i, element := range value {
			problems = append(problems, misfits(element, t.Elem(), pointerTo(pointer, i))...)
		}
	}
	return problems
}

// memberType is the type that an object's key holds, or nil and which keys
// there are.
func memberType(t reflect.Type, key, pointer string) (of reflect.Type, hint string) {
	if t.Kind() == reflect.Map {
		return t.Elem(), ""
	}
	known := jsonFields(t)
	if field, ok := known[key]; ok {
		return field, ""
	}
	name := "the document"
	if pointer != "" {
		name = DottedPath(pointer)
	}
	return nil, fmt.Sprintf("%s takes %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// jsonFields are a struct's JSON names with their types.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = field.Type
		}
	}
	return fields
}

// mismatch says why a JSON value is not of type t, or "".
func mismatch(node any, t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		text, ok := node.(string)
		if !ok {
			return fmt.Sprintf("is %s; an RFC 3339 instant is wanted", kindOf(node))
		}
		if err := new(time.Time).UnmarshalText([]byte(text)); err != nil {
			return fmt.Sprintf("%q is not an RFC 3339 instant; write it like %s", text, DefaultAnchor)
		}
		return ""
	}
	fits, wanted := false, ""
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		wanted = "an object"
		_, fits = node.(object)
	case reflect.Slice:
		wanted = "a list"
		_, fits = node.([]any)
	case reflect.String:
		wanted = "a string"
		_, fits = node.(string)
	case reflect.Bool:
		wanted = "true or false"
		_, fits = node.(bool)
	default:
		wanted = "a whole number"
		number, ok := node.(json.Number)
		_, err := strconv.ParseInt(number.String(), 10, 64)
		fits = ok && err == nil
	}
	if fits {
		return ""
	}
	return fmt.Sprintf("is %s; %s is wanted", kindOf(node), wanted)
}

// kindOf names a JSON value in a person's words.
func kindOf(node any) string {
	switch value := node.(type) {
	case object:
		return "an object"
	case []any:
		return "a list"
	case string:
		return fmt.Sprintf("the string %q", value)
	default:
		return fmt.Sprint(value) // a number, true or false
	}
}
