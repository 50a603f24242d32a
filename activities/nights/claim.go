package nights

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// claim is claim.json: whose the revision is.
type claim struct {
	Owner string `json:"owner"`
}

// Claim takes the next free revision of a date for an owner, which names one run of the pipeline. The
// same owner gets the same revision again; no two owners ever get the same. A revision that was claimed
// and never published stays unused.
func Claim(ctx context.Context, st *store.Store, asOf schemas.Date, owner string) (schemas.NightID, error) {
	if asOf.IsZero() || owner == "" {
		return schemas.NightID{}, errors.New("claiming a night needs its date and the run that claims it")
	}
	unsigned, err := encode(claim{owner})
	if err != nil {
		return schemas.NightID{}, err
	}
	for id := (schemas.NightID{AsOf: asOf, Revision: 1}); ; id.Revision++ {
		key := id.Path() + "/" + schemas.ClaimFile
		err := st.CreateOnly(ctx, key, st.Record(key, unsigned))
		if err == nil {
			return id, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return schemas.NightID{}, fmt.Errorf("claiming night %s: %w", id, err)
		}
		standing, err := st.ReadRecord(ctx, key)
		if err != nil {
			return schemas.NightID{}, fmt.Errorf("reading %s: %w", key, err)
		}
		var c claim
		if err := json.Unmarshal(standing, &c); err != nil {
			return schemas.NightID{}, fmt.Errorf("%s: %w: %w", key, store.ErrDamaged, err)
		}
		if c.Owner == owner {
			return id, nil
		}
	}
}
