package provider

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func computedString(description string) schema.Attribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func computedBool(description string) schema.Attribute {
	return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
}

func computedStrings(description string) schema.Attribute {
	return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
}

func computedList(description string, of map[string]schema.Attribute) schema.Attribute {
	return schema.ListNestedAttribute{Computed: true, MarkdownDescription: description, NestedObject: schema.NestedAttributeObject{Attributes: of}}
}

func computedInt(description string) schema.Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

// overlay joins objects to one tree; of what is in more than one, the last
// holds.
func overlay(parts ...any) (map[string]any, error) {
	fields := map[string]any{}
	for _, part := range parts {
		tree, err := treeOf(part)
		if err != nil {
			return nil, err
		}
		if more, ok := tree.(map[string]any); ok {
			maps.Copy(fields, more)
		}
	}
	return fields, nil
}

// sayNo writes out what a run's JSON leaves away because it is false or zero.
func sayNo(run any) {
	fields, ok := run.(map[string]any)
	if ok && fields["withheld"] == nil {
		fields["withheld"] = false
	}
	if ok && fields["isolation"] == nil {
		fields["isolation"] = map[string]any{"probes": json.Number("0"), "controls": json.Number("0"), "confirmations": json.Number("0"), "launches": json.Number("0")}
	}
}

// shapeStatus joins the question, the runner's answer and what we think of the
// answer to one object of the schema.
func shapeStatus(ctx context.Context, target interface{ Type() attr.Type }, config statusConfig, status api.JobStatus, ours map[string]any) (tftypes.Value, error) {
	if status.Reasons == nil {
		status.Reasons = []string{}
	}
	fields, err := overlay(status, config, ours)
	if err != nil {
		return tftypes.Value{}, err
	}
	if ours["exists"] == true {
		fields["healthy"] = status.Healthy
	} else {
		delete(fields, "paused") // nobody said so
		delete(fields, "owed")
	}
	for _, name := range []string{"last_run", "last_success", "active_run"} {
		sayNo(fields[name])
	}
	return shape(target.Type().TerraformType(ctx), fields)
}
