package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// What differs is said in words, with the places where a program was found.
func TestWhatDiffersBetweenModelsIsNamed(t *testing.T) {
	was := fingerprint{
		Path: "/usr/bin/python3", Executable: strings.Repeat("a", 64), Script: strings.Repeat("b", 64), ModelFiles: strings.Repeat("c", 64),
		Args: []string{"serve.py"}, Model: "iris",
	}
	for _, test := range []struct {
		name   string
		change func(p *fingerprint)
		want   []string
	}{
		{"found elsewhere on the PATH", func(p *fingerprint) { p.Path, p.Executable = "/opt/venv/bin/python3", strings.Repeat("d", 64) },
			[]string{"the program", "/opt/venv/bin/python3", "was /usr/bin/python3", "sha256 dddddddddddd", "sha256 aaaaaaaaaaaa"}},
		{"replaced in its place", func(p *fingerprint) { p.Executable = strings.Repeat("d", 64) },
			[]string{"the program /usr/bin/python3, in content", "sha256 dddddddddddd", "was sha256 aaaaaaaaaaaa"}},
		{"an endpoint since", func(p *fingerprint) { *p = fingerprint{Model: "iris"} }, []string{"the program (none, was /usr/bin/python3)"}},
		{"the script", func(p *fingerprint) { p.Script = "" }, []string{"the script, in content (none, was sha256 bbbbbbbbbbbb)"}},
		{"the model files", func(p *fingerprint) { p.ModelFiles = strings.Repeat("e", 64) }, []string{"the model files, in name or content (sha256 eeeeeeeeeeee"}},
		{"the arguments", func(p *fingerprint) { p.Args = []string{"other.py"} }, []string{`the arguments (["other.py"], was ["serve.py"])`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := was
			test.change(&now)
			if now.seal().ID == was.seal().ID {
				t.Error("the fingerprints are the same")
			}
			said := now.differences(was)
			for _, text := range test.want {
				if !strings.Contains(said, text) {
					t.Errorf("%q does not appear in: %s", text, said)
				}
			}
		})
	}
}

// A fingerprint of the time before it told the program's place is still one.
func TestAFingerprintWithoutAPlace(t *testing.T) {
	was := fingerprint{Executable: strings.Repeat("a", 64)}
	now := was
	now.Path = "/usr/bin/python3"
	if now.seal().ID != was.seal().ID {
		t.Error("the same program in another place is another model")
	}
	now.Executable = strings.Repeat("d", 64)
	if said := now.differences(was); !strings.Contains(said, "the program /usr/bin/python3, in content") {
		t.Errorf("it says: %s", said)
	}
}

// A launch is told with the place where its program was found.
func TestAProgramThatIsFoundElsewhere(t *testing.T) {
	x := &execution{e: &Engine{}, job: api.Job{Predict: api.Predict{Server: &api.Server{Command: []string{"serve"}}}}}
	var prints []fingerprint
	var places []string
	for _, content := range []string{"one", "two"} {
		dir := t.TempDir()
		place := filepath.Join(dir, "serve")
		if err := os.WriteFile(place, []byte(content), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		print, err := x.identify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		prints, places = append(prints, print.seal()), append(places, place)
	}
	if prints[0].ID == prints[1].ID {
		t.Fatal("two programs have one fingerprint")
	}
	said := prints[1].differences(prints[0])
	if !strings.Contains(said, "the program ("+places[1]) || !strings.Contains(said, "was "+places[0]) {
		t.Errorf("it says: %s", said)
	}
}
