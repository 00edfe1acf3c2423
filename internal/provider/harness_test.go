package provider

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// harness speaks the plugin protocol to the provider in this process, the way
// Terraform does, so that a test reads like a configuration.
type harness struct {
	t       *testing.T
	server  tfprotov6.ProviderServer
	schemas *tfprotov6.GetProviderSchemaResponse
}

// object is a configuration: what is absent is null, unknown is not known yet.
type object = map[string]any

type unknown struct{}

// instance is a resource in a state.
type instance struct {
	kind     string
	state    tftypes.Value
	private  []byte
	identity *tfprotov6.ResourceIdentityData
}

// planned is a plan for an instance.
type planned struct {
	prior   instance
	config  tftypes.Value
	state   tftypes.Value
	private []byte
	replace []string

	identity *tfprotov6.ResourceIdentityData
}

// theDay is when all tests are: warnings look at the year to come.
var theDay = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func newHarness(t *testing.T, config object) *harness {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(&batchProvider{version: "test", now: func() time.Time { return theDay }})()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, server: server, schemas: schemas}
	h.clean(schemas.Diagnostics)
	resp, err := server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: h.dynamic(h.value(schemas.Provider.ValueType(), config))})
	h.must(err)
	h.clean(resp.Diagnostics)
	return h
}

func (h *harness) kind(name string) tftypes.Type { return h.schemas.ResourceSchemas[name].ValueType() }

func (h *harness) validate(kind string, config object) []*tfprotov6.Diagnostic {
	h.t.Helper()
	resp, err := h.server.ValidateResourceConfig(h.t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: kind, Config: h.dynamic(h.value(h.kind(kind), config)),
	})
	h.must(err)
	return resp.Diagnostics
}

// plan plans a configuration for an instance; an empty one is created.
func (h *harness) plan(prior instance, config object) (planned, []*tfprotov6.Diagnostic) {
	h.t.Helper()
	t := h.kind(prior.kind)
	p := planned{prior: prior, config: tftypes.NewValue(t, nil), state: tftypes.NewValue(t, nil)}
	if prior.state.Type() == nil {
		p.prior.state = tftypes.NewValue(t, nil)
	}
	if config != nil {
		p.config = h.value(t, config)
	}
	resp, err := h.server.PlanResourceChange(h.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: prior.kind, Config: h.dynamic(p.config), PriorState: h.dynamic(p.prior.state), PriorPrivate: prior.private,
		ProposedNewState: h.dynamic(h.proposed(prior.kind, p.prior.state, p.config)), PriorIdentity: prior.identity,
	})
	h.must(err)
	if resp.PlannedState != nil {
		p.state, err = resp.PlannedState.Unmarshal(t)
		h.must(err)
	}
	p.private, p.identity = resp.PlannedPrivate, resp.PlannedIdentity
	for _, path := range resp.RequiresReplace {
		p.replace = append(p.replace, path.String())
	}
	return p, resp.Diagnostics
}

// proposed is what Terraform proposes: the configuration, and the prior values
// of what is computed.
func (h *harness) proposed(kind string, prior, config tftypes.Value) tftypes.Value {
	if config.IsNull() || prior.IsNull() {
		return config
	}
	var fields, old map[string]tftypes.Value
	h.must(config.As(&fields))
	h.must(prior.As(&old))
	for _, attribute := range h.schemas.ResourceSchemas[kind].Block.Attributes {
		if attribute.Computed && fields[attribute.Name].IsNull() {
			fields[attribute.Name] = old[attribute.Name]
		}
	}
	return tftypes.NewValue(config.Type(), fields)
}

func (h *harness) apply(p planned) (instance, []*tfprotov6.Diagnostic) {
	h.t.Helper()
	resp, err := h.server.ApplyResourceChange(h.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: p.prior.kind, PriorState: h.dynamic(p.prior.state), PlannedState: h.dynamic(p.state),
		Config: h.dynamic(p.config), PlannedPrivate: p.private, PlannedIdentity: p.identity,
	})
	h.must(err)
	return h.instance(p.prior.kind, resp.NewState, resp.Private, resp.NewIdentity), resp.Diagnostics
}

// create plans and applies, and wants both to go well.
func (h *harness) create(kind string, config object) instance {
	h.t.Helper()
	h.clean(h.validate(kind, config))
	return h.update(instance{kind: kind}, config)
}

func (h *harness) update(prior instance, config object) instance {
	h.t.Helper()
	p, diags := h.plan(prior, config)
	h.clean(diags)
	next, diags := h.apply(p)
	h.clean(diags)
	return next
}

func (h *harness) destroy(prior instance) (instance, []*tfprotov6.Diagnostic) {
	h.t.Helper()
	p, diags := h.plan(prior, nil)
	h.clean(diags)
	return h.apply(p)
}

func (h *harness) read(prior instance) (instance, []*tfprotov6.Diagnostic) {
	h.t.Helper()
	resp, err := h.server.ReadResource(h.t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: prior.kind, CurrentState: h.dynamic(prior.state), Private: prior.private, CurrentIdentity: prior.identity,
	})
	h.must(err)
	return h.instance(prior.kind, resp.NewState, resp.Private, resp.NewIdentity), resp.Diagnostics
}

func (h *harness) importBy(kind, id string, identity object) (instance, []*tfprotov6.Diagnostic) {
	h.t.Helper()
	req := &tfprotov6.ImportResourceStateRequest{TypeName: kind, ID: id}
	if identity != nil {
		t := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "runner_id": tftypes.String}}
		value := h.dynamic(h.value(t, identity))
		req.Identity = &tfprotov6.ResourceIdentityData{IdentityData: value}
	}
	resp, err := h.server.ImportResourceState(h.t.Context(), req)
	h.must(err)
	if len(resp.ImportedResources) == 0 {
		return instance{}, resp.Diagnostics
	}
	r := resp.ImportedResources[0]
	return h.instance(kind, r.State, r.Private, r.Identity), resp.Diagnostics
}

func (h *harness) validateData(kind string, config object) []*tfprotov6.Diagnostic {
	h.t.Helper()
	t := h.schemas.DataSourceSchemas[kind].ValueType()
	resp, err := h.server.ValidateDataResourceConfig(h.t.Context(), &tfprotov6.ValidateDataResourceConfigRequest{TypeName: kind, Config: h.dynamic(h.value(t, config))})
	h.must(err)
	return resp.Diagnostics
}

func (h *harness) data(kind string, config object) (map[string]tftypes.Value, []*tfprotov6.Diagnostic) {
	h.t.Helper()
	t := h.schemas.DataSourceSchemas[kind].ValueType()
	resp, err := h.server.ReadDataSource(h.t.Context(), &tfprotov6.ReadDataSourceRequest{TypeName: kind, Config: h.dynamic(h.value(t, config))})
	h.must(err)
	if resp.State == nil {
		return nil, resp.Diagnostics
	}
	state, err := resp.State.Unmarshal(t)
	h.must(err)
	fields := map[string]tftypes.Value{}
	if !state.IsNull() {
		h.must(state.As(&fields))
	}
	return fields, resp.Diagnostics
}

// answer is what a data source says, as plain Go; it wants no diagnostics.
func (h *harness) answer(kind string, config object) map[string]any {
	h.t.Helper()
	state, diags := h.data(kind, config)
	h.clean(diags)
	plain := object{}
	for name, value := range state {
		plain[name] = h.plain(value)
	}
	return plain
}

// call calls a function with plain arguments.
func (h *harness) call(name string, arguments ...any) (any, *tfprotov6.FunctionError) {
	h.t.Helper()
	definitions, err := h.server.GetFunctions(h.t.Context(), &tfprotov6.GetFunctionsRequest{})
	h.must(err)
	definition := definitions.Functions[name]
	if definition == nil {
		h.t.Fatalf("there is no function %s", name)
	}
	req := &tfprotov6.CallFunctionRequest{Name: name}
	for i, argument := range arguments {
		req.Arguments = append(req.Arguments, h.dynamic(h.value(definition.Parameters[i].Type, argument)))
	}
	resp, err := h.server.CallFunction(h.t.Context(), req)
	h.must(err)
	if resp.Error != nil {
		return nil, resp.Error
	}
	value, err := resp.Result.Unmarshal(definition.Return.Type)
	h.must(err)
	return h.plain(value), nil
}

// plain is a value as plain Go: strings, bools, int64, lists and maps.
func (h *harness) plain(v tftypes.Value) any {
	h.t.Helper()
	if !v.IsKnown() || v.IsNull() {
		return nil
	}
	switch v.Type().(type) {
	case tftypes.List:
		var elements []tftypes.Value
		h.must(v.As(&elements))
		list := []any{}
		for _, element := range elements {
			list = append(list, h.plain(element))
		}
		return list
	case tftypes.Map, tftypes.Object:
		var fields map[string]tftypes.Value
		h.must(v.As(&fields))
		plain := object{}
		for name, field := range fields {
			plain[name] = h.plain(field)
		}
		return plain
	}
	switch {
	case v.Type().Is(tftypes.Number):
		var n big.Float
		h.must(v.As(&n))
		i, _ := n.Int64()
		return i
	case v.Type().Is(tftypes.Bool):
		var b bool
		h.must(v.As(&b))
		return b
	}
	return h.text(v)
}

func (h *harness) instance(kind string, state *tfprotov6.DynamicValue, private []byte, identity *tfprotov6.ResourceIdentityData) instance {
	h.t.Helper()
	i := instance{kind: kind, private: private, identity: identity, state: tftypes.NewValue(h.kind(kind), nil)}
	if state != nil {
		value, err := state.Unmarshal(h.kind(kind))
		h.must(err)
		i.state = value
	}
	return i
}

// value builds a value of a type from plain Go.
func (h *harness) value(t tftypes.Type, v any) tftypes.Value {
	h.t.Helper()
	switch v := v.(type) {
	case nil:
		return tftypes.NewValue(t, nil)
	case unknown:
		return tftypes.NewValue(t, tftypes.UnknownValue)
	case object:
		fields := map[string]tftypes.Value{}
		switch kind := t.(type) {
		case tftypes.Object:
			for name := range v {
				if _, ok := kind.AttributeTypes[name]; !ok {
					h.t.Fatalf("the schema has no %s", name)
				}
			}
			for name, field := range kind.AttributeTypes {
				fields[name] = h.value(field, v[name])
			}
		case tftypes.Map:
			for name, element := range v {
				fields[name] = h.value(kind.ElementType, element)
			}
		}
		return tftypes.NewValue(t, fields)
	case []any:
		elements := make([]tftypes.Value, len(v))
		for i, element := range v {
			elements[i] = h.value(t.(tftypes.List).ElementType, element)
		}
		return tftypes.NewValue(t, elements)
	}
	return tftypes.NewValue(t, v)
}

func (h *harness) dynamic(v tftypes.Value) *tfprotov6.DynamicValue {
	h.t.Helper()
	d, err := tfprotov6.NewDynamicValue(v.Type(), v)
	h.must(err)
	return &d
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// clean wants no diagnostics at all.
func (h *harness) clean(diags []*tfprotov6.Diagnostic) {
	h.t.Helper()
	if len(diags) > 0 {
		h.t.Fatalf("unexpected diagnostics:\n%s", show(diags))
	}
}

// want wants exactly one diagnostic, of this severity, whose text holds these
// parts.
func (h *harness) want(diags []*tfprotov6.Diagnostic, severity tfprotov6.DiagnosticSeverity, parts ...string) {
	h.t.Helper()
	if len(diags) != 1 || diags[0].Severity != severity {
		h.t.Fatalf("want one %s, got:\n%s", severity, show(diags))
	}
	for _, part := range parts {
		if !strings.Contains(show(diags), part) {
			h.t.Errorf("%q is not in:\n%s", part, show(diags))
		}
	}
}

func show(diags []*tfprotov6.Diagnostic) string {
	var lines []string
	for _, d := range diags {
		lines = append(lines, fmt.Sprintf("%s %s: %s | %s", d.Severity, d.Attribute, d.Summary, d.Detail))
	}
	return strings.Join(lines, "\n")
}

// at finds a value in a state by attribute names.
func (h *harness) at(v tftypes.Value, names ...string) tftypes.Value {
	h.t.Helper()
	for _, name := range names {
		var fields map[string]tftypes.Value
		h.must(v.As(&fields))
		v = fields[name]
	}
	return v
}

func (h *harness) text(v tftypes.Value, names ...string) string {
	h.t.Helper()
	found := h.at(v, names...)
	if !found.IsKnown() {
		return "(unknown)"
	}
	if found.IsNull() {
		return "(null)"
	}
	switch {
	case found.Type().Is(tftypes.Bool):
		var b bool
		h.must(found.As(&b))
		return fmt.Sprint(b)
	default:
		var s string
		h.must(found.As(&s))
		return s
	}
}

const (
	isError   = tfprotov6.DiagnosticSeverityError
	isWarning = tfprotov6.DiagnosticSeverityWarning
)
