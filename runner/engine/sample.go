package engine

import (
	"context"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// sample reads the features of the plan's first good records, for the
// warm-up.
func (x *execution) sample(ctx context.Context, n int) ([][]format.Value, error) {
	head, err := x.firstMiniBatch(ctx)
	if err != nil || len(head) == 0 {
		return nil, err
	}
	pinned := x.files[head[0].File]
	file, err := x.inputs.Open(ctx, pinned)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	reader, err := file.Records(stretchOf(head[0]), x.job.Predict.Features.Columns)
	if err != nil {
		return nil, err
	}
	var records [][]format.Value
	for len(records) < n && ctx.Err() == nil {
		record, err := reader.Read()
		if err != nil {
			break // the end; what is wrong with the file its mini-batch will say
		}
		if record.Bad == nil {
			records = append(records, cloneValues(record.Values))
		}
	}
	return records, nil
}

func cloneValues(values []format.Value) []format.Value {
	cloned := make([]format.Value, len(values))
	for i, value := range values {
		cloned[i] = format.Value{Bytes: append([]byte(nil), value.Bytes...), JSON: value.JSON}
	}
	return cloned
}

// goldenOrSample is the golden record, or else the first records of the plan.
func (x *execution) goldenOrSample(ctx context.Context) ([][]format.Value, error) {
	golden := x.job.Predict.Golden
	if len(golden) == 0 {
		return x.sample(ctx, warmUps)
	}
	var record []format.Value
	for _, column := range x.job.Predict.Features.Columns {
		record = append(record, format.Value{Bytes: []byte(golden[column])})
	}
	return [][]format.Value{record}, nil
}
