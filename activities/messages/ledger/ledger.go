// Package ledger records what was sent to whom: one entry a message, begun before it is sent and finished
// after, in the artefact store. A message that is in it as sent is never sent again.
//
// It must not know what the messages say or how they travel. Suspects stand in it by pseudonym only.
package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas/text"
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
	// Recipients are the addresses of a message that was sent, in their order. A channel without addresses has none.
	Recipients []Recipient `json:"recipients,omitempty"`
}

// Waiting is the state of an address that has not taken the message yet, and may.
const Waiting = "waiting"

// Recipient is one address of a message and what became of it there.
type Recipient struct {
	// Address is a hash of the message's id and the address: it knows the address again, wherever it stands in the list
	// of its team then, and names it to nobody.
	Address string `json:"address"`
	State   string `json:"state"`         // Sent, Refused or Waiting
	Why     string `json:"why,omitempty"` // it was refused, or waits: names the address by its place in the list
}

// Count is how many addresses are in a state.
func (e Entry) Count(state string) (n int) {
	for _, r := range e.Recipients {
		if r.State == state {
			n++
		}
	}
	return n
}

// Is tells whether the message is in a state, or one of its addresses.
func (e Entry) Is(state string) bool { return e.State == state || e.Count(state) > 0 }

// Reasons say why the message, or some of its addresses, did not get through; empty when all is well.
func (e Entry) Reasons() string {
	reasons := []string{e.Why}
	for _, r := range e.Recipients {
		reasons = append(reasons, r.Why)
	}
	return strings.Join(slices.Compact(slices.DeleteFunc(reasons, func(s string) bool { return s == "" })), "; ")
}

// Unreached is an error that counts the addresses which have not taken a message of that name yet; nil when all have.
func (e Entry) Unreached(message string) error {
	n := e.Count(Waiting)
	if n == 0 {
		return nil
	}
	return fmt.Errorf(
		"%d of %s of %s not reached by the %s yet: %s",
		n,
		text.Count(len(e.Recipients), "address", "addresses"),
		e.Team,
		message,
		e.Reasons(),
	)
}

// One file a message in each folder that fits it; the last of them counts. What was sent, but not to all addresses,
// stands in the last one by the day on which it was begun: a file each time that something came of it, of which the
// last counts. None of them is ever written over, so that of two attempts at once neither undoes what the other knows.
const (
	begunFolder   = "deliveries/1-begun/"
	refusedFolder = "deliveries/2-refused/"
	sentFolder    = "deliveries/3-sent/"
	partlyFolder  = "deliveries/4-partly/"
)

// partlyKey is where the number-th file lies that says how far a message got. Those after the first sort before it.
func partlyKey(e Entry, number int) string {
	key := partlyFolder + e.Begun.UTC().Format(time.DateOnly) + "/" + e.ID
	if number > 1 {
		key += fmt.Sprintf("-%04d", number)
	}
	return key + ".json"
}

// IDOf is which message a file of the ledger is of. Behind a hyphen stands which of its files it is, or how many addresses
// a note is of.
func IDOf(key string) string {
	id, _, _ := strings.Cut(strings.TrimSuffix(path.Base(key), ".json"), "-")
	return id
}

// Folder holds all of the ledger.
const Folder = "deliveries/"

// NotedFolder marks the sent messages that the audit log tells of.
const NotedFolder = "deliveries/noted/"

// Delivery is what one call of Deliver did.
type Delivery struct {
	Sent  bool  // the message was handed over, to all its addresses or some
	Entry Entry // as it stands now
}

// Deliver sends a message unless the ledger says that it was sent. Of two attempts at once both may send: it is the
// same message, under the same id. Which of send's errors are final, refused tells; after such a one the message may be
// tried again when the cause is mended.
//
// send returns the addresses that it tried, if the channel has any; those that are done it leaves out: they have the
// message, or will never take it. An error with a method Unmet() map[string]error says that the other addresses took
// it. While some may still take it, Deliver can be called again for them.
func Deliver(
	ctx context.Context,
	st *store.Store,
	e Entry,
	now func() time.Time,
	send func(done func(address string) bool) ([]string, error),
	refused func(error) bool,
) (Delivery, error) {
	name := e.ID + ".json"
	sent, err := Find(ctx, st, e.ID)
	if err != nil {
		return Delivery{}, err
	}
	if sent != nil && sent.Count(Waiting) == 0 {
		return Delivery{Entry: *sent}, nil
	}
	if sent == nil {
		e.State, e.Begun = Begun, now()
		if err := create(ctx, st, begunFolder+name, e); err != nil {
			return Delivery{}, err
		}
	} else {
		e = *sent
	}
	addresses, sendErr := send(e.done)
	unmet := map[string]error{}
	if partly, ok := errors.AsType[interface {
		error
		Unmet() map[string]error
	}](sendErr); ok {
		unmet, sendErr = partly.Unmet(), nil
	}
	switch {
	case sendErr == nil:
	case sent != nil: // the addresses that are left: each as if alone
		for _, a := range addresses {
			unmet[a] = sendErr
		}
	case refused(sendErr):
		e.State, e.Ended, e.Why = Refused, now(), sendErr.Error()
		data, err := json.Marshal(e)
		key := refusedFolder + name
		return Delivery{}, errors.Join(sendErr, err, st.Replace(ctx, key, st.Record(key, data)))
	default:
		return Delivery{}, sendErr
	}
	e, err = keep(ctx, st, e, now, func(e *Entry) { e.note(addresses, unmet, refused) })
	return Delivery{Sent: len(unmet) < max(1, len(addresses)), Entry: e}, err
}

// keep writes what became of a message that was sent to all its addresses or some. Another attempt may have written
// meanwhile: then note is added to that, and never less than what stands is left.
func keep(ctx context.Context, st *store.Store, begun Entry, now func() time.Time, note func(*Entry)) (Entry, error) {
	for {
		standing, files, err := find(ctx, st, begun)
		if err != nil {
			return begun, err
		}
		e := begun
		if standing != nil {
			e = *standing
		}
		note(&e)
		if standing == nil {
			e.State, e.Ended = Sent, now()
		} else if slices.Equal(e.Recipients, standing.Recipients) {
			return e, nil
		}
		data, err := json.Marshal(e)
		if err == nil && (standing != nil || e.Count(Sent) < len(e.Recipients)) {
			key := partlyKey(e, files+1)
			err = st.CreateOnly(ctx, key, st.Record(key, data))
		}
		if err == nil && standing == nil {
			key := SentKey(e.ID)
			err = st.CreateOnly(ctx, key, st.Record(key, data))
		}
		if !errors.Is(err, store.ErrExists) {
			return e, err
		}
	}
}

// Find returns a message that was sent, to all its addresses or some, as it stands; nil when it was not.
func Find(ctx context.Context, st *store.Store, id string) (*Entry, error) {
	e, _, err := find(ctx, st, Entry{ID: id})
	return e, err
}

// find is Find, for one that was begun when e says if it was not sent, and how many files say how far it got.
func find(ctx context.Context, st *store.Store, e Entry) (sent *Entry, files int, err error) {
	if sent, err = load(ctx, st, SentKey(e.ID)); err != nil || sent != nil && sent.Count(Sent) == len(sent.Recipients) {
		return sent, 0, err
	}
	if sent != nil {
		e = *sent
	}
	if e.Begun.IsZero() {
		return nil, 0, nil
	}
	keys, err := st.List(ctx, strings.TrimSuffix(partlyKey(e, 1), ".json"))
	if err != nil || sent == nil || len(keys) == 0 {
		return sent, len(keys), err
	}
	newest, err := load(ctx, st, partlyKey(e, len(keys)))
	if err == nil && newest == nil {
		err = fmt.Errorf("%s: %w: it is missing", partlyKey(e, len(keys)), store.ErrDamaged)
	}
	return newest, len(keys), err
}

// load reads one entry, nil when there is none.
func load(ctx context.Context, st *store.Store, key string) (*Entry, error) {
	data, err := st.ReadRecord(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e := new(Entry)
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
	}
	return e, nil
}

// done tells whether nothing more is to be done for an address.
func (e Entry) done(address string) bool {
	return slices.ContainsFunc(
		e.Recipients,
		func(r Recipient) bool { return r.Address == hidden(e.ID, address) && r.State != Waiting },
	)
}

// Took tells whether an address has taken the message.
func (e Entry) Took(address string) bool {
	return slices.Contains(e.Recipients, Recipient{Address: hidden(e.ID, address), State: Sent})
}

// Last is when something last became of the message.
func (e Entry) Last() time.Time {
	if e.Ended.After(e.Begun) {
		return e.Ended
	}
	return e.Begun
}

// Keys are all files of the ledger. What says that a message was sent comes last: as long as that is there, it is not
// sent again.
func Keys(ctx context.Context, st *store.Store) ([]string, error) {
	keys, err := st.List(ctx, Folder)
	slices.SortStableFunc(keys, func(a, b string) int {
		last := func(key string) int {
			if strings.HasPrefix(key, sentFolder) {
				return 1
			}
			return 0
		}
		return last(a) - last(b)
	})
	return keys, err
}

// SentKey is where a message lies that was sent, by its id.
func SentKey(id string) string { return sentFolder + id + ".json" }

// note keeps what became of the addresses that were tried. One that waited and was not tried is no address of the
// team any more; one that has the message by another attempt has it.
func (e *Entry) note(addresses []string, unmet map[string]error, refused func(error) bool) {
	e.Recipients = slices.DeleteFunc(slices.Clone(e.Recipients), func(r Recipient) bool { return r.State == Waiting })
	for _, a := range addresses {
		r := Recipient{Address: hidden(e.ID, a), State: Sent}
		if why := unmet[a]; why != nil {
			r.State, r.Why = Waiting, why.Error()
			if refused(why) {
				r.State = Refused
			}
		}
		same := slices.IndexFunc(e.Recipients, func(known Recipient) bool { return known.Address == r.Address })
		if same < 0 {
			e.Recipients = append(e.Recipients, r)
		} else if r.State == Sent {
			e.Recipients[same] = r
		}
	}
}

func hidden(id, address string) string {
	sum := sha256.Sum256([]byte(id + " " + address))
	return hex.EncodeToString(sum[:16])
}

// Note has a sent message noted elsewhere, and marks it: once that is done, it is not done again, unless further
// addresses have taken the message since. to says how many of them have, when it is not all: " (2 of 3 addresses)".
func Note(ctx context.Context, st *store.Store, e Entry, note func(to string) error) error {
	mark, to := NotedFolder+e.ID, ""
	if n := e.Count(Sent); n < len(e.Recipients) {
		mark, to = fmt.Sprintf("%s-%d", mark, n), fmt.Sprintf(" (%d of %s)", n, text.Count(len(e.Recipients), "address", "addresses"))
	}
	if _, err := st.Size(ctx, mark); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := note(to); err != nil {
		return err
	}
	if err := st.CreateOnly(ctx, mark, nil); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

func create(ctx context.Context, st *store.Store, key string, e Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := st.CreateOnly(ctx, key, st.Record(key, data)); !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

// Read returns every entry, in the order in which they were begun.
func Read(ctx context.Context, st *store.Store) ([]Entry, error) {
	by := map[string]Entry{}
	for _, folder := range []string{begunFolder, refusedFolder, sentFolder, partlyFolder} {
		entries, err := list(ctx, st, folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if first, ok := by[e.ID]; ok {
				if folder == partlyFolder && (first.State != Sent || first.Count(Sent) == len(first.Recipients)) {
					continue // its sender died before it could note that it was sent, and another attempt has got on with it
				}
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

// list reads the entries of a folder, of each message the last.
func list(ctx context.Context, st *store.Store, folder string) (entries []Entry, err error) {
	keys, err := st.List(ctx, folder)
	for i, key := range keys {
		// The further files of a message stand before its first.
		if i+1 < len(keys) && strings.HasPrefix(keys[i+1], path.Dir(key)+"/"+IDOf(key)+"-") ||
			i > 0 && IDOf(key) == IDOf(keys[i-1]) && !strings.Contains(path.Base(key), "-") {
			continue
		}
		e, err := load(ctx, st, key)
		if err != nil {
			return nil, err
		}
		if e != nil {
			entries = append(entries, *e)
		}
	}
	return entries, err
}

// Partly returns the messages begun since a day that were sent and that some of their addresses still have not.
func Partly(ctx context.Context, st *store.Store, since, now time.Time) (entries []Entry, err error) {
	for day := since.UTC().Truncate(24 * time.Hour); !day.After(now); day = day.AddDate(0, 0, 1) {
		found, err := list(ctx, st, partlyFolder+day.Format(time.DateOnly)+"/")
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if e.Count(Waiting)+e.Count(Refused) == 0 {
				continue
			}
			// As it stands: an attempt that died, or came second, may have left what it knew.
			sent, err := Find(ctx, st, e.ID)
			if err != nil {
				return nil, err
			}
			if sent == nil {
				sent = &e
			}
			if sent.Count(Waiting)+sent.Count(Refused) > 0 {
				entries = append(entries, *sent)
			}
		}
	}
	return entries, nil
}

// Refusals returns the messages that were refused since an instant and not sent.
func Refusals(ctx context.Context, st *store.Store, since time.Time) (entries []Entry, err error) {
	found, err := list(ctx, st, refusedFolder)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if e.State != Refused || e.Ended.Before(since) {
			continue
		}
		if _, err := st.Size(ctx, sentFolder+e.ID+".json"); errors.Is(err, store.ErrNotFound) {
			entries = append(entries, e)
		} else if err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// Open counts the messages that were begun and not sent: refused, on their way, or given up.
func Open(ctx context.Context, st *store.Store) (int, error) {
	begun, err := st.List(ctx, begunFolder)
	if err != nil {
		return 0, err
	}
	sent, err := st.List(ctx, sentFolder)
	return max(0, len(begun)-len(sent)), err // those over their time go one after the other
}
