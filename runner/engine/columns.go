package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// typingRecords is how many records are looked at for the types of kept
// columns: the first ones may hold nulls.
const typingRecords = 1000

// resolve fixes, once per plan, the columns that the output has and the size
// of requests. A server that later answers with other columns is another
// model.
func (x *execution) resolve(ctx context.Context, answer *predict.Response) error {
	x.resolving.Lock()
	defer x.resolving.Unlock()
	var columns []api.Column
	for _, column := range x.kept() {
		columns = append(columns, api.Column{Name: column})
	}
	for _, column := range answer.Columns() {
		if slices.Contains(x.kept(), column) {
			return twice(column)
		}
		columns = append(columns, api.Column{Name: column})
	}
	if x.plan.Columns != nil {
		if now, was := names(columns), names(x.plan.Columns); !slices.Equal(now, was) {
			return api.Fail(api.Reason(api.ClassConfig), "rerun the job, or name predict.outputs",
				fmt.Errorf("the server answers with columns %q; the run began with %q", now, was))
		}
		return nil
	}
	if err := x.setTypes(ctx, columns, answer); err != nil {
		return err
	}
	rows, err := x.firstRows()
	if err != nil {
		return err
	}
	err = x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.ResolvePlan(x.plan.Run, rows, columns) })
	if err == nil {
		x.plan.Columns, x.plan.RowsPerRequest = columns, rows
	}
	return err
}

// foreseen are the columns of an output that nothing is predicted for, so that
// its files look as those of other days; none where only a prediction tells.
func (x *execution) foreseen() []api.Column {
	files := x.job.Output.Files
	if files == nil || len(x.job.Predict.Outputs) == 0 {
		return nil
	}
	var columns []api.Column
	for _, name := range x.kept() {
		columns = append(columns, api.Column{Name: name, Type: x.inputType(name)})
	}
	for _, name := range slices.Sorted(maps.Keys(x.job.Predict.Outputs)) { // as answers have them
		columns = append(columns, api.Column{Name: name})
	}
	for i, column := range columns {
		columns[i].Type = cmp.Or(files.Types[column.Name], column.Type)
		if !x.typed() {
			columns[i].Type = ""
		} else if columns[i].Type == "" {
			return nil
		}
	}
	return columns
}

// inputType is the type of a column of the input; none where it has no types.
func (x *execution) inputType(name string) string {
	for _, file := range x.files {
		if at := slices.IndexFunc(file.Types, func(c api.Column) bool { return c.Name == name }); at >= 0 {
			return file.Types[at].Type
		}
	}
	return ""
}

// typed tells whether the output's format has types.
func (x *execution) typed() bool {
	files := x.job.Output.Files
	return files != nil && files.Format == api.FormatParquet
}

// setTypes gives the columns of an output that has types the declared one, else
// that of a typed input or of the model, else what the first values suggest.
func (x *execution) setTypes(ctx context.Context, columns []api.Column, answer *predict.Response) error {
	if !x.typed() {
		return nil
	}
	kept := columns[:len(columns)-len(answer.Columns())]
	if err := x.setKeptTypes(ctx, kept); err != nil {
		return err
	}
	for i, told := range x.resultTypes(answer) {
		columns[len(kept)+i].Type = cmp.Or(told, api.TypeJSON) // null says nothing, and this takes everything
	}
	for i, column := range kept {
		kept[i].Type = cmp.Or(x.job.Output.Files.Types[column.Name], column.Type)
	}
	return nil
}

// resultTypes are the types of an answer's columns, none where all values are
// null.
func (x *execution) resultTypes(answer *predict.Response) []string {
	types := make([]string, len(answer.Columns()))
	var values []format.Value
	for i, column := range answer.Columns() {
		types[i] = cmp.Or(x.job.Output.Files.Types[column], answer.Type(i))
		for record := 0; types[i] == "" && record < answer.Len(); record++ {
			if answer.Refused(record) == nil {
				values = answer.Values(record, values[:0])
				types[i] = format.TypeOf(values[i])
			}
		}
	}
	return types
}

// tellingAnswer is the warm-up's answer, or where it does not tell the types
// that the output has, one to more of the first records: what is predicted
// first must not depend on which request is answered first.
func (x *execution) tellingAnswer(ctx context.Context, s *readyServer, answer *predict.Response) *predict.Response {
	if !x.typed() || x.planColumns() != nil || !slices.Contains(x.resultTypes(answer), "") {
		return answer
	}
	records, err := x.sample(ctx, typingRecords)
	if err != nil {
		return answer // what is wrong with the input its mini-batch will say
	}
	request := s.client.NewRequest()
	defer request.Release()
	for _, features := range records {
		if errors.Is(request.Add(features), predict.ErrFull) || int64(request.Len()) >= x.mostRows() {
			break
		}
	}
	if request.Len() == 0 {
		return answer
	}
	wider, err := s.client.Predict(ctx, request, predict.Send{Key: x.plan.Run + "/warm-up", Purpose: predict.WarmUp})
	if err != nil {
		return answer
	}
	answer.Release()
	return wider
}

// setKeptTypes types the columns that are copied from the input.
func (x *execution) setKeptTypes(ctx context.Context, kept []api.Column) error {
	for i := range kept {
		kept[i].Type = x.inputType(kept[i].Name)
	}
	untyped := func(c api.Column) bool { return c.Type == "" }
	head, err := x.firstMiniBatch(ctx)
	if err != nil || len(head) == 0 || !slices.ContainsFunc(kept, untyped) {
		return err
	}
	places := x.indexes(names(kept))
	err = x.eachRecord(head[0], func(record *format.Record, position int64) error {
		for i := range kept {
			if record.Bad != nil || kept[i].Type != "" {
				continue
			}
			suggests := format.TypeOf
			if slices.Contains(x.job.Input.Key, kept[i].Name) {
				suggests = format.KeyTypeOf // whole numbers stay as they are, however large
			}
			kept[i].Type = suggests(record.Values[places[i]])
		}
		if position >= typingRecords || !slices.ContainsFunc(kept, untyped) {
			return errEnough
		}
		return context.Cause(ctx)
	})
	for i := range kept {
		if kept[i].Type == "" {
			kept[i].Type = api.TypeString
		}
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func names(columns []api.Column) []string {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.Name
	}
	return names
}
