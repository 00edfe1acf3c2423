package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/batchpattern/terraform-provider-batch/"

// walls says which rooms of ours a room may import. What is not listed may
// import none.
var walls = map[string][]string{
	"internal/api":        {},
	"internal/retryhttp":  {},
	"internal/schedule":   {"internal/api"},
	"internal/client":     {"internal/api", "internal/retryhttp"},
	"internal/install":    {"internal/api", "internal/client"},
	"internal/provider":   {"internal/api", "internal/schedule", "internal/client", "internal/install"},
	"internal/schemadocs": {"internal/provider"},

	"runner/failpoint":             {},
	"runner/durable":               {},
	"runner/durable/durabletest":   {"runner/durable"},
	"runner/format":                {"internal/api"},
	"runner/object":                {"internal/api", "internal/retryhttp", "runner/secret"},
	"runner/object/objecttest":     {"runner/object"},
	"runner/database":              {"internal/api", "runner/format", "runner/failpoint"},
	"runner/database/databasetest": {},
	"runner/source":                {"internal/api", "runner/format", "runner/object", "runner/database", "runner/durable", "runner/secret"},
	"runner/source/sourcetest":     {"internal/api", "runner/format", "runner/source", "runner/split"},
	"runner/compare":               {"internal/api", "runner/database", "runner/format", "runner/source", "runner/durable", "runner/object"},
	"runner/split":                 {"internal/api", "runner/format", "runner/source", "runner/durable"},
	"runner/sink":                  {"internal/api", "runner/format", "runner/object", "runner/database", "runner/durable", "runner/failpoint"},
	"runner/sink/sinktest":         {"internal/api", "runner/durable/durabletest", "runner/format", "runner/object", "runner/object/objecttest", "runner/sink"},
	"runner/secret":                {"internal/api"},
	"runner/launch":                {"internal/api", "runner/secret"},
	"runner/predict":               {"internal/api", "internal/retryhttp", "runner/format"},
	"runner/predict/predicttest":   {"internal/retryhttp"},
	"runner/store":                 {"internal/api"},
	"runner/trigger":               {"internal/api", "internal/schedule", "runner/store", "runner/failpoint"},
	"runner/engine": {"internal/api", "internal/schedule", "runner/database", "runner/durable", "runner/failpoint", "runner/format", "runner/launch",
		"runner/predict", "runner/secret", "runner/sink", "runner/source", "runner/split", "runner/store"},
	"runner/server": {"internal/api", "internal/schedule", "runner/store", "runner/engine", "runner/trigger", "runner/source",
		"runner/sink", "runner/durable", "runner/launch", "runner/secret", "runner/database", "runner/object"},
	"runner": {"internal/api", "internal/schedule", "runner/durable", "runner/engine", "runner/launch", "runner/object", "runner/secret", "runner/server",
		"runner/source", "runner/store", "runner/trigger"},
	"runner/cmd/batch-runner": {"internal/api", "internal/client", "internal/schedule", "runner", "runner/compare", "runner/object"},

	"": {"internal/provider"}, // main.go

	"examples/iris-server":          {"examples/iris-server/logistic"},
	"examples/iris-server/logistic": {},
	"examples/iris-server/train":    {"examples/iris-server/logistic"},
}

// Rooms guess from their doors: an import that climbs makes two rooms one.
func TestNoRoomImportsUpward(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, strings.TrimSuffix(module, "/")), "/")
		allowed, listed := walls[room]
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module)
			if ours && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s: its wall (listed: %v) allows %v", room, other, listed, allowed)
			}
		}
	}
}

func TestTheRunnerKnowsNothingOfTerraformAndTheProviderNothingOfDatabases(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module)
		for _, dependency := range p.Deps {
			switch {
			case strings.HasPrefix(room, "runner") && strings.HasPrefix(dependency, "github.com/hashicorp/terraform-plugin-"):
				t.Errorf("%s depends on %s", room, dependency)
			case strings.HasPrefix(room, "internal/provider") &&
				(strings.HasPrefix(dependency, module+"runner") || strings.HasPrefix(dependency, "modernc.org/sqlite") || strings.HasPrefix(dependency, "github.com/jackc/") ||
					strings.HasPrefix(dependency, "github.com/parquet-go/") || strings.HasPrefix(dependency, "github.com/go-co-op/gocron")):
				t.Errorf("%s depends on %s", room, dependency)
			case room == "runner/cmd/batch-runner" && (dependency == "text/template" || dependency == "html/template"):
				t.Errorf("%s depends on %s, which switches the linker's dead-code elimination off", room, dependency)
			}
		}
	}
}

type listedPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) []listedPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
