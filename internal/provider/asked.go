package provider

import (
	"fmt"

	data "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// asked are the attributes of a resource as a data source's: what is declared
// in one is asked about in the other, in the same words.
func asked(attributes map[string]schema.Attribute) map[string]data.Attribute {
	all := make(map[string]data.Attribute, len(attributes))
	for name, attribute := range attributes {
		switch a := attribute.(type) {
		case schema.StringAttribute:
			all[name] = data.StringAttribute{Required: a.Required, Optional: a.Optional, CustomType: a.CustomType, MarkdownDescription: a.MarkdownDescription}
		case schema.ListAttribute:
			all[name] = data.ListAttribute{Required: a.Required, Optional: a.Optional, ElementType: a.ElementType, MarkdownDescription: a.MarkdownDescription}
		case schema.SingleNestedAttribute:
			all[name] = data.SingleNestedAttribute{Required: a.Required, Optional: a.Optional, Attributes: asked(a.Attributes), MarkdownDescription: a.MarkdownDescription}
		default:
			panic(fmt.Sprintf("attribute %s: a %T can't be asked about", name, attribute)) // the schema is ours
		}
	}
	return all
}
