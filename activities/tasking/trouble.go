package tasking

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Patience is how long after an approval a team may still be on its way to be told.
const Patience = time.Hour

// Trouble is what keeps teams from what was approved, or taken back, last, at an instant: nobody is untold within
// Patience.
func Trouble(ctx context.Context, st *store.Store, at time.Time) (t casework.Trouble, err error) {
	last, err := nights.LastRecord(ctx, st)
	if err != nil || last == nil {
		return t, err
	}
	since := last.At
	if r := last.Revocation(); r != nil {
		since = r.At
	}
	untold, digests, err := told(ctx, st, *last)
	if err != nil {
		return t, err
	}
	if at.Sub(since) > Patience {
		t.Untold = untold
	}
	// A revision that changed nothing for a team stands by a digest that was sent before.
	recent := at.Add(-48 * time.Hour)
	from := since.Add(-48 * time.Hour)
	if from.After(recent) || at.Sub(from) > 31*24*time.Hour {
		from = recent
	}
	partly, err := ledger.Partly(ctx, st, from, at)
	if err != nil {
		return t, err
	}
	for _, e := range partly {
		if digests[e.ID] || e.Kind != digestKind && e.Begun.After(recent) {
			t.Unmet = append(t.Unmet, fmt.Sprintf("%s (%s)", e.Team, e.Reasons()))
		}
	}
	refused, err := ledger.Refusals(ctx, st, recent)
	if err != nil {
		return t, err
	}
	for _, e := range refused {
		if e.Kind != digestKind {
			t.Refused = append(t.Refused, fmt.Sprintf("%s to %s (%s)", e.Kind, e.Team, e.Why))
		}
	}
	failed, err := FailedOrders(ctx, st)
	for _, f := range failed {
		t.LateOrders = append(t.LateOrders, fmt.Sprintf("%s of %s (%s)", f.Reference, f.Team, f.Why))
	}
	return t, err
}

// told are the teams to whom the last record has something to say and has not said it, and the messages under which it
// has to the others.
func told(
	ctx context.Context,
	st *store.Store,
	last schemas.Current,
) (untold []string, digests map[string]bool, err error) {
	digests = map[string]bool{}
	folder := plansFolder(last.Occasion())
	keys, err := st.List(ctx, folder)
	if err != nil {
		return nil, nil, err
	}
	if len(keys) == 0 { // nobody got as far as to plan
		for _, b := range reference.Default().Boroughs() {
			untold = append(untold, b.Name)
		}
		return untold, digests, nil
	}
	for _, key := range keys {
		p, err := readPlan(ctx, st, key)
		if err != nil {
			return nil, nil, err
		}
		if p.Quiet || p.Team == "" && len(p.Suspects)+len(p.Left)+len(p.Orders) == 0 {
			continue
		}
		if p.Team == "" { // a plan from before
			p.Team = strings.TrimSuffix(strings.TrimPrefix(key, folder), ".json")
		}
		r, err := readReceipt(ctx, st, receiptKey(last.Number, p.Team))
		if errors.Is(err, store.ErrNotFound) {
			untold = append(untold, p.Team)
		} else if err != nil {
			return nil, nil, err
		} else {
			digests[r.Message] = true
		}
	}
	return untold, digests, nil
}
