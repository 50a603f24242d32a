package nightly

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"go.temporal.io/sdk/activity"

	"harmstack/activities/pipeline"
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
	// Links are the person links; nil: there are none. The later stages get rows whose ids are replaced already.
	Links *schemas.ArtifactRef `json:"links,omitempty"`
	// Shard is which of the Shards this is.
	Shard  int  `json:"shard"`
	Shards int  `json:"shards"`
	Force  bool `json:"force,omitempty"`
}

// ScatterResult is the rows of some parts, by ranges of allegations.
type ScatterResult struct {
	RowsRead    int64 `json:"rows_read"`
	Quarantined int64 `json:"quarantined"`
	// Linked counts the rows of which person links replaced an id.
	Linked int64 `json:"linked,omitempty"`
	// OutOfRange, by column, and Reasons are parts of the facts. Lists: a workflow must not go through a map.
	OutOfRange   []ReasonCount         `json:"out_of_range,omitempty"`
	Placeholders []ReasonCount         `json:"placeholders,omitempty"`
	Reasons      []ReasonCount         `json:"reasons,omitempty"`
	Ranges       []schemas.ArtifactRef `json:"ranges"`
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
	OlderStands  int64                 `json:"older_stands,omitempty"`
	BlindSpot    schemas.BlindSpot     `json:"blind_spot,omitzero"`
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
	Resolutions  []ReasonCount        `json:"resolutions,omitempty"`
	Shard        Shard                `json:"shard"`
	Basis        *schemas.Basis       `json:"basis,omitempty"`
	Origin
}

func (r *ShardResult) refs() []*schemas.ArtifactRef { return r.Shard.Refs() }

// Done is the line of the stage table.
func (r ShardResult) Done() (int64, string) { return r.RowsRead, "" }

// Scatter reads its parts once.
func (a *Activities) Scatter(ctx context.Context, p ScatterParams) (ScatterResult, error) {
	shard := ShardParams{
		Night:  p.Night,
		Model:  p.Model,
		Inputs: p.Parts,
		Shard:  p.Shard,
		Shards: p.Shards,
		Force:  p.Force,
	}
	return shardStage(
		ctx,
		a,
		"scatter",
		shard,
		p.Links,
		func(n *pipeline.Night, engine *scoring.Engine, _ schemas.Basis, rows *atomic.Int64) (r ScatterResult, err error) {
			if err := n.Feed(ctx, engine, a.parts(p.Parts), rows.Store); err != nil {
				return r, err
			}
			counts := engine.Counts()
			r = ScatterResult{
				RowsRead:     counts.RowsRead,
				Quarantined:  counts.Quarantined(),
				Linked:       counts.Linked,
				OutOfRange:   listed(counts.OutOfRange),
				Placeholders: listed(counts.Placeholders),
				Reasons:      listed(counts.QuarantineReasons),
			}
			r.Ranges, err = n.Shuffle(ctx, engine, attemptFolder(ctx, "scatter", shard), p.Shards)
			return r, err
		},
	)
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
	return shardStage(
		ctx,
		a,
		"deduplicate",
		p,
		nil,
		func(n *pipeline.Night, engine *scoring.Engine, _ schemas.Basis, rows *atomic.Int64) (r DeduplicateResult, err error) {
			if err := n.Receive(ctx, engine, p.Inputs, rows.Store); err != nil {
				return r, err
			}
			deduplicated, err := engine.Deduplicate(ctx, n.Threads)
			if err != nil {
				return r, err
			}
			r = DeduplicateResult{
				RowsRead:     deduplicated.RowsRead,
				Dispositions: deduplicated.Dispositions,
				Conflicting:  deduplicated.Conflicting,
				OlderStands:  deduplicated.OlderStands,
				BlindSpot:    deduplicated.BlindSpot,
			}
			r.Ranges, err = n.Shuffle(ctx, engine, attemptFolder(ctx, "deduplicate", p), p.Shards)
			return r, err
		},
	)
}

// ScoreShard scores the suspects of a range.
func (a *Activities) ScoreShard(ctx context.Context, p ShardParams) (ShardResult, error) {
	return shardStage(
		ctx,
		a,
		"score-shard",
		p,
		nil,
		func(n *pipeline.Night, engine *scoring.Engine, basis schemas.Basis, rows *atomic.Int64) (r ShardResult, err error) {
			if err := n.Receive(ctx, engine, p.Inputs, rows.Store); err != nil {
				return r, err
			}
			scores, err := engine.Finish(ctx, n.Threads)
			if err != nil {
				return r, err
			}
			r = ShardResult{
				RowsRead:     scores.RowsRead,
				Dispositions: scores.Dispositions,
				Facts:        scores.Facts,
				Resolutions:  listed(scores.Facts.Resolutions),
				Basis:        &basis,
			}
			r.Shard, err = n.WriteShard(ctx, fmt.Sprintf("%s/score-%03d", p.Night.WorkPath(), p.Shard), scores)
			return r, err
		},
	)
}

// shardStage is a stage that one of several workers does, with an engine of its own.
func shardStage[R any, P result[R]](
	ctx context.Context,
	a *Activities,
	name string,
	p ShardParams,
	links *schemas.ArtifactRef,
	work func(n *pipeline.Night, engine *scoring.Engine, basis schemas.Basis, rows *atomic.Int64) (R, error),
) (none R, err error) {
	n, basis, err := a.scoring(p.Night, p.Model)
	if err != nil {
		return none, err
	}
	t := step{
		night:  p.Night,
		stage:  name,
		inputs: withLinks(p.Inputs, links),
		force:  p.Force,
		asOf:   p.Night.AsOf,
		basis:  basis,
		also:   []any{p.Shard, p.Shards, n.Stability.Named()},
		part:   fmt.Sprint(p.Shard),
	}
	return stage[R, P](ctx, a, t, func(rows *atomic.Int64) (r R, err error) {
		if n.Links, err = pipeline.LoadLinks(ctx, a.Store, links, n.Tables); err != nil {
			return r, err
		}
		engine, err := n.NewEngine(nil, false)
		if err != nil {
			return r, err
		}
		defer closing(engine, &err)
		return work(n, engine, basis, rows)
	})
}

// attemptFolder is where an attempt leaves its ranges. Each has a folder of its own: one that was given up but is still
// writing must not touch the files of the next.
func attemptFolder(ctx context.Context, stage string, p ShardParams) string {
	return fmt.Sprintf("%s/%s-%03d-attempt-%d", p.Night.WorkPath(), stage, p.Shard, activity.GetInfo(ctx).Attempt)
}

// Combine adds up what the shards of a night found, and makes sure that no row was lost on the way. It
// only computes: a workflow may call it.
func Combine(
	p ScoreParams,
	scattered []ScatterResult,
	deduplicated []DeduplicateResult,
	scored []ShardResult,
) (r ScoreResult, err error) {
	var sorted, received, passed, taken int64
	r.Facts.ExtraColumns = int64(p.ExtraColumns)
	r.Facts.QuarantineReasons = map[string]int64{}
	if p.Links != nil {
		r.Facts.Links = &schemas.LinkFacts{Links: p.Links.Rows}
	}
	for _, s := range scattered {
		if p.Links != nil {
			r.Facts.Links.RowsChanged += s.Linked
		}
		r.RowsRead += s.RowsRead
		r.Dispositions[schemas.Quarantined] += s.Quarantined
		addCounts(&r.Facts.OutOfRange, s.OutOfRange)
		addCounts(&r.Facts.Placeholders, s.Placeholders)
		addCounts(&r.Facts.QuarantineReasons, s.Reasons)
		sorted += rowsIn(s.Ranges)
	}
	for _, s := range deduplicated {
		r.Dispositions.Add(s.Dispositions)
		r.Facts.Conflicting += s.Conflicting
		r.Facts.OlderStands += s.OlderStands
		r.Facts.BlindSpot.Add(s.BlindSpot)
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
		r.Facts.URNContradicts += s.Facts.URNContradicts
		r.Facts.UnknownBoroughs += s.Facts.UnknownBoroughs
		addCounts(&r.Facts.Resolutions, s.Resolutions)
		r.Shards = append(r.Shards, s.Shard)
		if first := scored[0].Basis; first != nil && s.Basis != nil && *first != *s.Basis {
			return r, task.Permanent(
				fault.BadRequest,
				errors.New(
					"the workers that scored the night have different tables or models: give them the same configuration and start it again",
				),
			)
		}
		r.Basis, r.Code = s.Basis, s.Code
		taken += s.RowsRead
	}
	if sorted != received || passed != taken {
		return r, task.Permanent(fault.CountsDoNotReconcile, fmt.Errorf(
			"%s sorted by allegation and %s deduplicated, %s sorted by suspect and %s scored",
			text.Count(sorted, "row was", "rows were"),
			text.Count(received, "was", "were"),
			text.Count(passed, "was", "were"),
			text.Count(taken, "was", "were"),
		))
	}
	return r, task.Of(r.reconcile(p, r.Suspects()))
}

func addCounts(to *map[string]int64, counts []ReasonCount) {
	for _, c := range counts {
		schemas.AddCount(to, c.Reason, c.Rows)
	}
}

func rowsIn(refs []schemas.ArtifactRef) (n int64) {
	for _, r := range refs {
		n += r.Rows
	}
	return n
}
