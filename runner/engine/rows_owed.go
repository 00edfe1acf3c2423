package engine

import (
	"encoding/json"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// supersede has rows that the query gave anew stand for older ones of the same
// key that earlier runs owe: what was read later is what counts. Ledger rows
// that lose records so are claimed as replaced, and what else they hold is
// planned with the run's own rows.
func (p *planner) supersede() error {
	x, key := p.x, p.x.job.Input.Key
	if x.job.Input.Mode != api.ModeWatermark || len(p.rows) == 0 || len(key) == 0 {
		return nil
	}
	owed, err := x.e.Store.Owes(x.run.JobUID, x.job.InputIdentity())
	if err != nil || len(owed) == 0 {
		return err
	}
	stretches := make([]source.Owed, len(owed))
	for i, o := range owed {
		stretches[i].Stretch = source.Stretch{Offset: o.Offset, Length: o.Length, FirstLine: o.FirstLine, Checksum: o.Checksum}
		if err := json.Unmarshal(o.File, &stretches[i].File); err != nil {
			return fmt.Errorf("decode ledger entry %d: %w", o.ID, err)
		}
	}
	found, err := x.inputs.Supersede(p.ctx, stretches, p.rows, key, x.canonical())
	if err != nil || found.Records == 0 {
		return err
	}
	p.superseded = map[int64]bool{}
	for i := range found.Stretches {
		p.superseded[owed[i].ID] = true
		p.replaced = append(p.replaced, owed[i].ID)
	}
	if found.Rest != nil {
		p.rows = append([]source.File{*found.Rest}, p.rows...)
	}
	p.notes = append(p.notes, fmt.Sprintf("%s that earlier runs owe left out: the query has newer ones of their keys", api.Counted(found.Records, "row")))
	return nil
}
