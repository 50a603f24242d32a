// Package compare tells who entered, left or moved between the stacks of two nights, and why, in words: `starter diff`
// and the desk's page of changes.
//
// It must not know who asks, nor what of it they may see: restricted suspects are among the changes, and marked.
package compare

import (
	"cmp"
	"context"
	"slices"

	"harmstack/activities/nights"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Side is one of two nights, or a folder that stands for one.
type Side struct {
	Name     string
	In       *store.Store
	Manifest schemas.Manifest
	// Rows is the published night that keeps its rows; nil: nobody does.
	Rows  *schemas.NightID
	Stack []schemas.Ranked

	own    map[string][]schemas.Contribution // by suspect
	ranked map[string]schemas.Ranked         // of those who are looked for
}

// Load reads the stack of a night, and what put its suspects there.
func Load(ctx context.Context, st *store.Store, m schemas.Manifest) (*Side, error) {
	s := &Side{Name: m.NightID.String(), In: st, Manifest: m,
		own: map[string][]schemas.Contribution{}, ranked: map[string]schemas.Ranked{}}
	var err error
	if s.Stack, err = nights.ReadFile[schemas.Ranked](ctx, st, m, schemas.StackFile); err != nil {
		return nil, err
	}
	all, err := nights.ReadFile[schemas.Contribution](ctx, st, m, schemas.ContributionsFile)
	for _, row := range all {
		s.own[row.SuspectID] = append(s.own[row.SuspectID], row)
	}
	for _, r := range s.Stack {
		s.ranked[r.SuspectID] = r
	}
	return s, err
}

// Nights are two nights to compare.
type Nights struct {
	Before, After *Side
	// Basis finds the tables and the model that a night went by; nil tables: they, or the model, are not at hand.
	Basis func(m schemas.Manifest) (*reference.Tables, schemas.Model, error)
	// Kept opens the store whose nights keep rows, to score them again for the allegations of those who are on one of the
	// two stacks only. Nil: nothing is scored again, and of those people the rankings alone tell.
	Kept func() (*store.Store, error)
	Temp string
	// List is what changed, when that is known already: the night's own changes.
	List []schemas.Change
}

// Change is a schemas.Change and what it comes from.
type Change struct {
	schemas.Change
	// Before and After are where the suspect stands in the two rankings, on the stack or below; nil: in neither place.
	Before *schemas.Ranked `json:"before"`
	After  *schemas.Ranked `json:"after"`
	// Explained: Terms are all that differs of the suspect's own. Otherwise one night's allegations are not known.
	Explained bool   `json:"explained"`
	Terms     []Term `json:"terms"`
	Why       string `json:"why"` // Words, with ids
}

// Term is one thing that differs between two scores of a suspect.
type Term struct {
	Allegation string `json:"allegation_id,omitempty"`
	// What is new, gone, aged_out, weight, age, model or frequency.
	What   string  `json:"what"`
	Before float64 `json:"before"` // harm days, age in days, recency or factor
	After  float64 `json:"after"`
	Days   float64 `json:"score_days"` // what it adds to the score before frequency, in days
}

// Changes are what changed, in the order of nights.Comparison, those who stayed included.
func (c Nights) Changes(ctx context.Context) ([]Change, error) {
	a, b := c.Before, c.After
	_, model, err := c.Basis(b.Manifest)
	if err != nil {
		return nil, err
	}
	window, list := model.WindowDays, c.List
	if list == nil {
		if list, err = c.list(ctx, window); err != nil {
			return nil, err
		}
	}
	known := [2]bool{}
	for i, s := range []*Side{a, b} {
		if known[i], err = c.complete(ctx, s, []*Side{b, a}[i]); err != nil {
			return nil, err
		}
	}
	changes := make([]Change, len(list))
	for i, entry := range list {
		one := Change{Change: entry, Terms: []Term{}}
		id := entry.SuspectID
		// Whoever is restricted in one of the two is so in what is told of both.
		if r, ok := a.ranked[id]; ok {
			one.Before, one.Restricted = &r, one.Restricted || r.Restricted
		}
		if r, ok := b.ranked[id]; ok {
			one.After, one.Restricted = &r, one.Restricted || r.Restricted
		}
		// Whoever is not ranked has no allegation that counts.
		one.Explained = (one.Before == nil || a.own[id] != nil || known[0]) &&
			(one.After == nil || b.own[id] != nil || known[1])
		if one.Explained {
			one.Terms = terms(a.own[id], b.own[id], one.Before, one.After, b.Manifest.AsOf, window)
		}
		one.Why = one.Words(true)
		changes[i] = one
	}
	return changes, nil
}

func (c Nights) list(ctx context.Context, window int) ([]schemas.Change, error) {
	var contributions []schemas.Contribution
	for _, own := range c.Before.own {
		contributions = append(contributions, own...)
	}
	still, err := c.After.find(ctx, c.Before.Stack)
	if err != nil {
		return nil, err
	}
	ranked := func(yield func(schemas.Ranked, error) bool) {
		for _, r := range still {
			if !yield(r, nil) {
				return
			}
		}
	}
	return nights.Comparison{Previous: c.Before.Stack, Contributions: contributions, Stack: c.After.Stack, Ranking: ranked,
		AsOf: c.After.Manifest.AsOf, WindowDays: cmp.Or(window, 365)}.Changes()
}

// find is the rows of the ranking of those of another stack who are not on this one, by position.
func (s *Side) find(ctx context.Context, other []schemas.Ranked) ([]schemas.Ranked, error) {
	var ids []string
	for _, r := range other {
		if !slices.ContainsFunc(s.Stack, func(own schemas.Ranked) bool { return own.SuspectID == r.SuspectID }) {
			ids = append(ids, r.SuspectID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	ranking, err := nights.OpenRanking(ctx, s.In, s.Manifest)
	if err != nil {
		return nil, err
	}
	defer ranking.Close()
	return ranking.Find(ctx, ids...)
}

// complete finds the allegations of those who are on the other's stack and not on this one: where its rows, its tables
// and its model are at hand it scores the rows again, as deep as the last of them stands.
func (c Nights) complete(ctx context.Context, s, other *Side) (bool, error) {
	found, err := s.find(ctx, other.Stack)
	if err != nil || len(found) == 0 {
		return err == nil, err // whoever is not ranked has nothing that counts
	}
	for _, r := range found {
		s.ranked[r.SuspectID] = r
	}
	if c.Kept == nil || s.Rows == nil {
		return false, nil
	}
	tables, model, err := c.Basis(s.Manifest)
	if err != nil || tables == nil {
		return false, err
	}
	kept, err := c.Kept()
	if err != nil {
		return false, nil // no store is named, and so its rows are not at hand
	}
	model.Depth, model.MinimumAllegations = found[len(found)-1].Position, 1
	return true, s.again(ctx, kept, pipeline.Night{
		NightID: s.Manifest.NightID,
		Tables:  tables,
		Model:   model,
		Threads: scoring.Threads(),
		Temp:    c.Temp,
	}, found)
}

// again scores the rows that a night kept, for the allegations of some people.
func (s *Side) again(ctx context.Context, kept *store.Store, n pipeline.Night, people []schemas.Ranked) error {
	was, _, err := nights.LoadManifest(ctx, kept, *s.Rows)
	if err != nil {
		return err
	}
	parts, err := pipeline.KeptParts(ctx, kept, was)
	if err != nil {
		return err
	}
	if n.Links, err = pipeline.LoadLinks(ctx, kept, pipeline.KeptLinks(was), n.Tables); err != nil {
		return err
	}
	engine, err := n.NewEngine(nil, false)
	if err != nil {
		return err
	}
	defer engine.Close()
	scores, err := n.Score(ctx, engine, parts, false, nil)
	if err != nil {
		return err
	}
	for _, row := range scores.Candidates {
		if slices.ContainsFunc(people, func(r schemas.Ranked) bool { return r.SuspectID == row.SuspectID }) {
			s.own[row.SuspectID] = append(s.own[row.SuspectID], row)
		}
	}
	return nil
}
