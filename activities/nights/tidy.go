package nights

import (
	"context"
	"errors"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas"
)

const (
	settled    = 12 * time.Hour      // after its publication a night is reset or run again as a whole
	forgotten  = 7 * 24 * time.Hour  // a night to which nothing was written for so long has ended without being published
	forgetting = 30 * 24 * time.Hour // no rerun comes for what a stage made so long ago
)

// Tidy deletes what passed between the stages of nights that have ended: of those published half a day ago or more, but
// for keep, which a rerun may still take over, and of those that were never published and to which nothing was written
// for a week. A rerun needs nothing of another night: what it takes over has names of its own. It returns how many
// files went.
func Tidy(ctx context.Context, st *store.Store, keep schemas.NightID, now time.Time) (deleted int, err error) {
	keys, err := st.List(ctx, schemas.WorkFolder)
	if err != nil {
		return 0, err
	}
	works := map[schemas.NightID][]string{}
	for _, key := range keys {
		if id, ok := schemas.ParseNightPath(key); ok && id != keep {
			works[id] = append(works[id], key)
		}
	}
	for id, keys := range works {
		over, err := untouched(ctx, st, []string{id.Path() + "/" + schemas.ManifestFile}, now.Add(-settled))
		if errors.Is(err, store.ErrNotFound) {
			over, err = untouched(ctx, st, keys, now.Add(-forgotten))
		}
		if err != nil {
			return deleted, err
		}
		for _, key := range keys {
			if !over {
				break
			}
			if err := st.Delete(ctx, key); err != nil {
				return deleted, err
			}
			deleted++
		}
	}
	return deleted, nil
}

// Forget deletes the notes of what stages made that no night has taken over for a month, and returns how many.
func Forget(ctx context.Context, st *store.Store, now time.Time) (deleted int, err error) {
	keys, err := st.List(ctx, schemas.ReuseFolder)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		old, err := untouched(ctx, st, []string{key}, now.Add(-forgetting))
		if err == nil && old {
			err = st.Delete(ctx, key)
			deleted++
		}
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// untouched tells whether all files were written before an instant.
func untouched(ctx context.Context, st *store.Store, keys []string, since time.Time) (bool, error) {
	for _, key := range keys {
		at, err := st.Modified(ctx, key)
		if err != nil || at.After(since) {
			return false, err
		}
	}
	return true, nil
}
