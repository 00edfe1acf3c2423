package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// results is what was measured, as build/bench/results.json keeps it.
type results struct {
	// Scale is what sizes were multiplied by: 1 in what is published.
	Scale   float64   `json:"scale"`
	Machine machine   `json:"machine"`
	Date    time.Time `json:"date"`
	// Commits are those that figures come from: one, unless parts were measured
	// later than others.
	Commits []string `json:"commits"`
	// Peers are the versions of what we are compared with.
	Peers map[string]string `json:"peers"`
	// Pairs are the sides of comparisons, Figures the values of bars.
	Pairs   map[string]pair    `json:"pairs"`
	Figures map[string]float64 `json:"figures"`
}

type machine struct {
	CPU      string `json:"cpu"`
	Cores    int    `json:"cores"`
	MemoryGB int    `json:"memory_gb"`
	System   string `json:"system"`
	Go       string `json:"go"`
}

// pair is what each side needed: of its runs, that with the least wall time and
// that with the least CPU time.
type pair struct {
	Turns int  `json:"turns"`
	Ours  cost `json:"ours"`
	Peer  cost `json:"peer"`
}

// cost is what one record costs, in seconds.
type cost struct {
	Wall float64 `json:"wall"`
	CPU  float64 `json:"cpu"`
}

// perSecond is the number of records in a second.
func (c cost) perSecond() float64 { return 1 / c.Wall }

// wall is how many times faster we are, cpu how many times less we use.
func (p pair) wall() float64 { return p.Peer.Wall / p.Ours.Wall }
func (p pair) cpu() float64  { return p.Peer.CPU / p.Ours.CPU }

// readResults gives empty ones where there is no such file.
func readResults(path string) (results, error) {
	r := results{Scale: 1, Peers: map[string]string{}, Pairs: map[string]pair{}, Figures: map[string]float64{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

func (r results) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
