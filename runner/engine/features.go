package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// resolveFeatures has a job that names no feature send every column of the
// input, in its order, but those that it excludes, that name a record or that
// are kept. The job goes into the plan with them, and so they stay for the run.
func (x *execution) resolveFeatures(input []string) error {
	job := &x.job
	if err := checkResults(*job, x.kept()); err != nil {
		return err
	}
	if len(job.Predict.Features.Columns) > 0 {
		return nil
	}
	refuse := func(hint string, err error) error { return api.Fail(api.Reason(api.ClassConfig), hint, err) }
	for _, column := range job.Predict.Features.Exclude {
		if !slices.Contains(input, column) {
			return refuse("correct the name, or remove it", fmt.Errorf("predict.features.exclude: the input has no column %q, only %s", column, strings.Join(input, ", ")))
		}
	}
	var features []string
	for _, column := range input {
		if !slices.Contains(job.Predict.Features.Exclude, column) && !slices.Contains(job.Input.Key, column) && !slices.Contains(x.kept(), column) {
			features = append(features, column)
		}
	}
	if len(features) == 0 {
		return refuse("name the columns to send in predict.features.columns; those of output.keep can be among them",
			errors.New("no column of the input is left to send: all of them are excluded, keys or kept"))
	}
	if len(job.Predict.Golden) > 0 {
		if golden := slices.Sorted(maps.Keys(job.Predict.Golden)); !slices.Equal(golden, slices.Sorted(slices.Values(features))) {
			return refuse("give predict.golden a cell for each feature, and no other", fmt.Errorf("predict.golden has cells for %q, and the features are %q", golden, features))
		}
	}
	job.Predict.Features.Columns = features
	return nil
}

// checkResults says which result column that the job names is kept from the
// input, too.
func checkResults(job api.Job, kept []string) error {
	for _, column := range slices.Sorted(maps.Keys(job.Predict.Outputs)) {
		if slices.Contains(kept, column) {
			return twice(column)
		}
	}
	return nil
}

// twice is the failure of a column that is kept and predicted.
func twice(column string) error {
	return api.Fail(api.Reason(api.ClassConfig), "name it otherwise in predict.outputs", fmt.Errorf("output column %q is kept from the input and predicted too", column))
}
