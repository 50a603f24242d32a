package nightly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"harmstack/activities/nights"
	"harmstack/activities/scoring"
	"harmstack/activities/store/rowfile"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// RankParams names the scored suspects.
type RankParams struct {
	Night  schemas.NightID `json:"night"`
	Model  string          `json:"model,omitempty"`
	Shards []Shard         `json:"shards"`
	Force  bool            `json:"force,omitempty"`
}

// RankResult is everybody in order, the stack, and what put its suspects there.
type RankResult struct {
	Ranking       schemas.ArtifactRef `json:"ranking"`
	Cut           schemas.Cut         `json:"cut"`
	Stack         schemas.ArtifactRef `json:"stack"`
	StackCSV      schemas.ArtifactRef `json:"stack_csv"`
	Contributions schemas.ArtifactRef `json:"contributions"`
	Origin
}

func (r *RankResult) refs() []*schemas.ArtifactRef {
	return []*schemas.ArtifactRef{&r.Ranking, &r.Stack, &r.StackCSV, &r.Contributions}
}

// Done is the line of the stage table.
func (r RankResult) Done() (int64, string) {
	return r.Ranking.Rows, text.Number(r.Stack.Rows) + " on the stack"
}

// Rank merges the shards into one order and writes ranking.parquet, stack.parquet, stack.csv and
// contributions.parquet.
func (a *Activities) Rank(ctx context.Context, p RankParams) (RankResult, error) {
	basis, err := a.basis(p.Model)
	if err != nil {
		return RankResult{}, err
	}
	t := &step{night: p.Night, stage: "rank", inputs: files((&ScoreResult{Shards: p.Shards}).refs()), force: p.Force, basis: basis}
	return stage(ctx, a, t, func(rows *atomic.Int64) (r RankResult, err error) {
		model, err := loadModel(p.Model)
		if err != nil {
			return r, err
		}
		if len(p.Shards) == 0 {
			return r, task.Permanent(fault.BadRequest, errors.New("no scored suspects are named, as by an older build: start the night again"))
		}
		scored, err := a.openShards(ctx, p.Shards)
		if err != nil {
			return r, err
		}
		defer scored.close()
		stack := scoring.NewStack(model)
		write := func(file, schema string, write func(io.Writer) (int64, error)) (schemas.ArtifactRef, error) {
			return a.Store.Write(ctx, p.Night.Path()+"/"+file, schema, write)
		}
		r.Ranking, err = write(schemas.RankingFile, schemas.RankingSchema, func(w io.Writer) (int64, error) {
			return rowfile.WriteAll(w, func(yield func([]schemas.Ranked) error) error {
				return scoring.Rank(ctx, a.tables(), scored.sums, scored.suspects, func(batch []schemas.Ranked) error {
					rows.Add(int64(len(batch)))
					stack.Add(batch)
					return yield(batch)
				})
			})
		})
		if err != nil {
			return r, err
		}
		if n := (ScoreResult{Shards: p.Shards}).Suspects(); r.Ranking.Rows != n {
			return r, task.Permanent(fault.CountsDoNotReconcile, fmt.Errorf("%s scored, %s ranked", text.Count(n, "suspect was", "suspects were"), text.Count(r.Ranking.Rows, "is", "are")))
		}
		r.Cut = stack.Cut
		if r.Stack, err = write(schemas.StackFile, schemas.RankingSchema, rowsOf(stack.Rows)); err != nil {
			return r, err
		}
		r.StackCSV, err = write(schemas.StackCSVFile, schemas.RankingSchema, func(w io.Writer) (int64, error) { return rowfile.WriteCSV(w, stack.Rows) })
		if err != nil {
			return r, err
		}
		r.Contributions, err = write(schemas.ContributionsFile, schemas.ContributionSchema, rowsOf(stack.Contributions(scored.candidates)))
		return r, err
	})
}

// shards are scored suspects, open for reading.
type shards struct {
	sums       map[int64]int64
	candidates []schemas.Contribution
	suspects   []scoring.SuspectReader
	open       []io.Closer
}

func (s *shards) close() {
	for _, c := range slices.Backward(s.open) {
		c.Close()
	}
}

func (a *Activities) openShards(ctx context.Context, list []Shard) (s *shards, err error) {
	s = &shards{sums: map[int64]int64{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, shard := range list {
		err := nights.ReadRows(ctx, a.Store, shard.Sums, func(batch []schemas.SumCount) error {
			for _, c := range batch {
				s.sums[c.SumTenths] += c.Suspects
			}
			return nil
		})
		if err != nil {
			return s, err
		}
		err = nights.ReadRows(ctx, a.Store, shard.Candidates, func(batch []schemas.Contribution) error {
			s.candidates = append(s.candidates, batch...)
			return nil
		})
		if err != nil {
			return s, err
		}
		artifact, err := a.Store.Open(ctx, shard.Suspects)
		if err != nil {
			return s, err
		}
		s.open = append(s.open, artifact)
		suspects, err := rowfile.NewReader[schemas.Suspect](artifact, artifact.Size())
		if err != nil {
			return s, err
		}
		s.open, s.suspects = append(s.open, suspects), append(s.suspects, suspects)
	}
	return s, nil
}
