package provider

import (
	"context"

	"github.com/google/uuid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// A job is addressed by its name, and the name may change: by Update, whose
// answer may get lost on the way, or behind Terraform's back. The uid never
// does, so the job is found again by it.

// find gives the job of a name, or the one it has become.
func find(ctx context.Context, c *client.Client, name, uid string) (api.StoredJob, error) {
	stored, err := c.Snapshot(ctx, name)
	if api.CodeOf(err) != api.CodeNotFound || uid == "" {
		return stored, err
	}
	jobs, listErr := c.Jobs(ctx)
	if listErr != nil {
		return api.StoredJob{}, listErr
	}
	for _, job := range jobs {
		if job.UID == uid {
			return job, nil
		}
	}
	return stored, err
}

// put changes the job that was read under its prior name, renames it where the
// model has another one, and registers it anew where the runner does not have
// it any more.
func (r *jobResource) put(ctx context.Context, c *client.Client, priorName string, model jobModel, memory jobMemory) (api.StoredJob, error) {
	unchanged := client.Condition{IfMatch: memory.Generation}
	stored, _, err := c.PutJob(ctx, priorName, r.body(model), unchanged)
	if api.CodeOf(err) == api.CodeNotFound && priorName != model.Name {
		if there, lookErr := c.Job(ctx, model.Name); lookErr == nil && there.UID == memory.UID {
			// Renamed already: the answer was lost, and the request sent again.
			stored, _, err = c.PutJob(ctx, model.Name, r.body(model), unchanged)
		}
	}
	switch api.CodeOf(err) {
	case api.CodeNotFound:
		stored, _, err = c.PutJob(ctx, model.Name, r.body(model), client.Condition{Create: true, Key: uuid.NewString()})
	case api.CodePrecondition:
		err = api.Errorf(api.CodePrecondition, "plan again to see the change", "somebody else changed job %s since it was read", priorName)
	}
	return stored, err
}
