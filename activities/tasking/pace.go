package tasking

import (
	"context"
	"errors"
	"slices"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// pacing is how taskings come and go beside the stack (contract, section 8): `cadence` says which nights issue new
// ones, `stand_down_after` who stays tasked below the stack. All of it follows from what is recorded, so that a rerun
// and a later revision of a date come to the same.
type pacing struct {
	// restored are those who were tasked when the stack was approved, nil after an approval: once a later approval is
	// taken back it is they who are tasked, and nobody else.
	restored map[string]planned
	// issuer is the night that issued the new taskings of this week or month; nil: this night does.
	issuer *schemas.NightID
	// owed are those to whom the issuer promised a tasking, by reference: whoever did not get it, because the order
	// failed, gets it now.
	owed map[string]bool
}

// pace finds out which of it holds for the night.
func (b *planner) pace(ctx context.Context) (err error) {
	if b.night.noStack() {
		return nil
	}
	id := b.night.manifest.NightID
	if b.night.revoked != nil {
		if planned, err := isPlanned(ctx, b.a.Store, id); err != nil {
			return err
		} else if planned {
			b.restored, err = allPlanned(ctx, b.a.Store, schemas.Occasion(id, schemas.NightID{}))
			return err
		} // else the teams were never told of that stack: it is as if it were approved now
	}
	if b.issuer, err = b.issuedBy(ctx); err != nil || b.issuer == nil {
		return err
	}
	b.owed = map[string]bool{}
	keys, err := b.a.Store.List(ctx, plansFolder(schemas.Occasion(*b.issuer, schemas.NightID{})))
	for _, key := range keys {
		p, err := readPlan(ctx, b.a.Store, key)
		if err != nil && !casework.Unreadable(err) {
			return err
		}
		for _, o := range p.Orders {
			b.owed[o.Reference] = o.OnStack
		}
	}
	return err
}

// issuedBy is the last revision of the date by which new taskings were issued in the week or month of this night: the
// first date of it that is approved, and not taken back, and whose plans were made. nil: there is none before this one.
func (b *planner) issuedBy(ctx context.Context) (*schemas.NightID, error) {
	asOf := b.night.manifest.AsOf
	since := b.who.Cadence().Since(asOf)
	if since == asOf {
		return nil, nil
	}
	approved, err := nights.ApprovedSince(ctx, b.a.Store, since)
	if err != nil {
		return nil, err
	}
	var issuer *schemas.NightID
	for _, id := range slices.Backward(approved) { // oldest first
		if !id.AsOf.Before(asOf) || issuer != nil && issuer.AsOf != id.AsOf {
			break
		}
		if planned, err := isPlanned(ctx, b.a.Store, id); err != nil {
			return nil, err
		} else if planned {
			issuer = &id
		}
	}
	return issuer, nil
}

// isPlanned tells whether the plans of a night's approval were made: the central desk's is the last of those with
// orders.
func isPlanned(ctx context.Context, st *store.Store, id schemas.NightID) (bool, error) {
	_, err := st.Size(ctx, planKey(schemas.Occasion(id, schemas.NightID{}), teams.CentralDesk))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// tasks tells whether the night leaves somebody tasked, or tasks them now. t is the tasking there is, nil for none.
func (b *planner) tasks(ctx context.Context, row schemas.Ranked, t *schemas.Tasking) (bool, error) {
	reference := b.a.reference(row.SuspectID, row.Restricted)
	if b.restored != nil {
		_, tasked := b.restored[reference]
		return tasked, nil
	}
	if t != nil && t.OnStack || b.issuer == nil {
		return true, nil
	}
	if b.owed[reference] && (t == nil || t.Night.Before(*b.issuer)) {
		return true, nil
	}
	// Whoever became restricted, or is so no longer, changes hands, and is not new.
	other, err := casework.Load(ctx, b.a.Store, b.a.reference(row.SuspectID, !row.Restricted))
	if casework.Unreadable(err) {
		return false, nil
	}
	return other != nil && other.OnStack, err
}

// below plans for those who are tasked and not on the stack any more, as far as they stay so.
func (b *planner) below(ctx context.Context) error {
	if b.night.noStack() {
		return nil
	}
	until := b.who.StandDownAfter(b.night.manifest.Cut.Depth)
	tasked := map[string]int64{} // the position below which that ends, by reference
	last := until
	if b.restored != nil {
		last = 0
		for reference, p := range b.restored {
			if p.Below > 0 {
				tasked[reference], last = p.Below, max(last, p.Position)
			}
		}
	} else {
		marked, err := casework.Marked(ctx, b.a.Store)
		if err != nil {
			return err
		}
		for _, reference := range marked {
			if !b.onStack[reference] {
				tasked[reference] = until
			}
		}
	}
	if n := len(b.night.rows); len(tasked) == 0 || n > 0 && last <= b.night.rows[n-1].Position {
		return nil
	}
	rows, err := b.a.ranked(ctx, b.night, last)
	if err != nil {
		return err
	}
	for _, row := range rows {
		reference := b.a.reference(row.SuspectID, row.Restricted)
		if below, ok := tasked[reference]; ok && !b.onStack[reference] {
			if err := b.suspect(ctx, row, nil, below); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstRanked are the rows of a night's ranking down to a position. It reads no further than that, which is within the
// first row group of the file.
func firstRanked(
	ctx context.Context,
	st *store.Store,
	m schemas.Manifest,
	last int64,
) (rows []schemas.Ranked, err error) {
	each, err := nights.EachRow[schemas.Ranked](ctx, st, m, schemas.RankingFile)
	if err != nil {
		return nil, err
	}
	for row, err := range each {
		if err != nil {
			return nil, err
		}
		if row.Position > last {
			break
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// ranked is firstRanked, kept for the teams that need the same next: a bucket hands a ranking over whole.
func (a *Activities) ranked(ctx context.Context, n night, last int64) ([]schemas.Ranked, error) {
	a.first.Lock()
	defer a.first.Unlock()
	if f := &a.first; f.of != n.approved.Manifest || f.last < last {
		rows, err := firstRanked(ctx, a.Store, n.manifest, last)
		if err != nil {
			return nil, err
		}
		f.of, f.last, f.rows = n.approved.Manifest, last, rows
	}
	rows := a.first.rows
	beyond := slices.IndexFunc(rows, func(r schemas.Ranked) bool { return r.Position > last })
	if beyond < 0 {
		beyond = len(rows)
	}
	return rows[:beyond:beyond], nil
}

// withBelow is the night with the rows of those suspects who are below its stack.
func (n night) withBelow(suspects []planned, ranked func(last int64) ([]schemas.Ranked, error)) (night, error) {
	last := int64(0)
	for _, s := range suspects {
		if s.Below > 0 {
			last = max(last, s.Position)
		}
	}
	if last == 0 {
		return n, nil
	}
	rows, err := ranked(last)
	n.rows = slices.Concat(n.rows, rows) // who is on the stack is found there first
	return n, err
}
