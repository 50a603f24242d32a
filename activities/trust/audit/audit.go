// Package audit keeps the log of who looked, who decided, who was sent what, and why (contract, section
// 9): append-only and hash-chained, one create-only record after another in the artefact store.
//
// It must not know what the entries are about; a suspect stands in them by pseudonym only, which is for
// the caller to see to.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"harmstack/activities/store"
)

const folder = "audit/"

// Entry is one record of the log. Number and Previous are filled in by Append.
type Entry struct {
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Did    string    `json:"did"`           // what was done: `looked at the stack`, `approved`, `sent a digest`
	On     string    `json:"on,omitempty"`  // what it was done to: a night, a borough, a pseudonym
	Why    string    `json:"why,omitempty"` // the reason given
	// Previous is the sha256 of the record before, whole; empty for the first.
	Previous string `json:"previous"`
}

// Append adds one entry at the end. Several processes may append at once: a number is claimed by a
// create-only write, and whoever comes second takes the next.
func Append(ctx context.Context, st *store.Store, e Entry) error {
	for {
		last, err := length(ctx, st)
		if err != nil {
			return err
		}
		e.Number, e.Previous = last+1, ""
		if last > 0 {
			data, err := st.Read(ctx, key(last))
			if err != nil {
				return err
			}
			e.Previous = hash(data)
		}
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		err = st.CreateOnly(ctx, key(e.Number), append(data, '\n'))
		if !errors.Is(err, store.ErrExists) {
			return err
		}
	}
}

// Writable tells at once whether this process may append to the log; store.ErrDenied says why not.
func Writable(st *store.Store) error { return st.Writable(folder) }

// length finds the last number by doubling and halving: a year's log is long, and each entry would list it.
func length(ctx context.Context, st *store.Store) (int, error) {
	have := func(n int) (bool, error) {
		_, err := st.Size(ctx, key(n))
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	low, high := 0, 1 // low is there, high may not be
	for {
		there, err := have(high)
		if err != nil {
			return 0, err
		}
		if !there {
			break
		}
		low, high = high, 2*high
	}
	for high-low > 1 {
		middle := (low + high) / 2
		there, err := have(middle)
		if err != nil {
			return 0, err
		}
		if there {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// Read returns the whole log, oldest first. An entry that is missing, out of order or changed since it
// was written is an error that names its number.
func Read(ctx context.Context, st *store.Store) ([]Entry, error) {
	keys, err := st.List(ctx, folder)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(keys))
	previous := ""
	for i, k := range keys {
		if k != key(i+1) {
			return nil, fmt.Errorf("audit log: record %d is missing", i+1)
		}
		data, err := st.Read(ctx, k)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &entries[i]); err != nil {
			return nil, fmt.Errorf("audit log: record %d cannot be read: %w", i+1, err)
		}
		if entries[i].Previous != previous {
			return nil, fmt.Errorf("audit log: the record before number %d was changed after it was written", i+1)
		}
		previous = hash(data)
	}
	return entries, nil
}

func key(number int) string { return fmt.Sprintf("%s%010d.json", folder, number) }

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
