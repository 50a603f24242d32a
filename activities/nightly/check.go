package nightly

import (
	"context"
	"sync/atomic"

	"harmstack/activities/pipeline"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// CheckParams names the night's extract.
type CheckParams struct {
	Night schemas.NightID       `json:"night"`
	Parts []schemas.ArtifactRef `json:"parts"`
	Force bool                  `json:"force,omitempty"`
}

// CheckResult is what a full read of the extract found.
type CheckResult struct {
	pipeline.Checked
	Origin
}

func (r *CheckResult) refs() []*schemas.ArtifactRef { return []*schemas.ArtifactRef{&r.Quarantine} }

// By the next time the clock may have caught up with what is ahead of it.
func (r *CheckResult) outcome() outcome {
	return outcome{doubt: r.Profile.AheadOfClock > 0, nulls: r.Profile.Nulls}
}

// Done is the line of the stage table.
func (r CheckResult) Done() (int64, string) {
	return r.RowsRead, text.Number(r.Quarantine.Rows) + " quarantined"
}

// Check reads every byte of the parts, compares hashes and counts with what was written, applies the
// rules of a single row and writes quarantine.parquet.
func (a *Activities) Check(ctx context.Context, p CheckParams) (CheckResult, error) {
	n := a.night(p.Night)
	t := step{
		night:  p.Night,
		stage:  "check",
		inputs: p.Parts,
		force:  p.Force,
		asOf:   p.Night.AsOf,
		basis:  n.Tables.Basis(n.Model),
	}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r CheckResult, err error) {
		r.Checked, err = n.Check(ctx, a.parts(p.Parts), rows.Store)
		return r, err
	})
}
