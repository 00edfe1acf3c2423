package api

import (
	"testing"
	"time"
)

func TestTheTroubleOfARunIsWhatItWaitsForNow(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	planning := Event{Kind: "state", From: "queued", To: "planning"}
	refused := Event{Kind: "storage", At: at, Detail: "open database: connection refused"}
	tests := map[string]struct {
		events []Event
		want   string
	}{
		"a database that refuses":            {[]Event{planning, refused}, "open database: connection refused"},
		"and something that is only told":    {[]Event{planning, refused, {Kind: "warning", Detail: "w"}}, "open database: connection refused"},
		"one that has come back":             {[]Event{planning, refused, {Kind: "planned"}}, ""},
		"one before the runner was upgraded": {[]Event{planning, refused, {Kind: "state", From: "planning", To: "queued"}}, ""},
		"an input that is not there":         {[]Event{{Kind: "state", To: "queued"}, {Kind: "waiting", At: at, Detail: "nothing matches /in/a"}}, "nothing matches /in/a"},
		"a server that loads its model":      {[]Event{{Kind: "launch"}, {Kind: "not_ready", At: at, Detail: "503"}}, "the prediction server is not ready: 503"},
		"a program that says nothing":        {[]Event{{Kind: "launch"}, {Kind: "not_ready", At: at, Detail: "program a.py is silent"}}, "program a.py is silent"},
		"one that is ready":                  {[]Event{{Kind: "not_ready", At: at, Detail: "503"}, {Kind: "ready"}}, ""},
		"none":                               {nil, ""},
	}
	for name, test := range tests {
		got := TroubleOf(test.events)
		if got.Error != test.want || test.want != "" && !got.Since.Equal(at) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
