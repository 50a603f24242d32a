package nightly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"harmstack/activities/extract"
	"harmstack/activities/failure"
	"harmstack/activities/ranking"
	"harmstack/activities/scoring"
	"harmstack/activities/spill"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// ScoreParams names the rows and the model.
type ScoreParams struct {
	Night schemas.NightID `json:"night"`
	// Model is a built-in model; empty means the default.
	Model string                `json:"model,omitempty"`
	Parts []schemas.ArtifactRef `json:"parts"`
	// ExtraColumns is passed on to the facts; Quarantined is what the check found, and must be found
	// again.
	ExtraColumns int   `json:"extra_columns"`
	Quarantined  int64 `json:"quarantined"`
}

// ScoreResult is the suspects, scored and not yet in order, and what became of every row.
type ScoreResult struct {
	RowsRead      int64                `json:"rows_read"`
	Dispositions  schemas.Dispositions `json:"dispositions"`
	Facts         schemas.Facts        `json:"facts"`
	Cut           schemas.Cut          `json:"cut"`
	Suspects      schemas.ArtifactRef  `json:"suspects"`
	Contributions schemas.ArtifactRef  `json:"contributions"`
}

// Done is the line of the stage table.
func (r ScoreResult) Done() (int64, string) {
	return r.RowsRead, fmt.Sprintf("%d rows scored, %d suspects", r.Dispositions[schemas.Scored], r.Suspects.Rows)
}

// Score accounts for every row, scores every suspect, and writes the suspects for the rank stage and
// contributions.parquet.
func (a *Activities) Score(ctx context.Context, p ScoreParams) (ScoreResult, error) {
	return stage(ctx, a, p.Night, func(rows *atomic.Int64) (r ScoreResult, err error) {
		model, err := loadModel(p.Model)
		if err != nil {
			return r, err
		}
		engine, err := scoring.New(scoring.Options{AsOf: p.Night.AsOf, Tables: reference.Default(), Model: model,
			Spill: spill.Folder(a.TempDir), Memory: a.Memory})
		if err != nil {
			return r, failure.Permanent(failure.BadRequest, err)
		}
		if err := a.scan(ctx, p.Parts, func() extract.Sink { return engine.NewFeeder() }, rows); err != nil {
			return r, err
		}
		scores, err := engine.Finish(ctx, a.threads())
		if err != nil {
			return r, err
		}
		r = ScoreResult{RowsRead: scores.RowsRead, Dispositions: scores.Dispositions, Facts: scores.Facts, Cut: scores.Cut}
		r.Facts.ExtraColumns = int64(p.ExtraColumns)
		if err := r.reconcile(p, scores.Suspects); err != nil {
			return r, err
		}
		r.Suspects, err = a.Store.Write(ctx, p.Night.WorkPath()+"/suspects.parquet", schemas.SuspectSchema, func(w io.Writer) (int64, error) {
			return ranking.WriteAll(w, func(yield func([]schemas.Suspect) error) error { return scores.SuspectRows(ctx, yield) })
		})
		if err != nil {
			return r, err
		}
		r.Contributions, err = a.Store.Write(ctx, p.Night.Path()+"/"+schemas.ContributionsFile, schemas.ContributionSchema, rowsOf(scores.Contributions))
		return r, err
	})
}

// reconcile makes sure that no row was lost or counted twice, and that somebody can be ranked.
func (r ScoreResult) reconcile(p ScoreParams, suspects int64) error {
	promised := ExtractResult{Parts: p.Parts}.Rows()
	switch {
	case r.RowsRead != promised || r.Dispositions.Sum() != promised:
		return failure.Permanent(failure.CountsDoNotReconcile, fmt.Errorf(
			"the extract holds %d rows, %d were read and %d are accounted for", promised, r.RowsRead, r.Dispositions.Sum()))
	case r.Dispositions[schemas.Quarantined] != p.Quarantined:
		return failure.Permanent(failure.CountsDoNotReconcile, fmt.Errorf(
			"the check quarantined %d rows, the scoring %d", p.Quarantined, r.Dispositions[schemas.Quarantined]))
	case suspects == 0:
		return failure.Permanent(failure.NobodyToRank, errors.New("nobody can be ranked: the dispositions say why no row was scored"))
	}
	return nil
}

func loadModel(name string) (schemas.Model, error) {
	m, err := schemas.LoadModel(cmp.Or(name, schemas.DefaultModel))
	if err != nil {
		return m, failure.Permanent(failure.BadRequest, err)
	}
	return m, nil
}

// rowsOf writes rows that are in memory.
func rowsOf[T any](rows []T) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) {
		return ranking.WriteAll(w, func(yield func([]T) error) error { return yield(rows) })
	}
}
