package nightly

import (
	"context"
	"sync/atomic"

	"harmstack/activities/pipeline"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// RankParams names the scored suspects.
type RankParams struct {
	Night  schemas.NightID `json:"night"`
	Model  string          `json:"model,omitempty"`
	Shards []Shard         `json:"shards"`
	// Parts are the rows that were scored, for the cases; none, as from an older build: there are no cases.
	Parts []schemas.ArtifactRef `json:"parts,omitempty"`
	// Links are the person links by which those rows go; nil: there are none.
	Links *schemas.ArtifactRef `json:"links,omitempty"`
	Force bool                 `json:"force,omitempty"`
}

// RankResult is everybody in order, the stack, and what put its suspects there.
type RankResult struct {
	pipeline.Ranked
	Origin
}

func (r *RankResult) refs() []*schemas.ArtifactRef { return r.Refs() }

// Done is the line of the stage table.
func (r RankResult) Done() (int64, string) {
	note := text.Number(r.Cut.Stack) + " on the stack"
	if r.Cut.Contained > 0 {
		note += ", " + text.Number(r.Cut.Contained) + " in custody beside it"
	}
	return r.Ranking.Rows, note
}

// Rank merges the shards into one order and writes ranking.parquet, stack.parquet, stack.csv, contributions.parquet,
// stability.parquet and cases.parquet.
func (a *Activities) Rank(ctx context.Context, p RankParams) (RankResult, error) {
	n, basis, err := a.scoring(p.Night, p.Model)
	if err != nil {
		return RankResult{}, err
	}
	scored := ScoreResult{Shards: p.Shards}
	t := step{night: p.Night, stage: "rank", inputs: append(files(scored.refs()), withLinks(p.Parts, p.Links)...), force: p.Force,
		asOf: p.Night.AsOf, basis: basis, also: n.Stability.Named()}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r RankResult, err error) {
		if len(p.Shards) == 0 {
			return r, fault.New(
				fault.BadRequest,
				"no scored suspects are named, as by an older build: start the night again",
			)
		}
		shards, err := n.OpenShards(ctx, p.Shards)
		if err != nil {
			return r, err
		}
		defer shards.Close()
		see := func(batch []schemas.Ranked) error {
			rows.Add(int64(len(batch)))
			return nil
		}
		if len(p.Parts) == 0 { // an older build names none
			r.Ranked, _, _, err = n.Rank(ctx, shards, shards.Candidates, shards.Contenders, see)
		} else if n.Links, err = pipeline.LoadLinks(ctx, a.Store, p.Links, n.Tables); err == nil {
			r.Ranked, _, _, err = n.RankWithCases(ctx, a.parts(p.Parts), shards, shards.Candidates, shards.Contenders, see)
		}
		if err == nil && r.Ranking.Rows != scored.Suspects() {
			err = fault.Errorf(
				fault.CountsDoNotReconcile,
				"%s scored, %s ranked",
				text.Count(scored.Suspects(), "suspect was", "suspects were"),
				text.Count(r.Ranking.Rows, "is", "are"),
			)
		}
		return r, err
	})
}
