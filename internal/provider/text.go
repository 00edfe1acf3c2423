package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/attr/xattr"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
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

// The forms. The parts of a schedule are checked one by one here, and together,
// once all of them are known, in ValidateConfig; what both find shows once.
// (An element of a list can have a form, but nobody checks it by itself.)
var (
	durationText  = text{kind: "duration", check: checkDuration}
	thresholdText = text{kind: "threshold", check: checkThreshold}
	sizeText      = text{kind: "size", check: checkSize}
	priceText     = text{kind: "price", check: checkPrice}
	uriText       = text{kind: "uri", check: checkURI}
	instantText   = text{kind: "instant", check: checkInstant}
	cronText      = part("cron", func(v string) api.Schedule { return api.Schedule{Cron: v} })
	zoneText      = part("time_zone", func(v string) api.Schedule { return api.Schedule{Cron: "@daily", TimeZone: v} })
	everyText     = part("every", func(v string) api.Schedule { return api.Schedule{Every: api.Duration(v)} })
	jitterText    = part("jitter", func(v string) api.Schedule {
		return api.Schedule{At: []string{api.DefaultAnchor}, Jitter: api.Duration(v)} // one occurrence has no next one
	})
	anchorText   = part("anchor", func(v string) api.Schedule { return api.Schedule{Every: "1h", Anchor: v} })
	startText    = part("start_at", func(v string) api.Schedule { return api.Schedule{Every: "1h", StartAt: v} })
	endText      = part("end_at", func(v string) api.Schedule { return api.Schedule{Every: "1h", EndAt: v} })
	missingText  = part("dst/missing", func(v string) api.Schedule { return api.Schedule{Cron: "@daily", DST: &api.DST{Missing: v}} })
	repeatedText = part("dst/repeated", func(v string) api.Schedule { return api.Schedule{Cron: "@daily", DST: &api.DST{Repeated: v}} })
)

// part is the form of one value of a schedule: what package schedule says of
// it in a rule that is otherwise fine.
func part(field string, rule func(string) api.Schedule) text {
	return text{kind: field, check: func(value string) string {
		if value == "" {
			return "" // reported as empty with everything else that is
		}
		for _, finding := range problemsOf(rule(value)) {
			if within(finding.Pointer, "/schedule/"+field) {
				return finding.Message
			}
		}
		return ""
	}}
}

func checkDuration(value string) string {
	if value == "" {
		return ""
	}
	_, err := api.Duration(value).Parse()
	return messageOf(err)
}

func checkThreshold(value string) string {
	if value == "" {
		return ""
	}
	_, err := api.ParseThreshold(value)
	return messageOf(err)
}

func checkPrice(value string) string {
	if value == "" {
		return ""
	}
	_, err := api.ParsePrice(value)
	return messageOf(err)
}

func checkSize(value string) string {
	if value == "" {
		return ""
	}
	_, err := api.Size(value).Parse()
	return messageOf(err)
}

func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func checkInstant(value string) string {
	if _, err := time.Parse(time.RFC3339, value); err != nil && value != "" {
		return notAnInstant(value)
	}
	return ""
}

func notAnInstant(value string) string {
	return fmt.Sprintf("%q is not an RFC 3339 instant; write it like 2026-12-24T17:00:00Z", value)
}

func checkURI(value string) string {
	if err := api.CheckURI(value); err != nil {
		return fmt.Sprintf("%q: %v", value, err)
	}
	return ""
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
