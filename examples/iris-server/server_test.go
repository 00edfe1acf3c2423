package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Records 1, 51 and 101 of Fisher's data, one of each species.
const (
	setosa     = "[5.1,3.5,1.4,0.2]"
	versicolor = "[7.0,3.2,4.7,1.4]"
	virginica  = "[6.3,3.3,6.0,2.5]"
)

// loaded is a handler whose model is ready.
func loaded(t *testing.T) http.Handler {
	t.Helper()
	model, err := loadModel("")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer()
	s.setModel(model)
	return s.handler()
}

// call sends one request: a POST when there is a body, a GET when there is none.
func call(handler http.Handler, path, body string) *httptest.ResponseRecorder {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	return recorder
}

// decode reads a 200 answer.
func decode[T any](t *testing.T, recorder *httptest.ResponseRecorder) T {
	t.Helper()
	var value T
	if recorder.Code != http.StatusOK {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &value); err != nil {
		t.Fatalf("decode %s: %v", recorder.Body, err)
	}
	return value
}

// expectError checks that an answer has a status and a JSON error that contains text.
func expectError(t *testing.T, recorder *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	var reply struct{ Error string }
	if err := json.Unmarshal(recorder.Body.Bytes(), &reply); err != nil {
		t.Fatalf("decode %s: %v", recorder.Body, err)
	}
	if recorder.Code != status || !strings.Contains(reply.Error, text) {
		t.Errorf("got %d %q, want %d with %q", recorder.Code, reply.Error, status, text)
	}
}

func TestServerIsAliveButNotReadyUntilTheModelIsLoaded(t *testing.T) {
	s := newServer()
	handler := s.handler()
	paths := []struct {
		path          string
		before, after int
		want          string // in the body once loaded
	}{
		{"/v2/health/live", 200, 200, `"live":true`},
		{"/v2/health/ready", 503, 200, `"ready":true`},
		{"/v2/models/iris", 503, 200, `"shape":[-1,4]`},
		{"/v2/models/iris/ready", 503, 200, `"ready":true`},
		{"/v2/models/iris/versions/1/ready", 503, 200, `"ready":true`},
		{"/v1/models/iris", 200, 200, `"state":"AVAILABLE"`},
		{"/v1/models/iris/versions/1", 200, 200, `"state":"AVAILABLE"`},
	}
	for _, p := range paths {
		if got := call(handler, p.path, ""); got.Code != p.before || (p.path != "/v2/health/live" && strings.Contains(got.Body.String(), p.want)) {
			t.Errorf("while loading, GET %s = %d %s, want %d", p.path, got.Code, got.Body, p.before)
		}
	}
	expectError(t, call(handler, "/v1/models/iris:predict", `{"instances":[]}`), 503, "still loading")

	model, err := loadModel("")
	if err != nil {
		t.Fatal(err)
	}
	s.setModel(model)

	for _, p := range paths {
		if got := call(handler, p.path, ""); got.Code != p.after || !strings.Contains(got.Body.String(), p.want) {
			t.Errorf("once loaded, GET %s = %d %s, want %d with %s", p.path, got.Code, got.Body, p.after, p.want)
		}
	}
}

func TestUnknownModelsAndVersionsAreNotFound(t *testing.T) {
	handler := loaded(t)
	cases := []struct{ path, body, want string }{
		{"/v2/models/rose", "", `"rose" not found`},
		{"/v2/models/rose/ready", "", `"rose" not found`},
		{"/v2/models/rose/infer", "{}", `this server serves "iris"`},
		{"/v2/models/iris/versions/2", "", `no version "2"`},
		{"/v2/models/iris/versions/2/infer", "{}", `version "1" is loaded`},
		{"/v1/models/rose", "", `"rose" not found`},
		{"/v1/models/rose:predict", "{}", `"rose" not found`},
		{"/v1/models/iris/versions/2:predict", "{}", `no version "2"`},
		{"/v1/models/iris:classify", "{}", "iris:predict"},
	}
	for _, c := range cases {
		t.Run(c.path, func(t *testing.T) {
			expectError(t, call(handler, c.path, c.body), http.StatusNotFound, c.want)
		})
	}
}

func TestABodyBeyondTheLimitIsRefused(t *testing.T) {
	body := `{"instances":[` + strings.Repeat(" ", maxBody) + `]}`
	expectError(t, call(loaded(t), "/v1/models/iris:predict", body), http.StatusRequestEntityTooLarge, "send fewer records")
}
