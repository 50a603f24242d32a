package tasking

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// Measure counts all taskings as they stand, beside the approved stack, and says what keeps teams from it.
func Measure(ctx context.Context, st *store.Store, now time.Time) (casework.Measures, error) {
	return MeasureOf(ctx, st, now, func(add func(*schemas.Tasking) error) error { return casework.All(ctx, st, add) })
}

// MeasureOf is Measure for who has the taskings at hand: each hands out all of them.
func MeasureOf(
	ctx context.Context,
	st *store.Store,
	now time.Time,
	each func(add func(*schemas.Tasking) error) error,
) (casework.Measures, error) {
	current, err := nights.LoadCurrent(ctx, st)
	if err != nil {
		return casework.Measures{}, err
	}
	var plans []plan
	if current != nil {
		if plans, err = plansOf(ctx, st, current.Occasion()); err != nil {
			return casework.Measures{}, err
		}
	}
	stack, waiting := map[string]bool{}, 0
	for _, p := range plans {
		waiting += p.Waiting
		for _, s := range p.Suspects {
			if s.Below == 0 {
				stack[s.Reference] = true
			}
		}
	}
	trouble, err := Trouble(ctx, st, now)
	if err != nil {
		return casework.Measures{}, err
	}
	c := casework.Measure(now, slices.Collect(maps.Keys(stack)))
	err = each(func(t *schemas.Tasking) error {
		c.Add(t)
		return nil
	})
	m := c.Measures()
	m.Stack, m.Waiting, m.Trouble = m.Stack+waiting, waiting, trouble
	if unreadable := (*casework.UnreadableError)(nil); errors.As(err, &unreadable) {
		m.Unreadable, err = len(unreadable.References), nil
	}
	return m, err
}
