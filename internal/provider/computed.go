package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func computedString(description string) schema.Attribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func computedBool(description string) schema.Attribute {
	return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
}

func computedInt(description string) schema.Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

// shapeStatus joins the question, the runner's answer and what we think of the
// answer to one object of the schema.
func shapeStatus(ctx context.Context, target interface{ Type() attr.Type }, config statusConfig, status api.JobStatus, ours map[string]any) (tftypes.Value, error) {
	if status.Reasons == nil {
		status.Reasons = []string{}
	}
	fields := map[string]any{}
	for _, part := range []any{status, config, ours} {
		tree, err := treeOf(part)
		if err != nil {
			return tftypes.Value{}, err
		}
		if more, ok := tree.(map[string]any); ok {
			maps.Copy(fields, more)
		}
	}
	if ours["exists"] == true {
		fields["healthy"] = status.Healthy
	} else {
		delete(fields, "paused") // nobody said so
	}
	for _, name := range []string{"last_run", "last_success", "active_run"} {
		if run, ok := fields[name].(map[string]any); ok && run["withheld"] == nil {
			run["withheld"] = false
		}
	}
	return shape(target.Type().TerraformType(ctx), fields)
}
