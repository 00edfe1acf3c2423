package provider

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// name is the job's name in an identity.
func (h *harness) name(identity *tfprotov6.ResourceIdentityData) string {
	h.t.Helper()
	value, err := identity.IdentityData.Unmarshal(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "runner_id": tftypes.String}})
	h.must(err)
	return h.text(value, "name")
}

func TestANewNameRenamesTheJobInPlace(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	uid := f.job("churn").UID
	f.written()

	config := with(minimalJob(), "churn-2", "name")
	p, diags := h.plan(job, config)
	h.clean(diags)
	if len(p.replace) > 0 || h.name(p.identity) != "churn-2" {
		t.Errorf("the plan replaces %v, its identity is %s", p.replace, h.name(p.identity))
	}
	job, diags = h.apply(p)
	h.clean(diags)
	if got := f.written(); !slices.Equal(got, []string{"RENAME churn churn-2"}) {
		t.Errorf("sent %v", got)
	}
	if f.job("churn-2").UID != uid || h.name(job.identity) != "churn-2" || h.text(job.state, "name") != "churn-2" {
		t.Errorf("renamed to %+v, the state is %s", f.job("churn-2"), job.state)
	}
	job, diags = h.read(job)
	h.clean(diags)
	if p, diags = h.plan(job, config); len(diags) > 0 || !p.state.Equal(job.state) {
		t.Errorf("the second plan is not empty: %s\n%s", p.state, show(diags))
	}
	h.update(job, with(config, 4, "parallelism"))
}

func TestARenameNeedsNoIdentity(t *testing.T) { // older versions of Terraform have none
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	job.identity = nil
	job = h.update(job, with(minimalJob(), "churn-2", "name"))
	if h.name(job.identity) != "churn-2" {
		t.Errorf("the identity is %s", h.name(job.identity))
	}
}

func TestARenameToATakenNameChangesNothing(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint, "owner": "growth"})
	job := h.create(jobKind, minimalJob())
	h.create(jobKind, with(minimalJob(), "churn-2", "name"))
	p, diags := h.plan(job, with(minimalJob(), "churn-2", "name"))
	h.clean(diags)
	after, diags := h.apply(p)
	h.want(diags, isError, `AttributeName("name")`, `name "churn-2": the runner has a job of this name already`, `"growth"`, "Job churn keeps its name")
	if !after.state.Equal(job.state) || h.name(after.identity) != "churn" || f.job("churn").Spec.Name == "" {
		t.Errorf("a failed rename left the state %s", after.state)
	}
}

func TestARenameWhoseAnswerIsLostIsFoundDone(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	uid := f.job("churn").UID
	f.change(func() { f.mute = true })
	job = h.update(job, with(minimalJob(), "churn-2", "name"))
	if h.text(job.state, "name") != "churn-2" || f.job("churn-2").UID != uid || len(f.jobs) != 1 {
		t.Errorf("state %s, jobs %+v", job.state, f.jobs)
	}
}

func TestARenameBehindTerraformsBackIsADiffOfTheName(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	f.change(func() {
		renamed := f.jobs["churn"]
		delete(f.jobs, "churn")
		renamed.Spec.Name = "churn-2"
		renamed.Hash = renamed.Spec.Hash()
		renamed.Generation++
		f.jobs["churn-2"] = renamed
	})
	job, diags := newHarness(t, object{"endpoint": f.endpoint}).read(job)
	h.clean(diags)
	if h.text(job.state, "name") != "churn-2" || h.name(job.identity) != "churn-2" {
		t.Fatalf("the state is %s", job.state)
	}
	h.update(job, minimalJob())
	if f.job("churn").Spec.Name != "churn" {
		t.Errorf("the job is not renamed back: %+v", f.jobs)
	}
}

func TestARefreshOfAHeldJobWarnsWithTheRemedy(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	job := h.create(jobKind, minimalJob())
	f.hold("churn", &api.Hold{By: "anna", Reason: "the input is wrong", Since: time.Date(2026, 1, 14, 3, 0, 0, 0, time.UTC)})
	held, diags := newHarness(t, object{"endpoint": f.endpoint}).read(job)
	h.want(diags, isWarning, "job churn is held by anna since 2026-01-14T03:00:00Z: the input is wrong", f.endpoint+" batch-runner release churn")
	if !held.state.Equal(job.state) {
		t.Errorf("a hold changed the state to %s", held.state)
	}
	f.hold("churn", nil)
	_, diags = newHarness(t, object{"endpoint": f.endpoint}).read(job)
	h.clean(diags)
}
