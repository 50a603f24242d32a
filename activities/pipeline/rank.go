package pipeline

import (
	"context"
	"errors"
	"io"

	"harmstack/activities/nights"
	"harmstack/activities/scoring"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
)

// Ranked is everybody in order, the stack, and what put its suspects there.
type Ranked struct {
	Ranking       schemas.ArtifactRef `json:"ranking"`
	Cut           schemas.Cut         `json:"cut"`
	Stack         schemas.ArtifactRef `json:"stack"`
	StackCSV      schemas.ArtifactRef `json:"stack_csv"`
	Contributions schemas.ArtifactRef `json:"contributions"`
	// Stability is who is among the first under other models, and CompareWith which those are; nil: with none.
	Stability   *schemas.ArtifactRef `json:"stability,omitempty"`
	CompareWith *schemas.Named       `json:"compare_with,omitempty"`
	// Standings are the rows of Stability.
	Standings []schemas.Standing `json:"-"`
	// Cases is what RankWithCases left; nil: nothing, as in a night of an older build.
	Cases *schemas.ArtifactRef `json:"cases,omitempty"`
	// Enter is who would enter the stack if what is left out counted, by reason; nil: as Cases.
	Enter []schemas.WouldEnter `json:"would_enter,omitempty"`
}

// Refs are its files.
func (r *Ranked) Refs() []*schemas.ArtifactRef {
	refs := []*schemas.ArtifactRef{&r.Ranking, &r.Stack, &r.StackCSV, &r.Contributions}
	if r.Stability != nil {
		refs = append(refs, r.Stability)
	}
	if r.Cases != nil {
		refs = append(refs, r.Cases)
	}
	return refs
}

// Ranking is everybody who was scored: of one engine scoring.Scores, of several shards Scored.
type Ranking interface {
	// Ranking yields them by position; the rows are valid only during the call.
	Ranking(ctx context.Context, yield func([]schemas.Ranked) error) error
}

// Rank writes ranking.parquet, stack.parquet, stack.csv, contributions.parquet and stability.parquet. see looks at every row of the
// ranking as it is written. It also returns the rows of the stack and their contributions.
func (n *Night) Rank(
	ctx context.Context,
	everybody Ranking,
	candidates []schemas.Contribution,
	contenders []schemas.Contender,
	see func([]schemas.Ranked) error,
) (
	r Ranked, stack []schemas.Ranked, contributions []schemas.Contribution, err error) {
	top, standings := scoring.NewStack(n.Model), scoring.NewStandings(len(n.Stability.Models), n.Model.Depth, contenders)
	r.Ranking, err = n.write(ctx, schemas.RankingFile, schemas.RankingSchema, func(w io.Writer) (int64, error) {
		return rowfile.WriteAll(w, func(yield func([]schemas.Ranked) error) error {
			return everybody.Ranking(ctx, func(rows []schemas.Ranked) error {
				standings.Place(rows)
				return errors.Join(top.Add(rows), see(rows), yield(rows))
			})
		})
	})
	if err != nil {
		return r, nil, nil, err
	}
	r.Cut, stack, contributions = top.Cut, top.Rows, top.Contributions(candidates)
	if r.Stack, err = n.write(ctx, schemas.StackFile, schemas.RankingSchema, rowsOf(stack)); err != nil {
		return r, nil, nil, err
	}
	r.StackCSV, err = n.write(
		ctx,
		schemas.StackCSVFile,
		schemas.RankingSchema,
		func(w io.Writer) (int64, error) { return rowfile.WriteCSV(w, stack) },
	)
	if err != nil {
		return r, nil, nil, err
	}
	r.Contributions, err = n.write(ctx, schemas.ContributionsFile, schemas.ContributionSchema, rowsOf(contributions))
	if err != nil || len(n.Stability.Models) == 0 {
		return r, stack, contributions, err
	}
	named := n.Stability.Named()
	ref, err := n.write(ctx, schemas.StabilityFile, schemas.StabilitySchema, func(w io.Writer) (int64, error) {
		return nights.WriteStandings(w, n.Stability, standings.Rows)
	})
	r.Stability, r.CompareWith, r.Standings = &ref, &named, standings.Rows
	return r, stack, contributions, err
}
