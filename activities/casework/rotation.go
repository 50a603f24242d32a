package casework

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas/text"
)

// RotationsFolder holds the records of changes of the pseudonym key.
const RotationsFolder = "trust/pseudonyms/"

// Rotation is trust/pseudonyms/<number>.json: from when on people are named under another key. The fingerprints tell
// the keys apart without telling them.
type Rotation struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
	// Kept are the pseudonyms of everybody who had a tasking then: they go by those for good.
	Kept []string `json:"kept"`
}

func rotationKey(number int) string { return fmt.Sprintf("%s%06d.json", RotationsFolder, number) }

// rotations are all records, oldest first.
func rotations(ctx context.Context, st *store.Store) (all []Rotation, err error) {
	keys, err := st.List(ctx, RotationsFolder)
	for _, key := range keys {
		data, err := st.ReadRecord(ctx, key)
		if err != nil {
			return nil, err
		}
		var r Rotation
		if json.Unmarshal(data, &r) != nil {
			return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
		}
		all = append(all, r)
	}
	return all, err
}

// references are those of every tasking there is, sorted.
func references(ctx context.Context, st *store.Store) (all []string, err error) {
	keys, err := st.List(ctx, CasesFolder)
	all = []string{}
	for _, key := range keys {
		all = append(all, path.Base(path.Dir(key)))
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// Kept are the pseudonyms that stay in use though the key was rotated since, as long as their taskings are kept. Whoever
// names people must have the keys, by their fingerprints, under which those were made, or they would be tasked anew: the
// error says which is missing.
func Kept(ctx context.Context, st *store.Store, fingerprints []string) (kept []string, err error) {
	all, err := rotations(ctx, st)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	there, err := references(ctx, st)
	for _, r := range all {
		r.Kept = slices.DeleteFunc(r.Kept, func(name string) bool {
			_, ok := slices.BinarySearch(there, name)
			return !ok
		})
		if len(r.Kept) > 0 && !slices.Contains(fingerprints, r.From) {
			return nil, fmt.Errorf("HARMSTACK_PSEUDONYM_KEY lacks the key with the fingerprint %s: give it after the new one, "+
				"separated by a comma. %s named under it, and would be tasked anew", r.From,
				text.Count(len(r.Kept), "person is", "people are"))
		}
		kept = append(kept, r.Kept...)
	}
	return kept, err
}

// RotatePseudonyms makes another pseudonym key, by its fingerprint, the store's, and returns how many people keep their
// names. Nobody else may use the store meanwhile. It may die at any point and be run again; done tells that there was
// nothing to do. The record comes first, then the log, then store.json.
func RotatePseudonyms(
	ctx context.Context, st *store.Store, from, to string, by audit.Actor, why string, now time.Time,
) (kept int, done bool, err error) {
	id, err := st.Recognise(ctx)
	switch {
	case err != nil:
		return 0, false, err
	case id.PseudonymKey == to:
		return 0, true, nil
	case id.PseudonymKey != from:
		return 0, false, fmt.Errorf("HARMSTACK_PSEUDONYM_KEY: the second key has the fingerprint %s, and the store's has %s: "+
			"give the new key, a comma, and the one in use", from, id.PseudonymKey)
	}
	r := Rotation{From: from, To: to, At: now.UTC()}
	if r.Kept, err = references(ctx, st); err != nil {
		return 0, false, err
	}
	all, err := rotations(ctx, st)
	if err != nil {
		return 0, false, err
	}
	number := len(all)
	// One that was begun stands, unless workers went on under the old key since.
	if number == 0 || all[number-1].From != from || all[number-1].To != to || !slices.Equal(all[number-1].Kept, r.Kept) {
		number++
		data, err := json.MarshalIndent(r, "", "  ")
		if err == nil {
			err = st.CreateOnly(ctx, rotationKey(number), st.Record(rotationKey(number), append(data, '\n')))
		}
		if err != nil {
			return 0, false, err
		}
	}
	files, err := audit.Stored(ctx, st, rotationKey(number))
	if err != nil {
		return 0, false, err
	}
	id.PseudonymKey = to
	identity, err := id.Encode()
	if err != nil {
		return 0, false, err
	}
	err = audit.Append(ctx, st, audit.Entry{At: now.UTC(), Operation: audit.Alteration, Actor: by, Why: why,
		Did: "rotated the pseudonym key; " + text.Count(len(r.Kept), "person keeps their name", "people keep their names"),
		On:  audit.Object{Thing: store.IdentityFile}, Files: append(files, audit.Written(store.IdentityFile, identity)...)})
	if err != nil {
		return 0, false, err
	}
	return len(r.Kept), false, st.Reidentify(ctx, identity)
}
