package tasking

import (
	"context"

	"harmstack/activities/store"
)

// Planned are the pseudonyms of those whom the plans of an occasion name (schemas.Occasion), by their position in its
// night's ranking. Who is not tasked yet is not among them.
func Planned(ctx context.Context, st *store.Store, occasion string) (map[int64]string, error) {
	suspects, err := allPlanned(ctx, st, occasion)
	if err != nil {
		return nil, err
	}
	by := make(map[int64]string, len(suspects))
	for reference, s := range suspects {
		by[s.Position] = reference
	}
	return by, nil
}
