package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTheActionsAreAddedToWhatTerraformTells(t *testing.T) {
	var out strings.Builder
	told := `{"format_version": "1.0", "provider_schemas": {"registry.terraform.io/batchpattern/batch": {"resource_schemas": {"batch_runner": {"version": 3}}}}}`
	if err := run(t.Context(), strings.NewReader(told), &out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		ProviderSchemas map[string]struct {
			Resources map[string]any `json:"resource_schemas"`
			Actions   map[string]struct {
				Block struct {
					Description string
					Attributes  map[string]struct {
						Type        any
						Description string
						Required    bool
						Nested      *struct {
							Mode       string `json:"nesting_mode"`
							Attributes map[string]any
						} `json:"nested_type"`
					}
				}
			} `json:"action_schemas"`
		} `json:"provider_schemas"`
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	batch := got.ProviderSchemas["batch"]
	if len(batch.Resources) != 1 || len(batch.Actions) != 6 {
		t.Fatalf("the schema is %s", out.String())
	}
	retry := batch.Actions["batch_retry_run"].Block
	if a := retry.Attributes["run"]; a.Type != "string" || !a.Required || a.Description == "" || retry.Description == "" {
		t.Errorf("retry_run is %+v", retry)
	}
	if runner := retry.Attributes["runner"].Nested; runner == nil || runner.Mode != "single" || len(runner.Attributes) != 2 {
		t.Errorf("its runner is %+v", runner)
	}
}

func TestASchemaWithoutTheProviderIsRefused(t *testing.T) {
	for _, told := range []string{"", "{}", `{"provider_schemas": {"registry.terraform.io/hashicorp/time": {}}}`} {
		if err := run(t.Context(), strings.NewReader(told), new(strings.Builder)); err == nil {
			t.Errorf("%q is taken", told)
		}
	}
}
