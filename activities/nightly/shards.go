package nightly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"

	"go.temporal.io/sdk/activity"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// A large night is scored by many workers at once: Scatter reads some of the parts and sorts their rows
// by allegation, Deduplicate decides the allegations of a range and sorts what stays by suspect, ScoreShard
// scores the suspects of a range. What passes between them stays in the store.

// ScatterParams names the parts that one worker reads.
type ScatterParams struct {
	Night schemas.NightID       `json:"night"`
	Model string                `json:"model,omitempty"`
	Parts []schemas.ArtifactRef `json:"parts"`
	// Shard is which of the Shards this is.
	Shard  int  `json:"shard"`
	Shards int  `json:"shards"`
	Force  bool `json:"force,omitempty"`
}

// ScatterResult is the rows of some parts, by ranges of allegations.
type ScatterResult struct {
	RowsRead    int64 `json:"rows_read"`
	Quarantined int64 `json:"quarantined"`
	// OutOfRange, by column, and Reasons are parts of the facts. Lists: a workflow must not go through a map.
	OutOfRange []ReasonCount         `json:"out_of_range,omitempty"`
	Reasons    []ReasonCount         `json:"reasons,omitempty"`
	Ranges     []schemas.ArtifactRef `json:"ranges"`
	Origin
}

func (r *ScatterResult) refs() []*schemas.ArtifactRef { return pointers(r.Ranges) }

// ReasonCount counts the rows that are quarantined for one reason, or the values of one column.
type ReasonCount struct {
	Reason string `json:"reason"`
	Rows   int64  `json:"rows"`
}

// Done is the line of the stage table.
func (r ScatterResult) Done() (int64, string) { return r.RowsRead, "by one worker" }

// ShardParams names the rows of one range of allegations.
type ShardParams struct {
	Night  schemas.NightID       `json:"night"`
	Model  string                `json:"model,omitempty"`
	Inputs []schemas.ArtifactRef `json:"inputs"`
	Shard  int                   `json:"shard"`
	Shards int                   `json:"shards"`
	Force  bool                  `json:"force,omitempty"`
}

// DeduplicateResult is the rows that count, by ranges of suspects, and what became of the others.
type DeduplicateResult struct {
	RowsRead     int64                 `json:"rows_read"`
	Dispositions schemas.Dispositions  `json:"dispositions"`
	Conflicting  int64                 `json:"conflicting"`
	Ranges       []schemas.ArtifactRef `json:"ranges"`
	Origin
}

func (r *DeduplicateResult) refs() []*schemas.ArtifactRef { return pointers(r.Ranges) }

// Done is the line of the stage table.
func (r DeduplicateResult) Done() (int64, string) { return r.RowsRead, "" }

// ShardResult is the suspects of one range, scored.
type ShardResult struct {
	RowsRead     int64                `json:"rows_read"`
	Dispositions schemas.Dispositions `json:"dispositions"`
	Facts        schemas.Facts        `json:"facts"`
	Shard        Shard                `json:"shard"`
	Basis        *schemas.Basis       `json:"basis,omitempty"`
	Origin
}

func (r *ShardResult) refs() []*schemas.ArtifactRef { return r.Shard.refs() }

// Done is the line of the stage table.
func (r ShardResult) Done() (int64, string) { return r.RowsRead, "" }

// Scatter reads its parts once.
func (a *Activities) Scatter(ctx context.Context, p ScatterParams) (ScatterResult, error) {
	basis, err := a.basis(p.Model)
	if err != nil {
		return ScatterResult{}, err
	}
	t := &step{night: p.Night, stage: "scatter", inputs: p.Parts, force: p.Force, asOf: p.Night.AsOf, basis: basis, also: []int{p.Shard, p.Shards}, part: fmt.Sprint(p.Shard)}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r ScatterResult, err error) {
		engine, err := a.engine(p.Night, p.Model)
		if err != nil {
			return r, err
		}
		defer closing(engine, &err)
		if err := a.scan(ctx, p.Parts, func() extract.Sink { return engine.NewIngester() }, rows); err != nil {
			return r, err
		}
		counts := engine.Counts()
		r = ScatterResult{RowsRead: counts.RowsRead, Quarantined: counts.Quarantined(), OutOfRange: listed(counts.OutOfRange), Reasons: listed(counts.QuarantineReasons)}
		r.Ranges, err = a.shuffle(ctx, engine, p.Night, "scatter", p.Shard, p.Shards)
		return r, err
	})
}

// listed is a map of counts as a list, by name.
func listed(counts map[string]int64) (list []ReasonCount) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, ReasonCount{name, counts[name]})
	}
	return list
}

// Settle deduplicates: it decides which version of each allegation stays. Recorded histories know it by this name.
func (a *Activities) Settle(ctx context.Context, p ShardParams) (DeduplicateResult, error) {
	t, err := a.shardStep("deduplicate", p)
	if err != nil {
		return DeduplicateResult{}, err
	}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r DeduplicateResult, err error) {
		engine, err := a.engine(p.Night, p.Model)
		if err != nil {
			return r, err
		}
		defer closing(engine, &err)
		if err := a.receive(ctx, engine, p.Inputs, rows); err != nil {
			return r, err
		}
		deduplicated, err := engine.Deduplicate(ctx, a.threads())
		if err != nil {
			return r, err
		}
		r = DeduplicateResult{RowsRead: deduplicated.RowsRead, Dispositions: deduplicated.Dispositions, Conflicting: deduplicated.Conflicting}
		r.Ranges, err = a.shuffle(ctx, engine, p.Night, "deduplicate", p.Shard, p.Shards)
		return r, err
	})
}

// ScoreShard scores the suspects of a range.
func (a *Activities) ScoreShard(ctx context.Context, p ShardParams) (ShardResult, error) {
	t, err := a.shardStep("score-shard", p)
	if err != nil {
		return ShardResult{}, err
	}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r ShardResult, err error) {
		engine, err := a.engine(p.Night, p.Model)
		if err != nil {
			return r, err
		}
		defer closing(engine, &err)
		if err := a.receive(ctx, engine, p.Inputs, rows); err != nil {
			return r, err
		}
		scores, err := engine.Finish(ctx, a.threads())
		if err != nil {
			return r, err
		}
		r = ShardResult{RowsRead: scores.RowsRead, Dispositions: scores.Dispositions, Facts: scores.Facts, Basis: &t.basis}
		r.Shard, err = a.writeShard(ctx, fmt.Sprintf("%s/score-%03d", p.Night.WorkPath(), p.Shard), scores)
		return r, err
	})
}

func (a *Activities) shardStep(stage string, p ShardParams) (*step, error) {
	basis, err := a.basis(p.Model)
	return &step{night: p.Night, stage: stage, inputs: p.Inputs, force: p.Force, asOf: p.Night.AsOf, basis: basis, also: []int{p.Shard, p.Shards}, part: fmt.Sprint(p.Shard)}, err
}

// shuffle writes what an engine holds, a file a range. An attempt has a folder of its own: one that was
// given up but is still writing must not touch the files of the next.
func (a *Activities) shuffle(ctx context.Context, e *scoring.Engine, night schemas.NightID, stage string, shard, shards int) (refs []schemas.ArtifactRef, err error) {
	folder := fmt.Sprintf("%s/%s-%03d-attempt-%d", night.WorkPath(), stage, shard, activity.GetInfo(ctx).Attempt)
	for to := range shards {
		ref, err := a.Store.Write(ctx, fmt.Sprintf("%s/range-%03d.rows", folder, to), schemas.RowsSchema, func(w io.Writer) (int64, error) {
			return e.Shuffle(w, to, shards)
		})
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

func (a *Activities) receive(ctx context.Context, e *scoring.Engine, inputs []schemas.ArtifactRef, rows *atomic.Int64) error {
	for _, ref := range inputs {
		if err := ctx.Err(); err != nil {
			return err
		}
		artifact, err := a.Store.Open(ctx, ref)
		if err != nil {
			return err
		}
		err = e.Receive(io.NewSectionReader(artifact, 0, artifact.Size()))
		artifact.Close()
		if err != nil {
			return task.Permanent(fault.DamagedArtifact, fmt.Errorf("%s: %w", ref.URI, err))
		}
		rows.Add(ref.Rows)
	}
	return nil
}

// closing closes an engine at the end of what used it.
func closing(e *scoring.Engine, err *error) {
	if closing := e.Close(); *err == nil {
		*err = closing
	}
}

// Combine adds up what the shards of a night found, and makes sure that no row was lost on the way. It
// only computes: a workflow may call it.
func Combine(p ScoreParams, scattered []ScatterResult, deduplicated []DeduplicateResult, scored []ShardResult) (r ScoreResult, err error) {
	var sorted, received, passed, taken int64
	r.Facts.ExtraColumns = int64(p.ExtraColumns)
	r.Facts.QuarantineReasons = map[string]int64{}
	for _, s := range scattered {
		r.RowsRead += s.RowsRead
		r.Dispositions[schemas.Quarantined] += s.Quarantined
		for _, c := range s.OutOfRange {
			if r.Facts.OutOfRange == nil {
				r.Facts.OutOfRange = map[string]int64{}
			}
			r.Facts.OutOfRange[c.Reason] += c.Rows
			r.Facts.AgesOutOfRange += c.Rows
		}
		for _, c := range s.Reasons {
			r.Facts.QuarantineReasons[c.Reason] += c.Rows
		}
		sorted += rowsIn(s.Ranges)
	}
	for _, s := range deduplicated {
		r.Dispositions.Add(s.Dispositions)
		r.Facts.Conflicting += s.Conflicting
		received += s.RowsRead
		passed += rowsIn(s.Ranges)
	}
	for i, s := range scored {
		if i == 0 || s.Reused == nil {
			r.Reused = s.Reused // only when all of them were
		}
		r.Dispositions.Add(s.Dispositions)
		r.Facts.Lowest += s.Facts.Lowest
		r.Facts.Supplement += s.Facts.Supplement
		r.Shards = append(r.Shards, s.Shard)
		if first := scored[0].Basis; first != nil && s.Basis != nil && *first != *s.Basis {
			return r, task.Permanent(fault.BadRequest, errors.New("the workers that scored the night have different tables or models: give them the same configuration and start it again"))
		}
		r.Basis, r.Code = s.Basis, s.Code
		taken += s.RowsRead
	}
	if sorted != received || passed != taken {
		return r, task.Permanent(fault.CountsDoNotReconcile, fmt.Errorf(
			"%s sorted by allegation and %s deduplicated, %s sorted by suspect and %s scored", text.Count(sorted, "row was", "rows were"),
			text.Count(received, "was", "were"), text.Count(passed, "was", "were"), text.Count(taken, "was", "were")))
	}
	return r, r.reconcile(p, r.Suspects())
}

func rowsIn(refs []schemas.ArtifactRef) (n int64) {
	for _, r := range refs {
		n += r.Rows
	}
	return n
}
