package api

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Placeholders of file uris always mean the occurrence in the job's time zone;
// {run} is the run's id.
//
//	{date} {year} {month} {day} {hour} {scheduled_at} {run}
//	{date-1d} {hour-2h}      with an offset in days or hours
//	{date:%Y%m%d}            with a strftime format (%Y %m %d %H %M %S %j %y %%)
//	{{ and }}                a literal brace
//
// A command knows {port}, {model_name} and {model_version} instead.
var (
	occurrenceWords = []string{"date", "year", "month", "day", "hour", "scheduled_at", "run"}
	commandWords    = []string{"port", "model_name", "model_version"}
	placeholderForm = regexp.MustCompile(`^([a-z_]+)(?:([+-])([0-9]{1,4})([dh]))?(?::(.+))?$`)
)

// Occasion is what the placeholders of a uri stand for in one run.
type Occasion struct {
	Occurrence time.Time // the instant, in the job's time zone
	Run        string
}

// ExpandURI replaces the placeholders of a file uri.
func ExpandURI(uri string, o Occasion) (string, error) {
	return expand(uri, func(word string) (string, error) { return o.value(word) })
}

// ExpandCommand replaces the placeholders of a command's word or of an
// environment value.
func ExpandCommand(text string, values map[string]string) (string, error) {
	return expand(text, func(word string) (string, error) {
		value, ok := values[word]
		if !ok {
			return "", unknownPlaceholder(word, commandWords)
		}
		return value, nil
	})
}

// CheckURI says whether every placeholder of a uri is known.
func CheckURI(uri string) error {
	_, err := ExpandURI(uri, Occasion{Occurrence: time.Unix(0, 0).UTC(), Run: "r"})
	return err
}

// CheckCommand says whether every placeholder of a command's word is known.
func CheckCommand(text string) error {
	_, err := ExpandCommand(text, map[string]string{"port": "", "model_name": "", "model_version": ""})
	return err
}

// HasOccurrencePlaceholder tells whether the uri names another folder for
// another occurrence.
func HasOccurrencePlaceholder(uri string) bool {
	found := false
	_, _ = expand(uri, func(word string) (string, error) {
		found = found || word != "run"
		return "", nil
	})
	return found
}

// HasRunPlaceholder tells whether the uri names another folder for another run.
func HasRunPlaceholder(uri string) bool {
	found := false
	_, _ = expand(uri, func(word string) (string, error) {
		found = found || word == "run"
		return "", nil
	})
	return found
}

// Root is the folder of an output uri above its first placeholder, without a
// trailing slash: the root of /out/dt={date}/ is /out.
func Root(uri string) string {
	path := Path(uri)
	first := -1
	for i := 0; i < len(path) && first < 0; i++ {
		if path[i] == '{' {
			if strings.HasPrefix(path[i:], "{{") {
				i++
				continue
			}
			first = i
		}
	}
	if first >= 0 {
		path = path[:strings.LastIndexByte(path[:first], '/')+1]
	}
	path = strings.NewReplacer("{{", "{", "}}", "}").Replace(path)
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" {
		return trimmed
	}
	return "/"
}

func (o Occasion) value(word string) (string, error) {
	m := placeholderForm.FindStringSubmatch(word)
	if m == nil || !slices.Contains(occurrenceWords, m[1]) {
		return "", unknownPlaceholder(word, occurrenceWords)
	}
	name, sign, count, unit, format := m[1], m[2], m[3], m[4], m[5]
	if name == "run" {
		if sign != "" || format != "" {
			return "", fmt.Errorf("placeholder {%s}: run takes neither offset nor format", word)
		}
		return o.Run, nil
	}
	t := o.Occurrence
	if sign != "" {
		n, _ := strconv.Atoi(count) // placeholderForm lets four digits pass
		if sign == "-" {
			n = -n
		}
		if unit == "d" {
			t = t.AddDate(0, 0, n)
		} else {
			t = t.Add(time.Duration(n) * time.Hour)
		}
	}
	if format != "" {
		return strftime(word, format, t)
	}
	switch name {
	case "date":
		return t.Format("2006-01-02"), nil
	case "year":
		return t.Format("2006"), nil
	case "month":
		return t.Format("01"), nil
	case "day":
		return t.Format("02"), nil
	case "hour":
		return t.Format("15"), nil
	default:
		return FormatInstant(t), nil
	}
}

func strftime(word, format string, t time.Time) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		if i == len(format) {
			return "", fmt.Errorf("placeholder {%s}: the format ends in a lone %%", word)
		}
		layout, ok := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'j': "002"}[format[i]]
		switch {
		case format[i] == '%':
			b.WriteByte('%')
		case ok:
			b.WriteString(t.Format(layout))
		default:
			return "", fmt.Errorf("placeholder {%s}: unknown format %%%c; known are %%Y %%m %%d %%H %%M %%S %%j %%y %%%%", word, format[i])
		}
	}
	return b.String(), nil
}

func expand(text string, value func(word string) (string, error)) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "{{"):
			b.WriteByte('{')
			i += 2
		case strings.HasPrefix(text[i:], "}}"):
			b.WriteByte('}')
			i += 2
		case text[i] == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return "", fmt.Errorf("the placeholder at %q is not closed; write {{ for a literal brace", text[i:])
			}
			v, err := value(text[i+1 : i+end])
			if err != nil {
				return "", err
			}
			b.WriteString(v)
			i += end + 1
		default:
			b.WriteByte(text[i])
			i++
		}
	}
	return b.String(), nil
}

func unknownPlaceholder(word string, known []string) error {
	return fmt.Errorf("unknown placeholder {%s}; known are {%s}, and {{ is a literal brace", word, strings.Join(known, "}, {"))
}
