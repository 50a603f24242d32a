package nightly

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"harmstack/activities/failure"
	"harmstack/activities/ranking"
	"harmstack/activities/scoring"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// RankParams names the scored suspects.
type RankParams struct {
	Night    schemas.NightID     `json:"night"`
	Model    string              `json:"model,omitempty"`
	Suspects schemas.ArtifactRef `json:"suspects"`
}

// RankResult is everybody in order, and the stack.
type RankResult struct {
	Ranking  schemas.ArtifactRef `json:"ranking"`
	Stack    schemas.ArtifactRef `json:"stack"`
	StackCSV schemas.ArtifactRef `json:"stack_csv"`
}

// Done is the line of the stage table.
func (r RankResult) Done() (int64, string) {
	return r.Ranking.Rows, fmt.Sprintf("%d on the stack", r.Stack.Rows)
}

// Rank puts all suspects in order and writes ranking.parquet, stack.parquet and stack.csv.
func (a *Activities) Rank(ctx context.Context, p RankParams) (RankResult, error) {
	return stage(ctx, a, p.Night, func(rows *atomic.Int64) (r RankResult, err error) {
		model, err := loadModel(p.Model)
		if err != nil {
			return r, err
		}
		ranker := scoring.NewRanker(reference.Default(), model)
		err = read(ctx, a.Store, p.Suspects, func(batch []schemas.Suspect) error {
			rows.Add(int64(len(batch)))
			ranker.Add(batch)
			return nil
		})
		if err != nil {
			return r, err
		}
		var stack []schemas.Ranked
		r.Ranking, err = a.Store.Write(ctx, p.Night.Path()+"/"+schemas.RankingFile, schemas.RankingSchema, func(w io.Writer) (int64, error) {
			return ranking.WriteAll(w, func(yield func([]schemas.Ranked) error) error {
				return ranker.Ranking(ctx, func(batch []schemas.Ranked) error {
					for _, row := range batch {
						if int64(len(stack)) < model.Depth && row.Allegations >= model.MinimumAllegations {
							stack = append(stack, row)
						}
					}
					return yield(batch)
				})
			})
		})
		if err == nil && r.Ranking.Rows != p.Suspects.Rows {
			err = failure.Permanent(failure.CountsDoNotReconcile, fmt.Errorf("%d suspects were scored, %d are ranked", p.Suspects.Rows, r.Ranking.Rows))
		}
		if err == nil {
			r.Stack, err = a.Store.Write(ctx, p.Night.Path()+"/"+schemas.StackFile, schemas.RankingSchema, rowsOf(stack))
		}
		if err == nil {
			r.StackCSV, err = a.Store.Write(ctx, p.Night.Path()+"/"+schemas.StackCSVFile, schemas.RankingSchema, func(w io.Writer) (int64, error) {
				return ranking.WriteCSV(w, stack)
			})
		}
		return r, err
	})
}
