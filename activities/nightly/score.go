package nightly

import (
	"context"
	"slices"
	"sync/atomic"

	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
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
	// Links are the person links; nil: there are none.
	Links *schemas.ArtifactRef `json:"links,omitempty"`
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
		refs = append(refs, r.Shards[i].Refs()...)
	}
	return refs
}

// Shard is what one scoring leaves for the rank stage.
type Shard = pipeline.Shard

// Suspects is how many were scored.
func (r ScoreResult) Suspects() (n int64) {
	for _, s := range r.Shards {
		n += s.Suspects.Rows
	}
	return n
}

// Done is the line of the stage table.
func (r ScoreResult) Done() (int64, string) {
	return r.RowsRead, text.Count(
		r.Dispositions[schemas.Scored],
		"row",
	) + " scored, " + text.Count(
		r.Suspects(),
		"suspect",
	)
}

// Score accounts for every row, scores every suspect, and writes the suspects for the rank stage.
func (a *Activities) Score(ctx context.Context, p ScoreParams) (ScoreResult, error) {
	n, basis, err := a.scoring(p.Night, p.Model)
	if err != nil {
		return ScoreResult{}, err
	}
	t := step{
		night:  p.Night,
		stage:  "score",
		inputs: withLinks(p.Parts, p.Links),
		force:  p.Force,
		asOf:   p.Night.AsOf,
		basis:  basis,
		also:   []any{p.ExtraColumns, p.Quarantined, n.Stability.Named()},
	}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r ScoreResult, err error) {
		if n.Links, err = pipeline.LoadLinks(ctx, a.Store, p.Links, n.Tables); err != nil {
			return r, err
		}
		engine, err := n.NewEngine(nil, false)
		if err != nil {
			return r, err
		}
		defer closing(engine, &err)
		scores, err := n.Score(ctx, engine, a.parts(p.Parts), false, rows.Store)
		if err != nil {
			return r, err
		}
		r = ScoreResult{
			RowsRead:     scores.RowsRead,
			Dispositions: scores.Dispositions,
			Facts:        scores.Facts,
			Basis:        &basis,
		}
		r.Facts.ExtraColumns = int64(p.ExtraColumns)
		if err := r.reconcile(p, scores.Suspects); err != nil {
			return r, err
		}
		shard, err := n.WriteShard(ctx, p.Night.WorkPath(), scores)
		r.Shards = []Shard{shard}
		return r, err
	})
}

// withLinks are the files that a stage reads which goes by person links.
func withLinks(parts []schemas.ArtifactRef, links *schemas.ArtifactRef) []schemas.ArtifactRef {
	if links == nil {
		return parts
	}
	return append(slices.Clone(parts), *links)
}

// closing closes an engine at the end of what used it.
func closing(e *scoring.Engine, err *error) {
	if closing := e.Close(); *err == nil {
		*err = closing
	}
}

// reconcile makes sure that no row was lost or counted twice, and that somebody can be ranked.
func (r ScoreResult) reconcile(p ScoreParams, suspects int64) error {
	if n := r.Dispositions[schemas.Quarantined]; n != p.Quarantined {
		return fault.Errorf(
			fault.CountsDoNotReconcile,
			"the check quarantined %s, the scoring %s",
			text.Count(p.Quarantined, "row"),
			text.Number(n),
		)
	}
	return pipeline.Reconcile(ExtractResult{Parts: p.Parts}.Rows(), r.RowsRead, r.Dispositions, suspects)
}
