package tasking

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/ledger"
	"harmstack/activities/publish"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Patience is how long after an approval a team may still be on its way to be told.
const Patience = time.Hour

// Trouble is what keeps teams from the approved stack at an instant: nothing within Patience of the approval.
func Trouble(ctx context.Context, st *store.Store, at time.Time) (t casework.Trouble, err error) {
	current, err := publish.LoadCurrent(ctx, st)
	if err != nil || current == nil {
		return t, err
	}
	night := current.Manifest.NightID
	if at.Sub(current.At) > Patience {
		if t.Untold, err = untold(ctx, st, night); err != nil {
			return t, err
		}
	}
	recent := at.Add(-48 * time.Hour)
	since := recent
	if current.At.Before(since) && at.Sub(current.At) < 31*24*time.Hour {
		since = current.At
	}
	partly, err := ledger.Partly(ctx, st, since, at)
	if err != nil {
		return t, err
	}
	for _, e := range partly {
		if e.Kind == digestKind && strings.HasPrefix(e.Subject, "night "+night.AsOf.String()+"-") || e.Kind != digestKind && e.Begun.After(recent) {
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

// untold are the teams for which an approved night has a digest that they have not been sent.
func untold(ctx context.Context, st *store.Store, night schemas.NightID) (names []string, err error) {
	keys, err := st.List(ctx, plansFolder(night))
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 { // nobody got as far as to plan
		for _, b := range reference.Default().Boroughs() {
			names = append(names, b.Name)
		}
		return names, nil
	}
	for _, key := range keys {
		p, err := readPlan(ctx, st, key)
		if err != nil {
			return nil, err
		}
		slug := strings.TrimSuffix(strings.TrimPrefix(key, plansFolder(night)), ".json")
		if p.Quiet || p.Team == "" && len(p.Suspects)+len(p.Left)+len(p.Orders) == 0 {
			continue
		}
		if p.Team == "" {
			p.Team = slug
		}
		if _, err := st.Size(ctx, receiptKey(night, slug)); errors.Is(err, store.ErrNotFound) {
			names = append(names, p.Team)
		} else if err != nil {
			return nil, err
		}
	}
	return names, nil
}
