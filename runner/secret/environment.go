package secret

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseEnvironment reads the lines of an environment_file:
//
//	# a comment, where # is the first sign of the line
//	NAME=value with spaces and # signs, up to the end of the line
//	NAME='taken literally'
//	NAME="with \" and \\"
//	export NAME=value
//
// Nothing is expanded. A name that stands twice has its last value. Errors tell
// the line's number and never its text, which may be a secret.
func parseEnvironment(path, text string) (map[string]string, error) {
	values := map[string]string{}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("read environment_file %s:%d: %w", path, number, err)
		}
		values[name] = value
	}
	return values, nil
}

func parseLine(line string) (name, value string, err error) {
	if rest, found := strings.CutPrefix(line, "export "); found {
		line = rest
	}
	name, value, found := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	if !found || !environmentName.MatchString(name) {
		return "", "", errors.New("this is neither NAME=VALUE nor a # comment")
	}
	value, err = unquote(strings.TrimSpace(value))
	if err != nil {
		return "", "", fmt.Errorf("the value of %s %w", name, err)
	}
	return name, value, nil
}

func unquote(value string) (string, error) {
	if value == "" || value[0] != '\'' && value[0] != '"' {
		return value, nil
	}
	quote := value[0]
	var b strings.Builder
	for i := 1; i < len(value); i++ {
		switch {
		case value[i] == quote && i == len(value)-1:
			return b.String(), nil
		case value[i] == quote:
			return "", errors.New("goes on after its closing quote")
		case quote == '"' && value[i] == '\\' && i+1 < len(value) && (value[i+1] == '"' || value[i+1] == '\\'):
			i++
		}
		b.WriteByte(value[i])
	}
	return "", errors.New("has no closing quote on its line")
}
