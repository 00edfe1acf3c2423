package runner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tokenFile is where a data dir keeps the token of its port.
const tokenFile = "token"

// token finds what clients on a port must send; on a socket the permissions of
// the file decide, and there is none.
func (o Options) token() (string, error) {
	switch {
	case strings.HasPrefix(o.Listen, "unix:"):
		return "", nil
	case o.Token != "":
		return o.Token, nil
	case o.TokenFile != "":
		return readToken(o.TokenFile)
	}
	path := filepath.Join(o.DataDir, tokenFile)
	token, err := readToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	token = rand.Text()
	// Renamed, so that a crash leaves no empty one.
	if err = os.WriteFile(path+".new", []byte(token+"\n"), 0o600); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return "", fmt.Errorf("write token: %w", err)
	}
	return token, nil
}

func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("read token: %s is empty", path)
	}
	return token, nil
}
