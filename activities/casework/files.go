package casework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// Where the taskings are kept: one file a version, and a mark for each that is on the stack.
const (
	casesFolder = "taskings/cases/"
	openFolder  = "taskings/open/"
)

func caseFolder(reference string) string { return casesFolder + reference + "/" }

func versionKey(reference string, version int) string {
	return fmt.Sprintf("%s%06d.json", caseFolder(reference), version)
}

// Load returns the tasking of a reference as it stands, nil when there is none.
func Load(ctx context.Context, st *store.Store, reference string) (*schemas.Tasking, error) {
	keys, err := st.List(ctx, caseFolder(reference))
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return read(ctx, st, keys[len(keys)-1])
}

// LoadVersion returns the tasking as it was after the event of that number.
func LoadVersion(ctx context.Context, st *store.Store, reference string, number int) (*schemas.Tasking, error) {
	return read(ctx, st, versionKey(reference, number))
}

func read(ctx context.Context, st *store.Store, key string) (*schemas.Tasking, error) {
	data, err := st.Read(ctx, key)
	if err != nil {
		return nil, err
	}
	t := new(schemas.Tasking)
	if err := json.Unmarshal(data, t); err != nil || len(t.Events) != t.Version || t.Version == 0 {
		return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
	}
	return t, nil
}

// Save writes the next version of a tasking. store.ErrExists means that somebody wrote one since it was
// loaded: load it again.
func Save(ctx context.Context, st *store.Store, t *schemas.Tasking) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	// The mark comes first and goes last: it may stand for a tasking that has left, never lack for one
	// that is there.
	if t.OnStack {
		if err := st.CreateOnly(ctx, openFolder+t.Reference, nil); err != nil && !errors.Is(err, store.ErrExists) {
			return err
		}
	}
	if err := st.CreateOnly(ctx, versionKey(t.Reference, t.Version), data); err != nil {
		return err
	}
	return Settle(ctx, st, t)
}

// Settle takes the mark of a tasking away that has left the stack.
func Settle(ctx context.Context, st *store.Store, t *schemas.Tasking) error {
	if t.OnStack {
		return nil
	}
	return st.Delete(ctx, openFolder+t.Reference)
}

// Marked returns the references of all taskings that are on the stack, and perhaps of some that have just
// left it, sorted.
func Marked(ctx context.Context, st *store.Store) ([]string, error) {
	keys, err := st.List(ctx, openFolder)
	for i, k := range keys {
		keys[i] = strings.TrimPrefix(k, openFolder)
	}
	return keys, err
}

// All calls f with every tasking there ever was, by reference.
func All(ctx context.Context, st *store.Store, f func(*schemas.Tasking) error) error {
	keys, err := st.List(ctx, casesFolder)
	if err != nil {
		return err
	}
	for i, k := range keys {
		// The versions of one tasking stand together, the last at their end.
		if folder := k[:strings.LastIndexByte(k, '/')+1]; i+1 < len(keys) && strings.HasPrefix(keys[i+1], folder) {
			continue
		}
		t, err := read(ctx, st, k)
		if err == nil {
			err = f(t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
