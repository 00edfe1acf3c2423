package engine

import (
	"testing"
	"time"
)

func TestWhichFoldersExpire(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	// Newest occurrence first: a to e, published a day apart; x never was.
	folders := func(protected string) []outputFolder {
		var all []outputFolder
		for i, name := range []string{"a", "b", "x", "c", "d", "e"} {
			f := outputFolder{folder: name, revision: 1, at: now.Add(-time.Duration(i+1) * day), protected: name == protected}
			if name == "x" {
				f.revision = 0
			}
			all = append(all, f)
		}
		return all
	}
	for _, c := range []struct {
		keep      keeping
		protected string
		want      string
	}{
		{keeping{}, "", ""},
		{keeping{runs: 1}, "", "bxcde"},
		{keeping{runs: 3}, "", "de"},
		{keeping{runs: 3}, "e", "d"},
		{keeping{runs: 9}, "", ""},
		{keeping{age: 2*day + 1}, "", "xcde"},
		{keeping{age: 2 * day}, "", "bxcde"},
		{keeping{runs: 1, age: 4*day + 1}, "", "de"},
		{keeping{runs: 4, age: day}, "", "e"},
	} {
		got := ""
		for _, f := range expired(folders(c.protected), c.keep, now) {
			got += f.folder
		}
		if got != c.want {
			t.Errorf("%+v with %q protected: %q go, want %q", c.keep, c.protected, got, c.want)
		}
	}
}
