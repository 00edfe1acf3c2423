package api

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func (v *validator) predict(p Predict) {
	v.protocol(p)
	v.features(p.Features)
	v.optionalWord("/predict/features/as", p.Features.As, AsMatrix, AsColumns)
	if p.Features.Datatype != "" {
		v.word("/predict/features/datatype", p.Features.Datatype, datatypes...)
	}
	if p.Features.Name != "" && p.Features.As == AsColumns {
		v.add("/predict/features/name", "", "names the one tensor of a matrix; with as = \"columns\" each tensor has its column's name")
	}
	if p.Protocol == ProtocolTFv1 && (p.Features.Name != "" || p.Features.Datatype != "") {
		v.add("/predict/features", "", "name and datatype belong to oip_v2; tf_v1 sends plain instances, remove them")
	}
	for _, column := range slices.Sorted(maps.Keys(p.Outputs)) {
		if name := p.Outputs[column]; !isOutput(name) {
			v.add(pointerTo("/predict/outputs", column), "", "%q is not an output; write its name, with an index where one value of it is wanted: predict_proba[1], or a JSON pointer: /scores/0", name)
		}
	}
	v.optionalWord("/predict/nan", p.NaN, NaNNull, NaNError, NaNString)
	v.count("/predict/rows_per_request", p.RowsPerRequest, 1, 100_000)
	v.duration("/predict/request_timeout", p.RequestTimeout, time.Millisecond, 24*time.Hour)
	v.optionalWord("/predict/requests", p.Requests, RequestsAdaptive, RequestsFixed)
	v.optionalWord("/predict/on_model_change", p.OnModelChange, ModelChangeFail, ModelChangeContinue)
	v.statuses(p)
	v.golden(p)
	v.oneOf("/predict", map[string]bool{"server": p.Server != nil, "endpoint": p.Endpoint != nil, "program": p.Program != nil})
	v.server(p.Server)
	v.program(p)
	if p.Endpoint != nil {
		u, err := url.Parse(p.Endpoint.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			v.add("/predict/endpoint/url", "", "%q is not the address of a server; write it like http://127.0.0.1:8080", p.Endpoint.URL)
		}
	}
}

// protocol checks how the server and its model are named; a program has
// neither.
func (v *validator) protocol(p Predict) {
	if p.Program != nil {
		const why = "is a prediction server's, and a program has none; remove it"
		if p.Protocol != "" {
			v.add("/predict/protocol", "", why)
		}
		if p.Model != (Model{}) {
			v.add("/predict/model", "", why)
		}
		for _, setting := range []struct{ name, value string }{{"as", p.Features.As}, {"name", p.Features.Name}, {"datatype", p.Features.Datatype}} {
			if setting.value != "" {
				v.add("/predict/features/"+setting.name, "", "is about tensors, and a program is given records as JSON Lines; remove it")
			}
		}
		return
	}
	v.word("/predict/protocol", p.Protocol, ProtocolOIPv2, ProtocolTFv1)
	if !modelForm.MatchString(p.Model.Name) {
		v.add("/predict/model/name", "", "%q is not a model name; use letters, digits, dots, dashes and underscores", p.Model.Name)
	}
	if p.Model.Version != "" && !modelForm.MatchString(p.Model.Version) {
		v.add("/predict/model/version", "", "%q is not a model version; use letters, digits, dots, dashes and underscores", p.Model.Version)
	}
}

// features checks that it is said which columns are sent.
func (v *validator) features(f Features) {
	const at = "/predict/features"
	v.oneOf(at, map[string]bool{"columns": f.Columns != nil, "exclude": f.Exclude != nil})
	if f.Columns != nil && len(f.Columns) == 0 {
		v.add(at+"/columns", "", "is empty; list the input columns to send, in the model's order, or write exclude = [] to send them all")
	}
	v.names(at+"/columns", f.Columns)
	v.names(at+"/exclude", f.Exclude)
}

// isOutput tells whether a text names an output: its name with an optional
// index, or an RFC 6901 JSON pointer.
func isOutput(name string) bool {
	if strings.HasPrefix(name, "/") {
		return pointerForm.MatchString(name)
	}
	return name != "" && outputForm.MatchString(name)
}

// statuses checks the two lists of HTTP statuses that a job gives another
// meaning.
func (v *validator) statuses(p Predict) {
	seen := map[int64]string{}
	for _, list := range []struct {
		name     string
		statuses []int64
	}{{"permanent_statuses", p.PermanentStatuses}, {"transient_statuses", p.TransientStatuses}} {
		for i, status := range list.statuses {
			pointer := pointerTo("/predict/"+list.name, i)
			switch other := seen[status]; {
			case status < 400 || status > 599:
				v.add(pointer, "", "%d is not the status of a refusal, 400–599", status)
			case other != "":
				v.add(pointer, "", "%d is listed in %s already; keep one", status, other)
			}
			seen[status] = list.name
		}
	}
}

// golden checks that the golden record has a cell for every feature, and no
// other.
func (v *validator) golden(p Predict) {
	if len(p.Golden) == 0 || len(p.Features.Columns) == 0 || slices.Contains(p.Features.Columns, "") {
		return // which columns are sent the input tells, or it is reported, or not known yet
	}
	var missing []string
	for _, column := range p.Features.Columns {
		if _, ok := p.Golden[column]; !ok {
			missing = append(missing, fmt.Sprintf("%q", column))
		}
	}
	if len(missing) > 0 {
		v.add("/predict/golden", "", "has no cell for %s; give it one for each of predict.features.columns", strings.Join(missing, ", "))
	}
	for _, column := range slices.Sorted(maps.Keys(p.Golden)) {
		if !slices.Contains(p.Features.Columns, column) {
			v.add(pointerTo("/predict/golden", column), "", "is not among predict.features.columns; remove it")
		}
	}
}

func (v *validator) server(s *Server) {
	if s == nil {
		return
	}
	const at = "/predict/server"
	v.process(at, s.Command, s.WorkingDir, s.Env, s.SecretEnv)
	for i, word := range s.Command {
		if err := CheckCommand(word); err != nil {
			v.add(pointerTo(at+"/command", i), "", "%q: %v", word, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if err := CheckCommand(s.Env[name]); err != nil {
			v.add(pointerTo(at+"/env", name), "", "%q: %v", s.Env[name], err)
		}
	}
	v.duration(at+"/start_timeout", s.StartTimeout, time.Second, 24*time.Hour)
	v.count(at+"/replicas", s.Replicas, 1, 64)
	for i, path := range s.ModelFiles {
		if !filepath.IsAbs(path) {
			v.add(pointerTo(at+"/model_files", i), "", "%q is not absolute; write abspath(%q)", path, path)
		} else if err := checkGlob(path); err != nil {
			v.add(pointerTo(at+"/model_files", i), "", "%q: %v", path, err)
		}
	}
	if s.PricePerHour != "" {
		if _, err := ParsePrice(s.PricePerHour); err != nil {
			v.add(at+"/price_per_hour", "", "%v", err)
		}
	}
}

// program checks a program. Braces in its command are its own: it has no port
// and no model that placeholders could stand for.
func (v *validator) program(p Predict) {
	if p.Program == nil {
		return
	}
	const at = "/predict/program"
	v.process(at, p.Program.Command, p.Program.WorkingDir, p.Program.Env, p.Program.SecretEnv)
	v.optionalWord(at+"/per", p.Program.Per, PerSlot, PerMiniBatch)
	if p.Program.Per == PerMiniBatch && p.RowsPerRequest != nil {
		v.add("/predict/rows_per_request", "", "cuts mini-batches into requests, and with program.per %q each is one; remove it, or set mini_batch.rows", PerMiniBatch)
	}
}

// process checks what is launched, and with which environment.
func (v *validator) process(at string, command []string, workingDir string, env map[string]string, secretEnv map[string]SecretRef) {
	if len(command) == 0 || command[0] == "" {
		v.add(at+"/command", "", "is required: the program and its arguments")
	}
	if workingDir != "" && !filepath.IsAbs(workingDir) {
		v.add(at+"/working_dir", "", "%q is not absolute; write abspath(%q)", workingDir, workingDir)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		v.envName(pointerTo(at+"/env", name), name)
	}
	for _, name := range slices.Sorted(maps.Keys(secretEnv)) {
		pointer := pointerTo(at+"/secret_env", name)
		v.envName(pointer, name)
		if _, both := env[name]; both {
			v.add(pointer, "", "%s is set in env too; keep one", name)
		}
		v.secret(pointer, secretEnv[name])
	}
}

func (v *validator) envName(pointer, name string) {
	switch {
	case !envForm.MatchString(name):
		v.add(pointer, "", "%q is not the name of an environment variable", name)
	case name == "PORT" || strings.HasPrefix(name, "BATCH_"):
		v.add(pointer, "", "%s is set by the runner; use another name", name)
	}
}

func (v *validator) secret(pointer string, ref SecretRef) {
	v.oneOf(pointer, map[string]bool{"secret": ref.Secret != "", "file": ref.File != "", "env": ref.Env != ""})
	if ref.Secret != "" && (!secretForm.MatchString(ref.Secret) || strings.Trim(ref.Secret, ".") == "") {
		v.add(pointer+"/secret", "", "%q is not the name of a file in secrets_dir", ref.Secret)
	}
	if ref.File != "" && !filepath.IsAbs(ref.File) {
		v.add(pointer+"/file", "", "%q is not absolute; write abspath(%q)", ref.File, ref.File)
	}
	if ref.Env != "" && !envForm.MatchString(ref.Env) {
		v.add(pointer+"/env", "", "%q is not the name of an environment variable", ref.Env)
	}
}
