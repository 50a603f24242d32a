package nightly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/activities/store/rowfile"
	"harmstack/activities/store/spill"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
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
	Force        bool  `json:"force,omitempty"`
}

// ScoreResult is the suspects, scored, by shards of which each is in order, and what became of every row.
type ScoreResult struct {
	RowsRead     int64                `json:"rows_read"`
	Dispositions schemas.Dispositions `json:"dispositions"`
	Facts        schemas.Facts        `json:"facts"`
	Shards       []Shard              `json:"shards"`
	// Basis is what the workers that scored went by.
	Basis *schemas.Basis `json:"basis,omitempty"`
	Origin
}

func (r *ScoreResult) refs() (refs []*schemas.ArtifactRef) {
	for i := range r.Shards {
		refs = append(refs, r.Shards[i].refs()...)
	}
	return refs
}

// Shard is what one scoring leaves for the rank stage.
type Shard struct {
	// Suspects are in the order of the ranking.
	Suspects schemas.ArtifactRef `json:"suspects"`
	// Sums count them by plain sum.
	Sums schemas.ArtifactRef `json:"sums"`
	// Candidates are the contributions of those who may be on the stack.
	Candidates schemas.ArtifactRef `json:"candidates"`
}

func (s *Shard) refs() []*schemas.ArtifactRef {
	return []*schemas.ArtifactRef{&s.Suspects, &s.Sums, &s.Candidates}
}

// Suspects is how many were scored.
func (r ScoreResult) Suspects() (n int64) {
	for _, s := range r.Shards {
		n += s.Suspects.Rows
	}
	return n
}

// Done is the line of the stage table.
func (r ScoreResult) Done() (int64, string) {
	return r.RowsRead, text.Count(r.Dispositions[schemas.Scored], "row") + " scored, " + text.Count(r.Suspects(), "suspect")
}

// Score accounts for every row, scores every suspect, and writes the suspects for the rank stage.
func (a *Activities) Score(ctx context.Context, p ScoreParams) (ScoreResult, error) {
	basis, err := a.basis(p.Model)
	if err != nil {
		return ScoreResult{}, err
	}
	t := &step{night: p.Night, stage: "score", inputs: p.Parts, force: p.Force, asOf: p.Night.AsOf, basis: basis, also: []int64{int64(p.ExtraColumns), p.Quarantined}}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r ScoreResult, err error) {
		engine, err := a.engine(p.Night, p.Model)
		if err != nil {
			return r, err
		}
		defer closing(engine, &err)
		err = a.eachPart(ctx, p.Parts, func(f *extract.File, first int64) error {
			return f.ScanColumns(ctx, scoring.PrescanColumns, a.threads(), first, func() extract.Sink { return engine.NewPrescan() }, nil)
		})
		if err != nil {
			return r, err
		}
		if err := engine.EndPrescan(ctx, ExtractResult{Parts: p.Parts}.Rows(), a.threads()); err != nil {
			return r, err
		}
		if err := a.scan(ctx, p.Parts, func() extract.Sink { return engine.NewIngester() }, rows); err != nil {
			return r, err
		}
		scores, err := engine.Finish(ctx, a.threads())
		if err != nil {
			return r, err
		}
		r = ScoreResult{RowsRead: scores.RowsRead, Dispositions: scores.Dispositions, Facts: scores.Facts, Basis: &basis}
		r.Facts.ExtraColumns = int64(p.ExtraColumns)
		if err := r.reconcile(p, scores.Suspects); err != nil {
			return r, err
		}
		shard, err := a.writeShard(ctx, p.Night.WorkPath(), scores)
		r.Shards = []Shard{shard}
		return r, err
	})
}

func (a *Activities) engine(night schemas.NightID, name string) (*scoring.Engine, error) {
	model, err := loadModel(name)
	if err != nil {
		return nil, err
	}
	engine, err := scoring.New(scoring.Options{AsOf: night.AsOf, Tables: a.tables(), Model: model,
		Spill: spill.Folder(a.TempDir), Memory: a.Memory})
	if err != nil {
		return nil, task.Permanent(fault.BadRequest, err)
	}
	return engine, nil
}

// writeShard writes scored suspects into a folder of the store.
func (a *Activities) writeShard(ctx context.Context, folder string, s *scoring.Scores) (shard Shard, err error) {
	var sums []schemas.SumCount
	for sum, n := range s.Sums() {
		sums = append(sums, schemas.SumCount{SumTenths: sum, Suspects: n})
	}
	slices.SortFunc(sums, func(a, b schemas.SumCount) int { return cmp.Compare(a.SumTenths, b.SumTenths) })
	if shard.Sums, err = a.Store.Write(ctx, folder+"/sums.parquet", schemas.SumSchema, rowsOf(sums)); err != nil {
		return shard, err
	}
	if shard.Candidates, err = a.Store.Write(ctx, folder+"/candidates.parquet", schemas.ContributionSchema, rowsOf(s.Candidates)); err != nil {
		return shard, err
	}
	shard.Suspects, err = a.Store.Write(ctx, folder+"/suspects.parquet", schemas.SuspectSchema, func(w io.Writer) (int64, error) {
		return rowfile.WriteAll(w, func(yield func([]schemas.Suspect) error) error { return s.SuspectRows(ctx, yield) })
	})
	return shard, err
}

// reconcile makes sure that no row was lost or counted twice, and that somebody can be ranked.
func (r ScoreResult) reconcile(p ScoreParams, suspects int64) error {
	promised := ExtractResult{Parts: p.Parts}.Rows()
	switch {
	case r.RowsRead != promised || r.Dispositions.Sum() != promised:
		return task.Permanent(fault.CountsDoNotReconcile, fmt.Errorf(
			"the extract holds %s, %s read and %s accounted for", text.Count(promised, "row"),
			text.Count(r.RowsRead, "was", "were"), text.Count(r.Dispositions.Sum(), "is", "are")))
	case r.Dispositions[schemas.Quarantined] != p.Quarantined:
		return task.Permanent(fault.CountsDoNotReconcile, fmt.Errorf(
			"the check quarantined %s, the scoring %s", text.Count(p.Quarantined, "row"), text.Number(r.Dispositions[schemas.Quarantined])))
	case suspects == 0:
		return task.Permanent(fault.NobodyToRank, errors.New("nobody can be ranked: the dispositions say why no row was scored"))
	}
	return nil
}

func loadModel(name string) (schemas.Model, error) {
	m, err := schemas.LoadModel(cmp.Or(name, schemas.DefaultModel))
	if err != nil {
		return m, task.Permanent(fault.BadRequest, err)
	}
	return m, nil
}

// rowsOf writes rows that are in memory.
func rowsOf[T any](rows []T) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) {
		return rowfile.WriteAll(w, func(yield func([]T) error) error { return yield(rows) })
	}
}
