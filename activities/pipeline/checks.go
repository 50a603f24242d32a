package pipeline

import (
	"context"

	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/schemas"
)

// checks holds the night against those before it: of each date the newest revision that may serve as a measure, those
// from the same source before any others.
func (n *Night) checks(
	ctx context.Context,
	m schemas.Manifest,
	all []nights.Night,
	stack []schemas.Ranked,
) ([]schemas.CheckOutcome, error) {
	var same, others []schemas.Manifest
	for i := len(all) - 1; i >= 0 && len(same) < n.Checks.History; i-- {
		id := all[i].ID
		if !id.AsOf.Before(m.AsOf) || all[i].Status == schemas.Held || last(same).AsOf == id.AsOf ||
			last(others).AsOf == id.AsOf && len(others) >= n.Checks.History {
			continue
		}
		before, _, err := nights.LoadManifest(ctx, n.Store, id)
		if err != nil {
			return nil, err
		}
		switch {
		case len(before.Blocked()) > 0 && all[i].Status != schemas.Approved: // what nobody vouched for is no measure
		case len(before.Inputs) > 0 && len(m.Inputs) > 0 && before.Inputs[0].URI == m.Inputs[0].URI: // the extracts
			same = append(same, before)
		case last(others).AsOf != id.AsOf && len(others) < n.Checks.History:
			others = append(others, before)
		}
	}
	night := quality.Night{Manifest: m, Stack: stack, Before: same}
	if len(same) == 0 {
		night.Before = others // after a move of the source
	}
	return n.Checks.Outcomes(night), nil
}

func last(all []schemas.Manifest) (m schemas.Manifest) {
	if len(all) > 0 {
		m = all[len(all)-1]
	}
	return m
}
