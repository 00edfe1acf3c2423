package provider

import "testing"

func TestAnotherQueryMustSayWhatBecomesOfTheMarks(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	base := tableJob(minimalJob())
	job := h.create(jobKind, base)

	for name, edit := range map[string]object{
		"query":    with(base, "SELECT id, changed_at FROM other", "input", "sql", "query"),
		"database": with(base, object{"env": "OTHER"}, "input", "sql", "dsn"),
		"column":   with(base, "created_at", "input", "sql", "watermark", "column"),
	} {
		_, diags := h.plan(job, edit)
		h.want(diags, isError, `AttributeName("input")`, "input.state is required: with another query, database or watermark column", `state = "reset"`)
		_, diags = h.plan(job, with(edit, "keep", "input", "state"))
		if len(diags) > 0 {
			t.Errorf("%s: %s", name, show(diags))
		}
	}
	for name, edit := range map[string]object{
		"spelling":      with(base, "SELECT id, a, b,\n  changed_at FROM items", "input", "sql", "query"),
		"lag":           with(base, "1h", "input", "sql", "watermark", "lag"),
		"unknown query": with(base, unknown{}, "input", "sql", "query"),
	} {
		if _, diags := h.plan(job, edit); len(diags) > 0 {
			t.Errorf("%s: %s", name, show(diags))
		}
	}
}

func TestRowsThatNothingMarksAreWarnedOfOnce(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	config := with(minimalJob(), object{
		"sql": object{"dsn": object{"env": "ITEMS"}, "query": "SELECT * FROM items WHERE prediction IS NULL"}, "key": []any{"id"}, "mode": "predicate",
	}, "input")
	p, diags := h.plan(instance{kind: jobKind}, config)
	h.want(diags, isWarning, "job churn: input.mode", "nothing makes a row leave the query's result", `AttributeName("input")`)
	job, diags := h.apply(p)
	h.clean(diags)
	_, diags = h.plan(job, with(config, 3, "parallelism"))
	h.clean(diags)
	_, diags = h.plan(instance{kind: jobKind}, with(config, unknown{}, "input", "mode"))
	h.clean(diags)
}
