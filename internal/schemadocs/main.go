// Command schemadocs completes the schema that Terraform tells of a provider,
// for the generator of docs/: it reads the output of `terraform providers
// schema -json`, adds the actions, which a Terraform before 1.14 leaves out,
// and names the provider "batch", as the generator looks it up.
//
// It is a tool of `make docs` and part of no release.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/batchpattern/terraform-provider-batch/internal/provider"
)

const (
	source = "registry.terraform.io/batchpattern/batch"
	name   = "batch"
)

func main() {
	if err := run(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "schemadocs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer) error {
	var told struct {
		FormatVersion   string                    `json:"format_version"`
		ProviderSchemas map[string]map[string]any `json:"provider_schemas"`
	}
	if err := json.NewDecoder(in).Decode(&told); err != nil {
		return fmt.Errorf("read Terraform's schema: %w", err)
	}
	schema := told.ProviderSchemas[source]
	if schema == nil {
		return fmt.Errorf("read Terraform's schema: it tells nothing of %s", source)
	}
	actions, err := actionSchemas(ctx)
	if err != nil {
		return err
	}
	schema["action_schemas"] = actions
	told.ProviderSchemas = map[string]map[string]any{name: schema}
	return json.NewEncoder(out).Encode(told)
}

// actionSchemas are the actions as Terraform 1.14 tells them.
func actionSchemas(ctx context.Context) (map[string]any, error) {
	server, err := providerserver.NewProtocol6WithError(provider.New("docs")())()
	if err != nil {
		return nil, fmt.Errorf("start the provider: %w", err)
	}
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask the provider for its schema: %w", err)
	}
	all := map[string]any{}
	for name, action := range schemas.ActionSchemas {
		block := action.Schema.Block
		attributes, err := attributesOf(block.Attributes)
		if err != nil {
			return nil, fmt.Errorf("action %s: %w", name, err)
		}
		all[name] = map[string]any{"block": map[string]any{
			"attributes": attributes, "description": block.Description, "description_kind": kindOf(block.DescriptionKind),
		}}
	}
	return all, nil
}

func attributesOf(attributes []*tfprotov6.SchemaAttribute) (map[string]any, error) {
	all := map[string]any{}
	for _, a := range attributes {
		told := map[string]any{
			"description": a.Description, "description_kind": kindOf(a.DescriptionKind),
			"required": a.Required, "optional": a.Optional, "computed": a.Computed, "sensitive": a.Sensitive,
		}
		if a.NestedType == nil {
			told["type"] = a.Type // which marshals as Terraform writes it
		} else {
			if a.NestedType.Nesting != tfprotov6.SchemaObjectNestingModeSingle {
				return nil, fmt.Errorf("attribute %s: only single nested objects are known here", a.Name)
			}
			inner, err := attributesOf(a.NestedType.Attributes)
			if err != nil {
				return nil, err
			}
			told["nested_type"] = map[string]any{"attributes": inner, "nesting_mode": "single"}
		}
		all[a.Name] = told
	}
	return all, nil
}

func kindOf(kind tfprotov6.StringKind) string {
	if kind == tfprotov6.StringKindMarkdown {
		return "markdown"
	}
	return "plain"
}
