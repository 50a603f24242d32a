package nightly

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/activities/store/spill"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
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
	RowsRead   int64               `json:"rows_read"`
	Quarantine schemas.ArtifactRef `json:"quarantine"`
	Profile    *schemas.Profile    `json:"profile,omitempty"`
	Origin
}

func (r *CheckResult) refs() []*schemas.ArtifactRef { return []*schemas.ArtifactRef{&r.Quarantine} }

// Done is the line of the stage table.
func (r CheckResult) Done() (int64, string) {
	return r.RowsRead, text.Number(r.Quarantine.Rows) + " quarantined"
}

// Check reads every byte of the parts, compares hashes and counts with what was written, applies the
// rules of a single row and writes quarantine.parquet.
func (a *Activities) Check(ctx context.Context, p CheckParams) (CheckResult, error) {
	t := &step{night: p.Night, stage: "check", inputs: p.Parts, force: p.Force, asOf: p.Night.AsOf, basis: a.tables().Basis(schemas.Model{})}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r CheckResult, err error) {
		bad := extract.Quarantine{Temp: spill.Folder(a.TempDir)}
		defer bad.Close()
		checker := scoring.NewChecker(a.tables(), func(batch arrow.Record, firstRow int64, found []scoring.Quarantined) error {
			for _, q := range found {
				if err := bad.Add(batch, q.Index, firstRow+int64(q.Index), q.Reason); err != nil {
					return err
				}
			}
			return nil
		})
		profile := newProfiler(p.Night.AsOf, a.tables())
		if err := a.scan(ctx, p.Parts, func() extract.Sink { return profile.beside(checker.NewIngester()) }, rows); err != nil {
			return r, err
		}
		r.Profile = profile.result()
		t.nulls = r.Profile.Nulls
		t.doubt = r.Profile.AheadOfClock > 0 // by the next time the clock may have caught up
		counts := checker.Counts()
		r.RowsRead = counts.RowsRead
		switch {
		case r.RowsRead != ExtractResult{Parts: p.Parts}.Rows():
			return r, task.Permanent(fault.CountsDoNotReconcile, fmt.Errorf("%s of %s read", text.Number(r.RowsRead), text.Count(ExtractResult{Parts: p.Parts}.Rows(), "row was", "rows were")))
		case r.RowsRead == 0:
			return r, task.Permanent(fault.EmptyExtract, errors.New("the extract has no rows: has the export run?"))
		case counts.Quarantined() == r.RowsRead:
			return r, task.Permanent(fault.AllQuarantined, fmt.Errorf("none of %s can be read: the commonest fault is %q", text.Count(r.RowsRead, "row"), commonest(counts.QuarantineReasons)))
		}
		r.Quarantine, err = a.Store.Write(ctx, p.Night.Path()+"/"+schemas.QuarantineFile, schemas.QuarantineSchema, bad.Write)
		return r, err
	})
}

// commonest is the reason with most rows; of several, the first by name.
func commonest(reasons map[string]int64) (most string) {
	for reason, n := range reasons {
		if n > reasons[most] || n == reasons[most] && reason < most {
			most = reason
		}
	}
	return most
}
