package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// seen is a measurement: one target met, one missed, and two without.
func seen() results {
	return results{
		Scale: 1, Date: time.Date(2026, 11, 23, 13, 5, 0, 0, time.UTC), Commits: []string{"c9927cb"},
		Machine: machine{CPU: "AMD EPYC", Cores: 2, MemoryGB: 24, System: "Debian", Go: "go1.26"},
		Peers:   map[string]string{"wrk": "4.1.0"},
		Pairs: map[string]pair{
			"wrk":           {Turns: 5, Ours: cost{1e-6, 0.4e-6}, Peer: cost{0.9e-6, 0.2e-6}},
			"aiohttp-128":   {Turns: 3, Ours: cost{1e-6, 0.4e-6}, Peer: cost{24e-6, 80e-6}},
			"aiohttp-tuned": {Turns: 3, Ours: cost{1e-6, 0.4e-6}, Peer: cost{9e-6, 6e-6}},
		},
		Figures: map[string]float64{"idle": 13.4, "planning": 2.2, "s3": 412_345, "matrix-csv-parquet": 0.456},
	}
}

func TestThePageSaysWhichTargetsAreMet(t *testing.T) {
	got := page(seen())
	for _, line := range []string{
		"| 1,110,000 | 1,000,000 | **0.9×** | 0.5× | 5 | ≥ 0.8× | yes |",
		"| 41,700 | 1,000,000 | **24×** | 200× | 3 | ≥ 25×, CPU ≥ 18× | no |",
		"| 111,000 | 1,000,000 | **9×** | 15× | 3 |  |  |",
		"| memory, no job | 13.4 MB | ≤ 25 MB | yes |",
		"| planning a CSV file of 1 GB, per CPU second | 2.2 GB | ≥ 2.5 GB | no |",
		"| S3 → S3 (versitygw on this machine) | 412,000 records/s |  |  |",
		"| from CSV |  |  | 0.456 µs |",
		"Measured on 23 November 2026 at c9927cb: 2 cores of AMD EPYC, 24 GB of memory, Debian, go1.26. Beside us: wrk (4.1.0).",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("there is no %q in\n%s", line, got)
		}
	}
	if strings.Contains(got, "Due in one second") {
		t.Error("there is a headline without a figure")
	}
}

func TestTheGuideKeepsItsProse(t *testing.T) {
	guide, err := os.ReadFile("../templates/guides/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	once, err := fill(string(guide), "\n<first>\n")
	if err != nil {
		t.Fatal(err)
	}
	again, err := fill(once, "\n<second>\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(once, "<first>", "<second>", 1); again != want || !strings.Contains(again, "<second>") {
		t.Errorf("filled again the guide is\n%s", again)
	}
	if _, err := fill("no place", "text"); err == nil {
		t.Error("a guide without a place was filled")
	}
}

func TestThePlotIsAPicture(t *testing.T) {
	for name, r := range map[string]results{"nothing": {}, "some": seen()} {
		t.Run(name, func(t *testing.T) {
			bars := 0
			for decoder := xml.NewDecoder(strings.NewReader(plot(r))); ; {
				token, err := decoder.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
					for _, a := range start.Attr {
						if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "-") {
							t.Errorf("a rectangle has %s %q", a.Name.Local, a.Value)
						}
					}
					bars++
				}
			}
			if want := 3 + 2*len(r.Pairs); bars != want { // the paper and the legend
				t.Errorf("%d rectangles, want %d", bars, want)
			}
		})
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 0.1704: "0.17", 0.8: "0.8", 1.0421: "1.04", 25: "25", 44.96: "45", 320.4: "320", 999.6: "1,000", 1_234_567: "1,230,000", 0.000123: "0.000123",
	} {
		if got := number(value); got != want {
			t.Errorf("%v is %s, want %s", value, got, want)
		}
	}
}

func TestEveryFigureHasOnePlace(t *testing.T) {
	ids := map[string]bool{}
	once := func(id string) {
		if ids[id] {
			t.Errorf("%s is there twice", id)
		}
		ids[id] = true
	}
	for _, c := range comparisons {
		once(c.id)
	}
	for _, g := range groups {
		for _, b := range g.bars {
			once(b.id)
		}
	}
}

func TestResultsAreReadAsTheyWereWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "results.json")
	want := seen()
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	if got, err := readResults(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
}
