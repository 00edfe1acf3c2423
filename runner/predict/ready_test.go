package predict_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

func TestReadyAsksOnceAndTellsWhatCameBack(t *testing.T) {
	for _, protocol := range []string{"oip_v2", "tf_v1"} {
		synctest.Test(t, func(t *testing.T) {
			server := predicttest.New(predicttest.Options{})
			client := memoryClient(t, server, predict.Config{Protocol: protocol, Model: api.Model{Name: "m", Version: "7"}})
			server.ReadyAfter(2)
			for _, want := range []string{"503 loading, 1 of 2", "503 loading, 2 of 2"} {
				answer, err := client.Ready(t.Context())
				if e := asError(t, err); answer != want || e.Class != api.ClassTransient || e.Sends != 1 {
					t.Errorf("%s: got %q and %v after %d sends, want %q", protocol, answer, err, e.Sends, want)
				}
			}
			if answer, err := client.Ready(t.Context()); err != nil || !strings.HasPrefix(answer, "200 ") {
				t.Errorf("%s: got %q and %v, want ready", protocol, answer, err)
			}
			if server.Probes() != 3 {
				t.Errorf("%s: %d probes, want 3", protocol, server.Probes())
			}
		})
	}
}

func TestReadyBelievesWhatTheServerSays(t *testing.T) {
	for _, c := range []struct {
		protocol, answer string
		ready            bool
	}{
		{"oip_v2", `{"name":"m","ready":true}`, true},
		{"oip_v2", ` `, true},
		{"oip_v2", `{"ready":false}`, false},
		{"tf_v1", `{"ready":true}`, true},
		{"tf_v1", `{"name":"m","ready":"True"}`, true},
		{"tf_v1", `{"ready":false}`, false},
		{"tf_v1", `{"model_version_status":[{"version":"1","state":"END"},{"version":"2","state":"AVAILABLE"}]}`, true},
		{"tf_v1", `{"model_version_status":[{"version":"2","state":"LOADING"}]}`, false},
		{"tf_v1", `fine`, false},
		{"tf_v1", `{}`, false},
	} {
		client := newClient(t, predict.Config{Protocol: c.protocol, Transport: &canned{metadata: c.answer}})
		answer, err := client.Ready(t.Context())
		if ready := err == nil; ready != c.ready {
			t.Errorf("%s %s: %v", c.protocol, c.answer, err)
		}
		if want := strings.TrimSpace("200 " + strings.TrimSpace(c.answer)); answer != want {
			t.Errorf("answer is %q, want %q", answer, want)
		}
	}
}

func TestTheVersionServedMustBeTheOneAskedFor(t *testing.T) {
	for _, c := range []struct {
		protocol, asked, metadata string
		versions, refusal         string
	}{
		{"oip_v2", "", `{"versions":["2","1"]}`, "1 2", ""},
		{"oip_v2", "2", `{"versions":["1","2"]}`, "1 2", ""},
		{"oip_v2", "2", `{"versions":[2]}`, "2", ""},
		{"oip_v2", "2", `{"name":"m"}`, "", ""},
		{"oip_v2", "2", ``, "", ""},
		{"oip_v2", "2", `{"versions":"two"}`, "", ""},
		{"oip_v2", "3", `{"versions":["1"]}`, "1", `predict.model.version is "3" and the server has model m in version "1"`},
		{"oip_v2", "3", `{"versions":["1","2"]}`, "1 2", `predict.model.version is "3" and the server has model m in versions ["1" "2"]`},
		{"tf_v1", "", `{"model_version_status":[{"version":"1","state":"END"},{"version":"2","state":"AVAILABLE"}]}`, "2", ""},
		{"tf_v1", "2", `{"model_version_status":[{"version":"2","state":"AVAILABLE"}]}`, "2", ""},
		{"tf_v1", "3", `{"model_version_status":[{"version":"2","state":"AVAILABLE"}]}`, "2", `predict.model.version is "3" and the server has model m in version "2"`},
	} {
		client := newClient(t, predict.Config{Protocol: c.protocol, Model: api.Model{Name: "m", Version: c.asked}, Transport: &canned{metadata: c.metadata}})
		if c.refusal != "" {
			if _, err := client.Ready(t.Context()); err != nil {
				t.Errorf("%s %s: not ready, so that nobody is told: %v", c.protocol, c.metadata, err)
			}
		}
		err := client.Describe(t.Context())
		if got := strings.Join(client.Versions(), " "); got != c.versions {
			t.Errorf("%s %s: versions %q, want %q", c.protocol, c.metadata, got, c.versions)
		}
		if c.refusal == "" {
			if err != nil {
				t.Errorf("%s %s, asked for %q: %v", c.protocol, c.metadata, c.asked, err)
			}
			continue
		}
		if e := asError(t, err); e.Class != api.ClassConfig || err.Error() != c.refusal {
			t.Errorf("%s %s, asked for %q: %s: %v", c.protocol, c.metadata, c.asked, e.Class, err)
		}
	}
}

func TestAVersionThatIsStillLoadingIsWaitedFor(t *testing.T) {
	client := newClient(t, predict.Config{Protocol: "tf_v1", Model: api.Model{Name: "m", Version: "2"}, Transport: &canned{
		metadata: `{"model_version_status":[{"version":"1","state":"AVAILABLE"},{"version":"2","state":"LOADING"}]}`}})
	if _, err := client.Ready(t.Context()); err == nil {
		t.Error("version 1 is taken for version 2")
	}
}

func TestAnUnknownModelIsNotReady(t *testing.T) {
	server := predicttest.New(predicttest.Options{Model: "iris"})
	client := newClient(t, predict.Config{Protocol: "oip_v2", BaseURL: server.Listen(t)})
	_, err := client.Ready(t.Context())
	if e := asError(t, err); e.Class != api.ClassConfig || !strings.Contains(err.Error(), `model \"m\" is not found`) {
		t.Errorf("got %s: %v", e.Class, err)
	}
}

func TestDescribeRefusesFeaturesTheModelDoesNotTake(t *testing.T) {
	const two = `{"inputs":[{"name":"a","datatype":"FP64"},{"name":"b","datatype":"FP64"}]}`
	for name, c := range map[string]struct {
		features api.Features
		metadata string
		want     string
	}{
		"two inputs for a matrix": {api.Features{Columns: []string{"a", "b"}}, two,
			`model m takes a, b; a matrix is one of them: set predict.features.name, or predict.features.as = "columns"`},
		"an unknown name": {api.Features{Columns: []string{"a", "b"}, Name: "x"}, two, `model m takes a, b, not "x"; correct predict.features.name`},
		"an unknown column": {api.Features{Columns: []string{"a", "c"}, As: "columns"}, two,
			`model m takes a, b, not "c"; name its inputs in predict.features.columns, or send one matrix with predict.features.as = "matrix"`},
		"all known":       {api.Features{Columns: []string{"b", "a"}, As: "columns"}, two, ""},
		"no inputs":       {api.Features{Columns: []string{"a"}}, `{"name":"m"}`, ""},
		"no metadata":     {api.Features{Columns: []string{"a"}}, ``, ""},
		"an unlike page":  {api.Features{Columns: []string{"a"}}, `<html>`, ""},
		"one input named": {api.Features{Columns: []string{"a"}, Name: "x"}, `{"inputs":[{"name":"x"}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, predict.Config{Protocol: "oip_v2", Features: c.features, Transport: &canned{metadata: c.metadata}})
			err := client.Describe(t.Context())
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if e := asError(t, err); e.Class != api.ClassConfig || err.Error() != c.want {
				t.Errorf("got %s: %v, want %s", e.Class, err, c.want)
			}
		})
	}
}
