// Package ledger records what was sent to whom: one entry a message, begun before it is sent and finished
// after, in the artefact store. A message that is in it as sent is never sent again.
//
// It must not know what the messages say or how they travel. Suspects stand in it by pseudonym only.
package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"harmstack/activities/store"
)

// The ways in which a message travels.
const (
	Mail    = "mail"
	Webhook = "webhook"
)

// What became of a message.
const (
	Begun   = "begun"   // on its way, or it is not known whether the other side took it
	Sent    = "sent"    // the other side took it
	Refused = "refused" // the other side will never take it
)

// Entry is one message.
type Entry struct {
	ID      string `json:"id"` // of the message: the Message-ID's or webhook-id's first part
	Channel string `json:"channel"`
	Team    string `json:"team"`
	// Kind is `digest`, or the kind of the tasking's event.
	Kind string `json:"kind"`
	// Subject is the pseudonym of the tasking, or the night of a digest.
	Subject string    `json:"subject"`
	Begun   time.Time `json:"begun"`
	State   string    `json:"state"`
	Ended   time.Time `json:"ended,omitzero"` // when it was sent or refused
	Why     string    `json:"why,omitempty"`  // it was refused
}

// One file a message in each folder that fits it; the last of them counts.
const (
	begunFolder   = "deliveries/1-begun/"
	refusedFolder = "deliveries/2-refused/"
	sentFolder    = "deliveries/3-sent/"
)

// notedFolder marks the sent messages that the audit log tells of.
const notedFolder = "deliveries/noted/"

// Deliver sends a message unless the ledger says that it was sent; sent is false then. Of two attempts at
// once both may send: it is the same message, under the same id. Which of send's errors are final, refused
// tells; after such a one the message may be tried again when the cause is mended.
func Deliver(ctx context.Context, st *store.Store, e Entry, now func() time.Time, send func() error, refused func(error) bool) (sent bool, err error) {
	name := e.ID + ".json"
	if _, err := st.Size(ctx, sentFolder+name); !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	e.State, e.Begun = Begun, now()
	if err := create(ctx, st, begunFolder+name, e); err != nil {
		return false, err
	}
	if sendErr := send(); sendErr != nil {
		if refused(sendErr) {
			e.State, e.Ended, e.Why = Refused, now(), sendErr.Error()
			data, err := json.Marshal(e)
			return false, errors.Join(sendErr, err, st.Replace(ctx, refusedFolder+name, data))
		}
		return false, sendErr
	}
	e.State, e.Ended = Sent, now()
	return true, create(ctx, st, sentFolder+name, e)
}

// Note has a sent message noted elsewhere, and marks it: once that is done, it is not done again.
func Note(ctx context.Context, st *store.Store, id string, note func() error) error {
	if _, err := st.Size(ctx, notedFolder+id); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := note(); err != nil {
		return err
	}
	if err := st.CreateOnly(ctx, notedFolder+id, nil); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

func create(ctx context.Context, st *store.Store, key string, e Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := st.CreateOnly(ctx, key, data); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

// Read returns every entry, in the order in which they were begun.
func Read(ctx context.Context, st *store.Store) ([]Entry, error) {
	by := map[string]Entry{}
	for _, folder := range []string{begunFolder, refusedFolder, sentFolder} {
		keys, err := st.List(ctx, folder)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			data, err := st.Read(ctx, key)
			if err != nil {
				return nil, err
			}
			var e Entry
			if err := json.Unmarshal(data, &e); err != nil {
				return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
			}
			if first, ok := by[e.ID]; ok {
				e.Begun = first.Begun
			}
			by[e.ID] = e
		}
	}
	entries := make([]Entry, 0, len(by))
	for _, e := range by {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.ID, b.ID)) })
	return entries, nil
}

// Open counts the messages that were begun and not sent: refused, on their way, or given up.
func Open(ctx context.Context, st *store.Store) (int, error) {
	begun, err := st.List(ctx, begunFolder)
	if err != nil {
		return 0, err
	}
	sent, err := st.List(ctx, sentFolder)
	return len(begun) - len(sent), err
}
