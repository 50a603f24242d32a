package pipeline

import (
	"context"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/schemas"
)

// Cases reads every row that names one of some people, whom it is given with their positions, and tells what became of
// each; with what of it is scored as contributions. It reads the rows three times, and holds those that it tells of and
// those that decide about them (contract, section 7).
func (n *Night) Cases(
	ctx context.Context,
	from Source,
	people map[string]int64,
) ([]schemas.Case, []schemas.Contribution, error) {
	search := scoring.NewSearch(n.options(), people)
	for _, pass := range search.Passes() {
		err := n.scan(ctx, from, pass.Columns, func() extract.Sink { return pass.New() }, nil)
		if err != nil {
			return nil, nil, err
		}
	}
	return search.Cases(ctx)
}

// WriteCases writes cases.parquet: of the stack, from the rows that were scored.
func (n *Night) WriteCases(ctx context.Context, from Source, stack []schemas.Ranked) (*schemas.ArtifactRef, error) {
	people := make(map[string]int64, len(stack))
	for _, r := range stack {
		people[r.SuspectID] = r.Position
	}
	cases, _, err := n.Cases(ctx, from, people)
	if err != nil {
		return nil, err
	}
	ref, err := n.write(ctx, schemas.CasesFile, schemas.CaseSchema, rowsOf(cases))
	return &ref, err
}
