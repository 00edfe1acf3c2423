package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// asker is what the data sources that ask a runner have in common. To them a
// runner that can't be reached is an answer, not an error; whoever refuses the
// question is one.
type asker struct{ session *session }

func (a *asker) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if s, ok := req.ProviderData.(*session); ok {
		a.session = s
	}
}

func (a *asker) client(runner *runnerRef) (*client.Client, error) {
	if runner == nil {
		return a.session.client("", "")
	}
	return a.session.client(runner.Endpoint, runner.ID)
}

// askedRunner is the attribute that names the runner to ask.
func askedRunner(what string) schema.Attribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: what + "; give it a whole `batch_runner`. Default: the runner at the provider's `endpoint`.",
		Attributes: map[string]schema.Attribute{
			"id":       schema.StringAttribute{Required: true, MarkdownDescription: "Id of the runner; another runner at the same endpoint counts as unreachable."},
			"endpoint": schema.StringAttribute{Required: true, MarkdownDescription: "Where the runner is reached."},
		},
	}
}

// answered sorts what came of a question: whether the runner answered, whether
// it knows what was asked about, and an error where that can't be told.
func answered(err error) (reachable, exists bool, refused error) {
	switch {
	case err == nil:
		return true, true, nil
	case api.CodeOf(err) == api.CodeNotFound:
		return true, false, nil
	case client.IsUnreachable(err):
		return false, false, nil
	}
	return false, false, err
}
