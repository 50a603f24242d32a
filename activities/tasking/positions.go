package tasking

import (
	"context"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// Positions are the references of the taskings that the approval of a night planned, by where the suspect stands in its
// ranking: so a page links the two without the key that makes one of the other. A night that is not approved, or not
// planned yet, has none.
func Positions(ctx context.Context, st *store.Store, id schemas.NightID) (map[int64]string, error) {
	planned, err := allPlanned(ctx, st, schemas.Occasion(id, schemas.NightID{}))
	by := make(map[int64]string, len(planned))
	for reference, s := range planned {
		by[s.Position] = reference
	}
	return by, err
}
