package pipeline

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"harmstack/activities/nights"
	"harmstack/activities/nights/casefile"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
)

// Explanation is why somebody stands where they do in the ranking of a published night (contract, section 10).
type Explanation struct {
	Suspect       schemas.Ranked `json:"suspect"`
	Contributions []Explained    `json:"contributions"`
	// OnStack: they are on the stack, or beside it.
	OnStack bool `json:"on_stack"`
	// BelowCut is the first as_of for which age alone has taken the score of somebody of the stack below tonight's cut;
	// nil: not within a year, or nobody of the stack.
	BelowCut *schemas.Date `json:"below_cut_on"`
	// Models are those that the night is compared with, and Standing is under which of them they are among the first;
	// nil: under none, or the night is compared with none.
	Models   []string          `json:"models,omitempty"`
	Standing *schemas.Standing `json:"standing"`
	Case     casefile.File     `json:"case"`
	// Lacking says in words what is not told, and why.
	Lacking []string `json:"lacking,omitempty"`
}

// Explained is a scored allegation.
type Explained struct {
	schemas.Contribution
	// Without is which position they would have without it; nil: nobody would stand there, for it is the only one, or
	// the night's model is not at hand.
	Without *int64 `json:"position_without"`
}

// Explain explains somebody's place in a published night: by id, also by one that was merged into theirs, or by
// #position. Tables and model must be the night's; a nil Tables says that they are not at hand: then nothing is scored
// again. The night takes the links that it kept.
func (n *Night) Explain(ctx context.Context, m schemas.Manifest, name string) (e Explanation, err error) {
	ranking, err := nights.OpenRanking(ctx, n.Store, m)
	if err != nil {
		return e, err
	}
	defer ranking.Close()
	if e.Suspect, err = n.named(ctx, m, ranking, name); err != nil {
		return e, err
	}
	if n.HideRestricted && e.Suspect.Restricted {
		return Explanation{}, fault.Errorf(
			fault.BadRequest, "nobody of that name is in the ranking of %s, revision %d", m.AsOf, m.Revision)
	}
	stack, err := nights.ReadFile[schemas.Ranked](ctx, n.Store, m, schemas.StackFile)
	if err != nil {
		return e, err
	}
	e.OnStack = slices.ContainsFunc(stack, func(r schemas.Ranked) bool { return r.Position == e.Suspect.Position })
	rows, list, err := n.rowsOfCase(ctx, m, &e)
	if err != nil {
		return e, err
	}
	if n.HideRestricted {
		restricted, err := ranking.Restricted(ctx)
		if err != nil {
			return e, err
		}
		rows = slices.DeleteFunc(rows, func(c schemas.Case) bool { return hidden(&c, restricted) })
	}
	e.Case = casefile.Of(e.Suspect.SuspectID, rows)
	for _, c := range list {
		e.Contributions = append(e.Contributions, Explained{Contribution: c})
	}
	var standings []schemas.Standing
	if e.Models, standings, err = nights.Standings(ctx, n.Store, m); err != nil {
		return e, err
	}
	for _, s := range standings {
		if s.SuspectID == e.Suspect.SuspectID {
			e.Standing = &s
		}
	}
	if n.Tables == nil {
		e.Lacking = append(e.Lacking, "the night's model or tables are not those of this program: "+
			"what would be without an allegation, and when age takes them below the cut, is not told")
		return e, nil
	}
	if e.OnStack {
		on, ok, err := scoring.BelowCut(&n.Model, m.AsOf, list, m.Cut.Score)
		if err != nil {
			return e, err
		}
		if ok {
			e.BelowCut = &on
		}
	}
	return e, n.without(ctx, ranking, &e, list)
}

// Find is somebody's row in the ranking of a published night, by id, also by one that was merged into theirs, or by
// #position. Its error, when there is nobody, is fault.BadRequest and does not repeat the name.
func (n *Night) Find(ctx context.Context, m schemas.Manifest, name string) (row schemas.Ranked, err error) {
	ranking, err := nights.OpenRanking(ctx, n.Store, m)
	if err != nil {
		return row, err
	}
	defer ranking.Close()
	return n.named(ctx, m, ranking, name)
}

func (n *Night) named(
	ctx context.Context, m schemas.Manifest, ranking *nights.Ranking, name string,
) (row schemas.Ranked, err error) {
	if position, ok := asPosition(name); ok {
		if row, ok, err := ranking.RowOf(ctx, position); err != nil || ok {
			return row, err
		}
	}
	if err := n.takeLinks(ctx, m); err != nil {
		return row, err
	}
	found, err := ranking.Find(ctx, string(n.Links.End([]byte(name))))
	switch {
	case err != nil:
		return row, err
	case len(found) == 0:
		return row, fault.Errorf(
			fault.BadRequest, "nobody of that name is in the ranking of %s, revision %d", m.AsOf, m.Revision)
	}
	return found[0], nil
}

// asPosition reads #12.
func asPosition(name string) (n int64, ok bool) {
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && name == "#"+strconv.FormatInt(n, 10)
}

// hidden tells whether a row tells of somebody who is restricted: it is of restricted handling, or is against one of
// those.
func hidden(c *schemas.Case, restricted map[string]bool) bool {
	suspect := c.PersonID
	if c.Role == schemas.RoleVictim {
		suspect = ""
		if c.OtherID != nil {
			suspect = *c.OtherID
		}
	}
	return c.Restricted() || restricted[suspect]
}

// takeLinks takes the links that the night kept. Where their time is over everybody is who they are called.
func (n *Night) takeLinks(ctx context.Context, m schemas.Manifest) (err error) {
	tables := n.Tables
	if tables == nil {
		tables = reference.Default()
	}
	if n.Links, err = LoadLinks(ctx, n.Store, KeptLinks(m), tables); errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// rowsOfCase are the rows that name the suspect, with those of the rest of the stack, and what of theirs is scored: as
// the night left them, or else from the rows that it kept.
func (n *Night) rowsOfCase(
	ctx context.Context,
	m schemas.Manifest,
	e *Explanation,
) (rows []schemas.Case, own []schemas.Contribution, err error) {
	id, position := e.Suspect.SuspectID, e.Suspect.Position
	if e.OnStack {
		all, err := nights.ReadFile[schemas.Contribution](ctx, n.Store, m, schemas.ContributionsFile)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range all {
			if c.Position == position {
				own = append(own, c)
			}
		}
	}
	if rows, err = nights.Cases(ctx, n.Store, m); err != nil {
		return nil, nil, err
	}
	if slices.ContainsFunc(rows, func(c schemas.Case) bool { return c.PersonID == id }) {
		return rows, own, nil
	}
	found, list, err := n.casesAgain(ctx, m, map[string]int64{id: position})
	if err != nil {
		if !e.OnStack {
			return nil, nil, err
		}
		e.Lacking = append(e.Lacking, "the rows that did not count: "+err.Error())
		return rows, own, nil
	}
	if !e.OnStack {
		own = list
	}
	return append(rows, found...), own, nil
}

// casesAgain finds rows of people in those that a night kept.
func (n *Night) casesAgain(
	ctx context.Context,
	m schemas.Manifest,
	people map[string]int64,
) ([]schemas.Case, []schemas.Contribution, error) {
	if n.Tables == nil {
		return nil, nil, fault.New(
			fault.BadRequest,
			"the night was scored by another model or other tables than those of this program",
		)
	}
	parts, err := KeptParts(ctx, n.Store, m)
	if err != nil {
		return nil, nil, err
	}
	if err := n.takeLinks(ctx, m); err != nil {
		return nil, nil, err
	}
	cases, list, err := n.Cases(ctx, parts, people)
	return cases, list, nights.WhyMissing(ctx, n.Store, m.NightID, err)
}

// without finds the position that the suspect would have without each allegation.
func (n *Night) without(
	ctx context.Context, ranking *nights.Ranking, e *Explanation, list []schemas.Contribution,
) error {
	for i := range list {
		p, err := scoring.PlaceOf(&n.Model, slices.Concat(list[:i], list[i+1:]))
		if err != nil {
			return err
		}
		if p.Nobody() {
			continue
		}
		above, err := ranking.Above(ctx, p.Before)
		if err != nil {
			return err
		}
		if !p.Before(&e.Suspect) {
			above-- // it is not above itself
		}
		e.Contributions[i].Without = new(above + 1)
	}
	return nil
}
