// Package audit keeps the log of who did what, to what, and why (contract, section 9): append-only and hash-chained,
// one create-only record after another in the artefact store. Its checkpoints, kept elsewhere, tell whether it was
// cut off or rewritten since.
//
// It must not know what the entries are about; a suspect stands in them by pseudonym only, which is for the caller to
// see to.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"harmstack/activities/store"
)

const folder = "audit/"

// Operation is what kind of act an entry records: one of the six that the Data Protection Act 2018, section 62, wants
// logged.
type Operation string

const (
	Collection   Operation = "collection"   // a night began to read its source
	Alteration   Operation = "alteration"   // a decision, a tasking's next version, a configuration
	Consultation Operation = "consultation" // somebody looked
	Disclosure   Operation = "disclosure"   // a message went out
	Combination  Operation = "combination"  // which inputs made a night
	Erasure      Operation = "erasure"      // files, or rows of them, went for good
)

// operations are all of them; an entry from before they were told apart has none.
var operations = []Operation{Collection, Alteration, Consultation, Disclosure, Combination, Erasure}

// How sure it is that an actor is who the entry says.
const (
	Attested = "attested" // by an attestation whose signature was checked
	Claimed  = "claimed"  // by a name that was given
	System   = "system"   // nobody: the worker by itself
)

// Actor is who acted.
type Actor struct {
	Name     string `json:"name"`
	Verified string `json:"verified"` // Attested, Claimed or System
	// Subject and Attestation are of an attested act: who it is to whoever signs people in, and the attestation's id.
	Subject     string `json:"subject,omitempty"`
	Attestation string `json:"attestation,omitempty"`
}

// Claims is an actor by a name that nothing proves.
func Claims(name string) Actor { return Actor{Name: name, Verified: Claimed} }

// Worker is the worker, acting by itself.
var Worker = Actor{Name: "harmstack", Verified: System}

// Object is what was acted on; what does not apply is empty.
type Object struct {
	Night      string   `json:"night,omitempty"`      // `2026-06-30-r1`, or a date alone
	Team       string   `json:"team,omitempty"`       // a borough or a desk
	Pseudonyms []string `json:"pseudonyms,omitempty"` // of suspects
	Thing      string   `json:"thing,omitempty"`      // anything else, such as a configuration
}

// String is the object in one line.
func (o Object) String() string {
	parts := slices.DeleteFunc([]string{o.Night, o.Team, strings.Join(o.Pseudonyms, " "), o.Thing},
		func(s string) bool { return s == "" })
	return strings.Join(parts, ", ")
}

// The outcomes of an act.
const (
	Done    = "done"
	Refused = "refused"
)

// File is a file by its contents.
type File struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"` // empty: it went
}

// Entry is one record of the log. Number and Previous are filled in by Append.
type Entry struct {
	Number    int       `json:"number"`
	At        time.Time `json:"at"`
	Operation Operation `json:"operation"`
	Actor     Actor     `json:"actor"`
	Did       string    `json:"did"` // what was done, in words: `looked at the stack`, `approved`, `sent a digest`
	On        Object    `json:"on,omitzero"`
	Outcome   string    `json:"outcome"`       // Done or Refused; Append takes an empty one for Done
	Why       string    `json:"why,omitempty"` // the justification, or the reason of a refusal
	// Inputs of a Combination are what was combined.
	Inputs []File `json:"inputs,omitempty"`
	// To are the addresses that a Disclosure went to.
	To []string `json:"to,omitempty"`
	// Files are the records in the store that the act wrote, by their keys, or did away with.
	Files []File `json:"files,omitempty"`
	// Previous is the sha256 of the record before, whole; empty for the first.
	Previous string `json:"previous"`
}

// UnmarshalJSON also reads an entry from before operations were told apart, when `who` was a name and `on` a text.
func (e *Entry) UnmarshalJSON(data []byte) error {
	type plain Entry
	read := struct {
		*plain
		Who string          `json:"who"`
		On  json.RawMessage `json:"on"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	if read.Who == "" {
		if len(read.On) == 0 {
			return nil
		}
		return json.Unmarshal(read.On, &e.On)
	}
	e.Actor, e.Outcome = Claims(read.Who), Done
	if read.Who == Worker.Name {
		e.Actor = Worker
	}
	if len(read.On) == 0 {
		return nil
	}
	return json.Unmarshal(read.On, &e.On.Thing)
}

// check refuses an entry that says too little. It is a mistake of whoever wrote the call.
func (e Entry) check() error {
	if !slices.Contains(operations, e.Operation) || e.Actor.Name == "" || e.Did == "" ||
		!slices.Contains([]string{Attested, Claimed, System}, e.Actor.Verified) ||
		!slices.Contains([]string{Done, Refused}, e.Outcome) {
		return fmt.Errorf("audit log: an entry of %q lacks its operation, actor or outcome", e.Did)
	}
	return nil
}

// Append adds one entry at the end. Several processes may append at once: a number is claimed by a
// create-only write, and whoever comes second takes the next.
func Append(ctx context.Context, st *store.Store, e Entry) error {
	if e.Outcome == "" {
		e.Outcome = Done
	}
	if err := e.check(); err != nil {
		return err
	}
	end := endOf(st)
	end.Lock() // whoever of this process appends at once would only take each other's number
	defer end.Unlock()
	for {
		last, err := end.length(ctx, st)
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
		name := key(e.Number)
		err = st.CreateOnly(ctx, name, st.Record(name, append(data, '\n')))
		if !errors.Is(err, store.ErrExists) {
			return err
		}
	}
}

// Written is what an entry says of one record that its act wrote.
func Written(key string, data []byte) []File { return []File{{key, hash(data)}} }

// Stored is Written for a record that lies in the store.
func Stored(ctx context.Context, st *store.Store, key string) ([]File, error) {
	data, err := st.Read(ctx, key)
	return Written(key, data), err
}

// Writable tells at once whether this process may append to the log; store.ErrDenied says why not.
func Writable(st *store.Store) error { return st.Writable(folder) }

// end is how long the log of a *store.Store was found to be: a bucket answers in tens of milliseconds.
type end struct {
	sync.Mutex
	last int
}

var ends sync.Map // by *store.Store

func endOf(st *store.Store) *end {
	e, _ := ends.LoadOrStore(st, &end{})
	return e.(*end)
}

func length(ctx context.Context, st *store.Store) (int, error) {
	e := endOf(st)
	e.Lock()
	defer e.Unlock()
	return e.length(ctx, st)
}

// length finds the last number by doubling and halving, from where it was last: a year's log is long, and each entry
// would list it.
func (e *end) length(ctx context.Context, st *store.Store) (int, error) {
	have := func(n int) (bool, error) {
		_, err := st.Size(ctx, key(n))
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	low := 0 // is there; high may not be
	if e.last > 0 {
		there, err := have(e.last)
		if err != nil {
			return 0, err
		}
		if there { // else somebody has cut it off
			low = e.last
		}
	}
	high := low + 1
	for step := 1; ; step *= 2 {
		there, err := have(high)
		if err != nil {
			return 0, err
		}
		if !there {
			break
		}
		low, high = high, high+step
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
	e.last = low
	return low, nil
}

func key(number int) string { return fmt.Sprintf("%s%010d.json", folder, number) }

func hash(data []byte) string { return hex.EncodeToString(sum(data)) }

func sum(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}
