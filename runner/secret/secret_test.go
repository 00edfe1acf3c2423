package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const value = "s3cr3t-{value}"

func TestResolveReadsTheThreePlaces(t *testing.T) {
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets")
	absolute := write(t, filepath.Join(dir, "token"), value+"\n\n", 0o600)
	write(t, filepath.Join(secrets, "api-key"), value, 0o600)
	write(t, filepath.Join(secrets, "windows"), value+"\r\n", 0o600)
	environment := write(t, filepath.Join(dir, "env"), "TOKEN="+value+"\n", 0o600)
	resolver := New(secrets, environment)

	for _, test := range []struct {
		name string
		ref  api.SecretRef
		want string
	}{
		{"a file in secrets_dir", api.SecretRef{Secret: "api-key"}, value},
		{"a CRLF is one newline", api.SecretRef{Secret: "windows"}, value},
		{"only one trailing newline is taken off", api.SecretRef{File: absolute}, value + "\n"},
		{"a name in environment_file", api.SecretRef{Env: "TOKEN"}, value},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := resolver.Resolve(test.ref)
			if err != nil || got != test.want {
				t.Fatalf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestResolveSeesARotatedSecretAtOnce(t *testing.T) {
	dir := t.TempDir()
	resolver := New(dir, "")
	for _, want := range []string{"old", "new"} {
		write(t, filepath.Join(dir, "key"), want, 0o600)
		if got, err := resolver.Resolve(api.SecretRef{Secret: "key"}); err != nil || got != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestResolveErrorsNameTheRemedyAndNeverTheValue(t *testing.T) {
	dir := t.TempDir()
	broken := write(t, filepath.Join(dir, "broken"), "# x\nA=1\n"+value+"\n", 0o600)
	good := write(t, filepath.Join(dir, "good"), "A="+value+"\nEMPTY=\n", 0o600)
	huge := write(t, filepath.Join(dir, "huge"), strings.Repeat(value, maxFile/len(value)+1), 0o600)
	write(t, filepath.Join(dir, "empty"), "\n", 0o600)

	for _, test := range []struct {
		name             string
		dir, environment string
		ref              api.SecretRef
		want             []string
	}{
		{"nothing named", dir, good, api.SecretRef{}, []string{"one of secret, file and env"}},
		{"two places named", dir, good, api.SecretRef{Secret: "a", Env: "A"}, []string{"more than one place"}},
		{"missing in secrets_dir", dir, good, api.SecretRef{Secret: "nope"}, []string{dir + "/nope", "put the secret into a file nope in secrets_dir " + dir}},
		{"no secrets_dir", "", good, api.SecretRef{Secret: "nope"}, []string{`"nope"`, "no secrets_dir", "set it"}},
		{"path as a name", dir, good, api.SecretRef{Secret: "../good"}, []string{`"../good"`, "not the name of a file"}},
		{"parent folder as a name", dir, good, api.SecretRef{Secret: ".."}, []string{"not the name of a file"}},
		{"empty file", dir, good, api.SecretRef{Secret: "empty"}, []string{`"empty" in secrets_dir`, "is empty", "write the value into " + filepath.Join(dir, "empty")}},
		{"relative file", dir, good, api.SecretRef{File: "good"}, []string{`"good"`, "not absolute"}},
		{"missing file", dir, good, api.SecretRef{File: dir + "/gone"}, []string{dir + "/gone", "put the secret into this file"}},
		{"folder", dir, good, api.SecretRef{File: dir}, []string{dir, "not a regular file"}},
		{"not a secret by its size", dir, good, api.SecretRef{File: huge}, []string{huge, "1 MiB"}},
		{"no environment_file", dir, "", api.SecretRef{Env: "A"}, []string{"no environment_file", "A=…"}},
		{"missing environment_file", dir, dir + "/gone", api.SecretRef{Env: "A"}, []string{dir + "/gone", "A=…"}},
		{"missing in environment_file", dir, good, api.SecretRef{Env: "B"}, []string{good, "add a line B=…"}},
		{"empty in environment_file", dir, good, api.SecretRef{Env: "EMPTY"}, []string{"EMPTY in environment_file", "is empty"}},
		{"bad line of environment_file", dir, broken, api.SecretRef{Env: "A"}, []string{broken + ":3", "neither NAME=VALUE nor a # comment"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			resolver := New(test.dir, test.environment)
			got, err := resolver.Resolve(test.ref)
			if err == nil {
				t.Fatalf("resolved to %q", got)
			}
			for _, text := range []string{err.Error(), resolver.Describe(test.ref)} {
				for _, want := range test.want {
					if !strings.Contains(text, want) {
						t.Errorf("%q lacks %q", text, want)
					}
				}
				if strings.Contains(text, value) {
					t.Errorf("%q shows the secret", text)
				}
			}
		})
	}
}

func TestDescribeTellsLengthAndAgeNeverTheValue(t *testing.T) {
	dir := t.TempDir()
	changed := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	set := func(name string, mode os.FileMode) {
		if err := os.Chtimes(write(t, filepath.Join(dir, name), value, mode), changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	set("private", 0o600)
	set("open", 0o644)

	for _, test := range []struct {
		name, secret string
		after        time.Duration
		want         string
	}{
		{"now", "private", 59 * time.Second, "set, 14 bytes, changed just now"},
		{"clock set back", "private", -time.Hour, "set, 14 bytes, changed just now"},
		{"minutes", "private", 5 * time.Minute, "set, 14 bytes, changed 5m ago"},
		{"hours", "private", 2*time.Hour + 59*time.Minute, "set, 14 bytes, changed 2h ago"},
		{"days", "private", 73 * time.Hour, "set, 14 bytes, changed 3d ago"},
		{"readable by everybody", "open", time.Hour, "set, 14 bytes, changed 1h ago; its mode 0644 lets everybody on this host read " + dir + "/open: chmod 600 it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resolver := New(dir, "")
			resolver.now = func() time.Time { return changed.Add(test.after) }
			if got := resolver.Describe(api.SecretRef{Secret: test.secret}); got != test.want {
				t.Fatalf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestEnvironmentFileLines(t *testing.T) {
	for _, test := range []struct{ name, line, want, err string }{
		{name: "plain", line: "A=b", want: "b"},
		{name: "spaces and signs belong to the value", line: " A = b # c=d ", want: "b # c=d"},
		{name: "export", line: "export A=b", want: "b"},
		{name: "CRLF", line: "A=b\r", want: "b"},
		{name: "byte order mark", line: "\ufeffA=b", want: "b"},
		{name: "single quotes are literal", line: `A=' $b \" '`, want: ` $b \" `},
		{name: "double quotes", line: `A=" a\"b\\c\n "`, want: ` a"b\c\n `},
		{name: "a quote inside", line: `A=b"c`, want: `b"c`},
		{name: "the last one counts", line: "A=b\n\n# c\nA=d", want: "d"},
		{name: "no equals sign", line: "A", err: "f:1: this is neither"},
		{name: "bad name", line: "# x\n1A=b", err: "f:2: this is neither"},
		{name: "open quote", line: `A="b\"`, err: "f:1: the value of A has no closing quote"},
		{name: "after the quote", line: `A='b' # c`, err: "f:1: the value of A goes on after its closing quote"},
	} {
		t.Run(test.name, func(t *testing.T) {
			values, err := parseEnvironment("f", test.line)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v lacks %q", err, test.err)
				}
				return
			}
			if err != nil || values["A"] != test.want {
				t.Fatalf("got %q, %v; want %q", values["A"], err, test.want)
			}
		})
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}
