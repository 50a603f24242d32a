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
	current, err := nights.LoadCurrent(ctx, st)
	if err != nil {
		return casework.Measures{}, err
	}
	stack := map[string]planned{}
	if current != nil {
		if stack, err = allPlanned(ctx, st, current.Occasion()); err != nil {
			return casework.Measures{}, err
		}
	}
	trouble, err := Trouble(ctx, st, now)
	if err != nil {
		return casework.Measures{}, err
	}
	c := casework.Measure(now, slices.Collect(maps.Keys(stack)))
	err = casework.All(ctx, st, func(t *schemas.Tasking) error {
		c.Add(t)
		return nil
	})
	m := c.Measures()
	m.Trouble = trouble
	if unreadable := (*casework.UnreadableError)(nil); errors.As(err, &unreadable) {
		m.Unreadable, err = len(unreadable.References), nil
	}
	return m, err
}
