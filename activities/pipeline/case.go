package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

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
	if err := n.search(ctx, from, search); err != nil {
		return nil, nil, err
	}
	return search.Cases(ctx)
}

func (n *Night) search(ctx context.Context, from Source, search *scoring.Search) error {
	for _, pass := range search.Passes() {
		if err := n.scan(ctx, from, pass.Columns, func() extract.Sink { return pass.New() }, nil); err != nil {
			return err
		}
	}
	return nil
}

// RankWithCases does what Rank does and writes cases.parquet from the rows that were scored. Before and after it finds
// how many would enter the stack if what is left out counted.
func (n *Night) RankWithCases(
	ctx context.Context,
	from Source,
	everybody Ranking,
	candidates []schemas.Contribution,
	contenders []schemas.Contender,
	see func([]schemas.Ranked) error,
) (
	r Ranked, stack []schemas.Ranked, contributions []schemas.Contribution, err error) {
	entrants, err := n.Entrants(ctx, from)
	if err != nil {
		return r, nil, nil, err
	}
	r, stack, contributions, err = n.Rank(ctx, everybody, candidates, contenders, func(rows []schemas.Ranked) error {
		return errors.Join(see(rows), entrants.See(rows))
	})
	if err == nil {
		r.Cases, r.Enter, err = n.WriteCases(ctx, from, stack, entrants)
	}
	return r, stack, contributions, err
}

// WriteCases writes cases.parquet: of the stack, from the rows that were scored. In the same readings it finds how many
// would enter the stack if what is left out counted, by reason, with entrants that have seen the rows and the ranking.
// Where that fails for a reason it says so and goes on.
func (n *Night) WriteCases(
	ctx context.Context, from Source, stack []schemas.Ranked, entrants *scoring.Entrants,
) (*schemas.ArtifactRef, []schemas.WouldEnter, error) {
	people := make(map[string]int64, len(stack))
	for _, r := range stack {
		people[r.SuspectID] = r.Position
	}
	search := scoring.NewSearch(n.options(), people)
	many := entrants.Many()
	if !many {
		search.Beside(entrants.Candidate)
	}
	if err := n.search(ctx, from, search); err != nil {
		return nil, nil, err
	}
	cases, _, err := search.Cases(ctx)
	if err != nil {
		return nil, nil, err
	}
	ref, err := n.write(ctx, schemas.CasesFile, schemas.CaseSchema, rowsOf(cases))
	if err != nil {
		return nil, nil, err
	}
	var enter []schemas.WouldEnter
	for _, reason := range Blind {
		e := schemas.WouldEnter{Reason: reason.String()}
		if many {
			var again IfCounted
			again, err = n.IfCounted(ctx, from, schemas.Manifest{}, stack, reason)
			e.Suspects = again.Enter
		} else {
			e.Suspects, err = entrants.Count(ctx, search, reason)
		}
		if stopped := ctx.Err(); stopped != nil {
			return nil, nil, stopped
		}
		if err != nil { // what would be is not worth the night that is
			e.NotCounted = whyNot(err)
		}
		enter = append(enter, e)
	}
	return &ref, enter, nil
}

// whyNot is an error as a manifest may hold it, which names no path of a machine.
func whyNot(err error) string {
	if path := new(fs.PathError); errors.As(err, &path) {
		err = fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	return err.Error()
}

// Entrants reads the rows for who might enter the stack if what is left out counted. They must see the ranking, then
// WriteCases counts them.
func (n *Night) Entrants(ctx context.Context, from Source) (*scoring.Entrants, error) {
	e := scoring.NewEntrants(n.options())
	return e, n.scan(ctx, from, scoring.EntrantColumns, func() extract.Sink { return e.NewIngester() }, nil)
}
