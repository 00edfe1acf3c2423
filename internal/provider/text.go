package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/attr/xattr"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

var (
	_ basetypes.StringTypable     = text{}
	_ basetypes.StringValuable    = textValue{}
	_ xattr.ValidateableAttribute = textValue{}
)

// text is a type of strings with a form of their own, checked at plan. It has
// no semantic equality on purpose: another spelling is a change that shows.
type text struct {
	basetypes.StringType
	kind  string
	check func(string) (problem string) // begins with the value; empty: fine
}

// The forms.
var (
	durationText  = text{kind: "duration", check: checkDuration}
	thresholdText = text{kind: "threshold", check: checkThreshold}
	cronText      = text{kind: "cron", check: checkCron}
	zoneText      = text{kind: "zone", check: checkZone}
	uriText       = text{kind: "uri", check: checkURI}
)

func checkDuration(value string) string {
	if value == "" {
		return "" // reported as empty with everything else that is
	}
	_, err := api.Duration(value).Parse()
	return problemOf(err)
}

func checkThreshold(value string) string {
	if value == "" {
		return ""
	}
	_, err := api.ParseThreshold(value)
	return problemOf(err)
}

func checkCron(value string) string {
	if value == "" {
		return ""
	}
	_, err := schedule.Parse(schedule.Spec{Cron: value})
	return problemOf(err)
}

func checkZone(value string) string {
	if value == "" {
		return ""
	}
	_, err := schedule.LoadZone(value)
	return problemOf(err)
}

func checkURI(value string) string {
	if err := api.CheckURI(value); err != nil {
		return fmt.Sprintf("%q: %v", value, err)
	}
	return ""
}

// problemOf writes an error the way package api writes its findings: without
// the name of the field, the value first.
func problemOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*schedule.Error](err); ok {
		return fmt.Sprintf("%q: %s", e.Value, e.Problem)
	}
	return err.Error()
}

func (t text) Equal(other attr.Type) bool {
	o, ok := other.(text)
	return ok && o.kind == t.kind
}

func (t text) String() string { return "text." + t.kind }

func (t text) ValueType(context.Context) attr.Value { return textValue{form: t} }

func (t text) ValueFromString(_ context.Context, in basetypes.StringValue) (basetypes.StringValuable, diagnostics) {
	return textValue{StringValue: in, form: t}, nil
}

func (t text) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	value, err := t.StringType.ValueFromTerraform(ctx, in)
	if err != nil {
		return nil, err
	}
	plain, ok := value.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("a string was expected, not %T", value)
	}
	return textValue{StringValue: plain, form: t}, nil
}

// textValue is a value of a text type.
type textValue struct {
	basetypes.StringValue
	form text
}

func (v textValue) Type(context.Context) attr.Type { return v.form }

func (v textValue) Equal(other attr.Value) bool {
	o, ok := other.(textValue)
	return ok && v.form.Equal(o.form) && v.StringValue.Equal(o.StringValue)
}

// ValidateAttribute checks the value's form; it is the framework that calls it.
func (v textValue) ValidateAttribute(_ context.Context, req xattr.ValidateAttributeRequest, resp *xattr.ValidateAttributeResponse) {
	if v.IsNull() || v.IsUnknown() {
		return
	}
	if problem := v.form.check(v.ValueString()); problem != "" {
		resp.Diagnostics.Append(diagnose(api.Error{Pointer: pointerOf(req.Path), Message: problem}))
	}
}

// calendar checks what package api leaves to package schedule: that the rule
// as a whole can be kept. Zone and cron alone are checked by their types too;
// equal findings are shown once.
func calendar(s *api.Schedule) []api.Error {
	if s == nil || (s.Cron == "") == (s.Every == "") {
		return nil // package api says it better
	}
	var findings []api.Error
	add := func(field, problem string) {
		if problem != "" {
			findings = append(findings, api.Error{Pointer: "/schedule/" + field, Message: problem})
		}
	}
	add("cron", checkCron(s.Cron))
	add("time_zone", checkZone(s.TimeZone))
	every, err := s.Every.Parse()
	if err == nil && s.Every != "" {
		var anchor time.Time
		if s.Anchor != "" {
			if anchor, err = time.Parse(time.RFC3339, s.Anchor); err != nil {
				return findings
			}
		}
		_, err = schedule.Parse(schedule.Spec{Every: every, Anchor: anchor})
		if e, ok := errors.AsType[*schedule.Error](err); ok {
			add(e.Field, problemOf(e))
		}
	}
	return findings
}

// folders checks that the schedule's occurrences do not replace each other's
// predictions. What is not known yet, or wrong by itself, is passed over.
func folders(j api.Job) []api.Error {
	if j.Schedule == nil || j.Output.Files == nil {
		return nil
	}
	anchor, _ := time.Parse(time.RFC3339, j.Schedule.Anchor) // none is the default
	rule, err := schedule.Parse(schedule.Spec{Cron: j.Schedule.Cron, Every: j.Schedule.Every.Value(), Anchor: anchor, TimeZone: j.Schedule.TimeZone})
	if err != nil {
		return nil
	}
	if err := schedule.CheckFolders(rule, j.Output.Files.URI); err != nil {
		return []api.Error{{Pointer: "/output/files/uri", Message: err.Error()}}
	}
	return nil
}
