package tasking

import (
	"context"
	"maps"
	"slices"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/publish"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// Measure counts all taskings as they stand, beside the approved stack.
func Measure(ctx context.Context, st *store.Store, now time.Time) (casework.Measures, error) {
	current, err := publish.LoadCurrent(ctx, st)
	if err != nil {
		return casework.Measures{}, err
	}
	stack := map[string]planned{}
	if current != nil {
		if stack, err = allPlanned(ctx, st, current.Occasion()); err != nil {
			return casework.Measures{}, err
		}
	}
	c := casework.Measure(now, slices.Collect(maps.Keys(stack)))
	err = casework.All(ctx, st, func(t *schemas.Tasking) error {
		c.Add(t)
		return nil
	})
	return c.Measures(), err
}
