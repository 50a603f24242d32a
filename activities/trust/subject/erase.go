package subject

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// To erase a person is to write every file that names them anew without them (trust, section 4), in this order: what is
// to be erased, so that whoever comes after a process that died knows all of their ids, though half of the links that
// told of them are gone; then night by night the signed record of old and new hashes, its entry in the audit log, and
// the files; and last the end of it. Whoever else is ranked stays where they were published.

// Erasing says who is erased, and why.
type Erasing struct {
	By  audit.Actor
	Why string
	Now time.Time
	// Outbox is the folder that stands for a mail server; empty: there is none.
	Outbox string
}

// Erased is what an erasure did, or would do.
type Erased struct {
	Files []Changed `json:"files"`
	// Work counts files that passed between the stages of nights, or were left of nights that were never published: they
	// go whole. Messages counts those in the outbox that name the person, which go too.
	Work     int `json:"work_files"`
	Messages int `json:"outbox_messages"`
}

// Changed is one file of a night.
type Changed struct {
	Night schemas.NightID `json:"night"`
	File  string          `json:"file"`
	// Removed counts rows that go, Blanked those of others that stay without the person's id as their victim.
	Removed int64 `json:"rows_removed"`
	Blanked int64 `json:"rows_blanked"`
}

// Nights is how many nights are changed.
func (e Erased) Nights() int {
	nights := map[schemas.NightID]bool{}
	for _, f := range e.Files {
		nights[f.Night] = true
	}
	return len(nights)
}

// ErrNightRuns says that a night is being made: its files cannot be told from those that stay.
var ErrNightRuns = errors.New("it is being made: wait until it has ended, and run this again")

// resting is how long nothing was written to a night that was never published before it is taken for dead.
const resting = 12 * time.Hour

// intent is what an erasure that is under way has to end.
type intent struct {
	IDs []string  `json:"ids"`
	At  time.Time `json:"at"`
}

// Preview tells what Erase would do, and changes nothing.
func Preview(ctx context.Context, st *store.Store, names pseudonym.Names, ids []string, outbox string) (Erased, error) {
	e := &eraser{store: st, held: Held{IDs: ids}, why: Erasing{Outbox: outbox, Now: time.Now()}, names: names, preview: true}
	err := e.erase(ctx)
	return e.done, err
}

// Allowed says why nobody of these ids can be erased from here, or not for this reason.
func Allowed(st *store.Store, ids []string, why string) error {
	if st.Keys.Checks() && !st.Keys.Signs() {
		return errors.New("give HARMSTACK_SIGNING_KEY: the record of what is rewritten is signed by the worker's key")
	}
	if slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(why, id) }) {
		return errors.New("--why: leave the person's id out: the reason goes into the log, from which nothing is erased")
	}
	return nil
}

// Erase erases a person, whom Find has found, from every file of the store and the outbox. It may die at any point and
// be run again, by any of their ids. What is left of them is their pseudonym, in taskings, ledger and log.
func Erase(ctx context.Context, st *store.Store, names pseudonym.Names, ids []string, why Erasing) (Erased, error) {
	if err := Allowed(st, ids, why.Why); err != nil {
		return Erased{}, err
	}
	e := &eraser{store: st, held: Held{IDs: ids}, why: why, names: names}
	if err := e.begin(ctx); err != nil {
		return e.done, err
	}
	if err := e.erase(ctx); err != nil {
		return e.done, err
	}
	return e.done, e.end(ctx)
}

// Known adds to some ids of a person those that an erasure of them had found which was begun and has not ended.
func Known(ctx context.Context, st *store.Store, ids []string) (all []string, begun bool, err error) {
	keys, err := st.List(ctx, schemas.ErasingFolder)
	all = slices.Clone(ids)
	for _, key := range keys {
		data, err := st.ReadRecord(ctx, key)
		if err != nil {
			return nil, false, err
		}
		var i intent
		if json.Unmarshal(data, &i) != nil {
			return nil, false, fmt.Errorf("%s: %w", key, store.ErrDamaged)
		}
		if slices.ContainsFunc(i.IDs, func(id string) bool { return slices.Contains(all, id) }) {
			all, begun = append(all, i.IDs...), true
		}
	}
	slices.Sort(all)
	return slices.Compact(all), begun, err
}

type eraser struct {
	store   *store.Store
	held    Held
	why     Erasing
	names   pseudonym.Names
	preview bool
	done    Erased
	clean   map[string]bool // sha256 of artefacts that do not name the person: nights share equal files
}

// person is the pseudonym that the records name.
func (e *eraser) person() string { return e.names.Name(e.held.IDs[0]) }

func (e *eraser) on(night string) audit.Object {
	return audit.Object{Night: night, Pseudonyms: e.names.All(e.held.IDs)}
}

// begin writes down whom it erases.
func (e *eraser) begin(ctx context.Context) (err error) {
	if e.held.IDs, _, err = Known(ctx, e.store, e.held.IDs); err != nil {
		return err
	}
	key := schemas.ErasingFolder + e.person() + ".json"
	data, err := json.Marshal(intent{e.held.IDs, e.why.Now.UTC()})
	if err == nil {
		err = e.store.Replace(ctx, key, e.store.Record(key, data))
	}
	return err
}

// end notes in the log that it is done, and forgets whom.
func (e *eraser) end(ctx context.Context) error {
	err := audit.Append(ctx, e.store, audit.Entry{At: e.why.Now.UTC(), Operation: audit.Erasure, Actor: e.why.By, Why: e.why.Why,
		Did: "erased one person from " + text.Count(e.done.Nights(), "night"), On: e.on("")})
	if err != nil {
		return err
	}
	keys, err := e.store.List(ctx, schemas.ErasingFolder)
	for _, key := range keys {
		name := strings.TrimSuffix(strings.TrimPrefix(key, schemas.ErasingFolder), ".json")
		if slices.ContainsFunc(e.held.IDs, func(id string) bool { return e.names.Name(id) == name }) {
			err = errors.Join(err, e.store.Delete(ctx, key))
		}
	}
	return err
}

// erase goes through everything.
func (e *eraser) erase(ctx context.Context) error {
	e.clean = map[string]bool{}
	all, err := nights.List(ctx, e.store)
	if err != nil {
		return err
	}
	published := map[schemas.NightID]bool{}
	for _, n := range all {
		published[n.ID] = true
	}
	if err := e.work(ctx, published); err != nil {
		return err
	}
	for _, n := range all {
		if err := e.night(ctx, n.ID); err != nil {
			return err
		}
	}
	// Notes for reruns lead to files that are others now.
	notes, err := e.store.List(ctx, schemas.ReuseFolder)
	for _, key := range notes {
		if !e.preview && len(e.done.Files) > 0 {
			err = errors.Join(err, e.store.Delete(ctx, key))
		}
	}
	if err != nil {
		return err
	}
	e.done.Messages, err = e.outbox()
	return err
}

// work deletes what passed between stages, and what is left of nights that were never published. One to which somebody
// wrote lately is being made.
func (e *eraser) work(ctx context.Context, published map[schemas.NightID]bool) error {
	var keys []string
	for _, root := range []string{schemas.WorkFolder, schemas.NightsFolder} {
		found, err := e.store.List(ctx, root)
		if err != nil {
			return err
		}
		for _, key := range found {
			id, part, ok := schemas.NightPartOf(key)
			if !ok || part == schemas.NightRecord || published[id] && root == schemas.NightsFolder {
				continue
			}
			at, err := e.store.Modified(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if !published[id] && e.why.Now.Sub(at) < resting {
				return fmt.Errorf("night %s: %w", id, ErrNightRuns)
			}
			keys = append(keys, key)
		}
	}
	e.done.Work = len(keys)
	for _, key := range keys {
		if e.preview {
			break
		}
		if err := e.store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// night erases the person from one published night.
func (e *eraser) night(ctx context.Context, id schemas.NightID) error {
	m, ref, err := nights.LoadManifest(ctx, e.store, id)
	if err != nil {
		return err
	}
	var files []*file
	for _, o := range m.Outputs {
		latest, err := e.store.Latest(ctx, o)
		if err != nil {
			return err
		}
		// Of one that an erasure names nobody knows which of its contents lies there.
		asWritten := latest.SHA256 == o.SHA256
		if asWritten && e.clean[o.SHA256] {
			continue
		}
		f, err := e.held.without(ctx, e.store, m, o)
		if err = nights.WhyMissing(ctx, e.store, id, err); errors.Is(err, nights.ErrDisposed) {
			continue
		}
		if err != nil {
			return err
		}
		if f == nil {
			e.clean[o.SHA256] = asWritten
			continue
		}
		files = append(files, f)
		e.done.Files = append(e.done.Files,
			Changed{id, strings.TrimPrefix(o.URI, id.Path()+"/"), f.removed, f.blanked})
	}
	if e.preview || len(files) == 0 {
		return nil
	}
	record := schemas.Erasure{NightID: id, Person: e.person(), At: e.why.Now.UTC(), Manifest: ref.SHA256}
	for _, f := range files {
		is, err := measure(f)
		if err != nil {
			return err
		}
		record.Files = append(record.Files, schemas.Rewritten{Was: f.ref, Is: is})
	}
	if err := e.record(ctx, record); err != nil {
		return err
	}
	for i, f := range files {
		// The bytes are made anew from the file as it is: nothing of it must be held in memory.
		is, err := e.store.Write(ctx, f.ref.URI, f.ref.Schema, f.write)
		if err == nil && is != record.Files[i].Is {
			err = fault.Errorf(fault.DamagedArtifact,
				"%s: it came out as other bytes than a moment ago: run this again", f.ref.URI)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// measure is what a file will be.
func measure(f *file) (schemas.ArtifactRef, error) {
	return store.Measure(f.ref.URI, f.ref.Schema, f.write)
}

// record writes the record of what is rewritten, unless the last one says the same, and notes it in the log: a process
// that dies before the files are written is in the log twice rather than not at all.
func (e *eraser) record(ctx context.Context, r schemas.Erasure) error {
	all, err := e.store.Erasures(ctx, r.NightID)
	if err != nil {
		return err
	}
	number := len(all)
	if number == 0 || !says(all[number-1], r) {
		number++
		var data bytes.Buffer
		out := json.NewEncoder(&data)
		out.SetIndent("", "  ")
		if err := out.Encode(r); err != nil {
			return err
		}
		key := r.ErasureKey(number)
		if err := e.store.CreateOnly(ctx, key, e.store.Record(key, data.Bytes())); err != nil {
			return err
		}
	}
	files, err := audit.Stored(ctx, e.store, r.ErasureKey(number))
	if err != nil {
		return err
	}
	return audit.Append(ctx, e.store, audit.Entry{At: r.At, Operation: audit.Erasure, Actor: e.why.By, Why: e.why.Why,
		Did: "erased one person from " + text.Count(len(r.Files), "file") + " of a night", On: e.on(r.NightID.String()),
		Files: files})
}

// says tells whether a record covers what another says of the same person.
func says(record, r schemas.Erasure) bool {
	for _, f := range r.Files {
		if record.Person != r.Person || !slices.Contains(record.Files, f) {
			return false
		}
	}
	return true
}

// Of counts the people who were erased from a night.
func Of(ctx context.Context, st *store.Store, id schemas.NightID) (int, error) {
	all, err := st.Erasures(ctx, id)
	people := map[string]bool{}
	for _, e := range all {
		people[e.Person] = true
	}
	return len(people), err
}
