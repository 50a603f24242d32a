package nights

import (
	"context"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// Baseline, SupersedeOlder and Supersede are what a line says that is looked at now.
func Baseline(ctx context.Context, st *store.Store, id schemas.NightID) (*schemas.ManifestRef, *schemas.Manifest, error) {
	l, err := Look(ctx, st)
	if err != nil {
		return nil, nil, err
	}
	return l.Baseline(ctx, id)
}

func SupersedeOlder(ctx context.Context, st *store.Store, id schemas.NightID, at time.Time) ([]schemas.NightID, error) {
	l, err := Look(ctx, st)
	if err != nil {
		return nil, err
	}
	return l.SupersedeOlder(ctx, id, at)
}

func Supersede(ctx context.Context, st *store.Store, id schemas.NightID, at time.Time) (superseded bool, err error) {
	l, err := Look(ctx, st)
	if err != nil {
		return false, err
	}
	superseded, _, err = l.Supersede(ctx, id, at)
	return superseded, err
}
