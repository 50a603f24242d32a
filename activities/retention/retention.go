// Package retention disposes of what is over its time, and keeps the record that it was. Of nights their manifest and
// decision stay; in a sealed store their data keys go too, and with them every copy. Of taskings, plans, messages and
// notes nothing stays but names and hashes, in a signed record (trust, section 4).
//
// Nothing goes that somebody may still need: the approved stack, a night that waits for its decision, what either was
// compared with, the newest night, a tasking that is open or on the stack, the ledger's word on a message that could be
// sent again, and whatever is younger than a week. It must not know what the files of a night hold.
package retention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Rules say for how many days things are kept: nights after their date; 0: for ever.
type Rules struct {
	Extract int `json:"extract"` // the rows as read, those that could not be read, and the person links
	Night   int `json:"night"`   // everything but the records; messages in the outbox too
	// Tasking is for taskings after they ended, for the plans and receipts of nights after their date, and for messages
	// in the ledger after they were sent. At least LeastTasking.
	Tasking int `json:"tasking,omitempty"`
	// Outbox is the folder that stands for a mail server; empty: there is none.
	Outbox string `json:"-"`
}

// LeastTasking is the shortest time for taskings: two months. New ones may come by the month, by the plans of its first
// night (contract, section 8), and a message is tried for three days.
const LeastTasking = 62

// DefaultTasking is the time for taskings where a force says how long nights are kept and no more: six years, after
// which the guidance on the management of police information (MoPI) wants records reviewed.
const DefaultTasking = 2192

// resting is how long a night is left alone after it was claimed or published, whatever its date: a backfill of last
// year is still being made, or looked at.
const resting = 7 * 24 * time.Hour

// Activities dispose of the nights of a store.
type Activities struct {
	Store *store.Store
	Rules Rules
}

// DisposeParams asks for a disposal; with DryRun nothing is deleted.
type DisposeParams struct {
	Now    time.Time `json:"now"`
	DryRun bool      `json:"dry_run,omitempty"`
}

// DisposeResult is what went, or would go.
type DisposeResult struct {
	Disposals []Gone `json:"disposals"`
}

// Gone is one disposal, without its files: of a night, or of everything of one kind beside the nights.
type Gone struct {
	Night schemas.NightID `json:"night,omitzero"`
	What  string          `json:"what,omitempty"` // "taskings"
	Rule  string          `json:"rule"`
	Files int             `json:"files"`
	Bytes int64           `json:"bytes"` // of the files that the manifest names
}

// Dispose does away with what is over its time, as one activity. It may die at any point and be run again.
func (a *Activities) Dispose(ctx context.Context, p DisposeParams) (DisposeResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	gone, err := Dispose(ctx, a.Store, a.Rules, p.Now, p.DryRun)
	if err == nil && !p.DryRun {
		err = Clean(ctx, a.Store, p.Now)
	}
	return DisposeResult{gone}, task.Of(err)
}

// Clean deletes what no rule keeps, for it is nobody's record: what killed processes left, what passed between the
// stages of nights that have ended, and notes for reruns that did not come.
func Clean(ctx context.Context, st *store.Store, now time.Time) error {
	st.Sweep()
	all, err := nights.List(ctx, st)
	if err != nil {
		return err
	}
	var newest schemas.NightID
	if len(all) > 0 {
		newest = all[len(all)-1].ID
	}
	_, err = nights.Tidy(ctx, st, newest, now)
	if err == nil {
		_, err = nights.Forget(ctx, st, now)
	}
	return err
}

// night is what the store holds of one revision.
type night struct {
	id   schemas.NightID
	keys []string // of its folder and of its work
}

func (n *night) has(file string) bool { return slices.Contains(n.keys, n.id.Path()+"/"+file) }

// Dispose does away with what is over its time at now. The record is written first, then the audit log's entry, then
// the files go; files that are left beside a record, by a process that died, go the next time.
func Dispose(ctx context.Context, st *store.Store, rules Rules, now time.Time, dryRun bool) ([]Gone, error) {
	all, err := list(ctx, st)
	if err != nil {
		return nil, err
	}
	needed, err := needed(ctx, st)
	if err != nil {
		return nil, err
	}
	gone := []Gone{}
	for _, n := range all {
		for _, step := range []struct {
			record, what string
			days         int
			files        func(*night) []string
		}{
			{schemas.DisposalFile, "nights are kept", rules.Night, allButRecords},
			{schemas.ExtractGoneFile, "rows as read are kept", rules.Extract, rowsAsRead},
		} {
			keys := step.files(n)
			if len(keys) == 0 {
				continue
			}
			if !n.has(step.record) {
				if step.days == 0 || schemas.LondonDate(now).DaysSince(n.id.AsOf) <= step.days || needed[n.id] {
					continue
				}
				if young, err := n.young(ctx, st, now); err != nil || young {
					if err != nil {
						return gone, err
					}
					continue
				}
			}
			g, err := n.dispose(ctx, st, step.record, step.what+" for "+text.Count(step.days, "day"), keys, now, dryRun)
			if err != nil {
				return gone, err
			}
			gone = append(gone, g)
			break // The night has gone, its extract with it.
		}
	}
	records, err := disposeRecords(ctx, st, rules, needed, now, dryRun)
	if gone = append(gone, records...); err != nil || dryRun || !st.IsSealed() {
		return gone, err
	}
	if rules.Tasking > 0 {
		if _, err := st.ShredTaskings(ctx, now.AddDate(0, 0, -LeastTasking)); err != nil {
			return gone, err
		}
	}
	return gone, shred(ctx, st)
}

// shred destroys the data keys of what was disposed of: of every revision of a date, since they share them. It looks at
// what is there, so that what a process leaves undone that dies is done the next time.
func shred(ctx context.Context, st *store.Store) error {
	all, err := list(ctx, st)
	if err != nil {
		return err
	}
	over := map[schemas.Date]map[schemas.NightPart]bool{}
	for _, n := range all {
		if over[n.id.AsOf] == nil {
			over[n.id.AsOf] = map[schemas.NightPart]bool{schemas.NightRows: true, schemas.NightResult: true}
		}
		parts := over[n.id.AsOf]
		disposed := n.has(schemas.DisposalFile)
		if !disposed || len(allButRecords(n)) > 0 {
			parts[schemas.NightResult] = false
		}
		if !disposed && !n.has(schemas.ExtractGoneFile) || len(rowsAsRead(n)) > 0 {
			parts[schemas.NightRows] = false
		}
	}
	_, err = st.Shred(ctx, func(asOf schemas.Date, part schemas.NightPart) bool { return over[asOf][part] })
	return err
}

// list finds all revisions, claimed or published, oldest first.
func list(ctx context.Context, st *store.Store) ([]*night, error) {
	all := map[schemas.NightID]*night{}
	for _, root := range []string{schemas.NightsFolder, schemas.WorkFolder} {
		keys, err := st.List(ctx, root)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			id, ok := schemas.ParseNightPath(key)
			if !ok {
				continue // not ours
			}
			if all[id] == nil {
				all[id] = &night{id: id}
			}
			all[id].keys = append(all[id].keys, key)
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *night) int {
		if a.id.Before(b.id) {
			return -1
		}
		return 1
	}), nil
}

// needed are the nights that must stay whole: the newest, which the next may build on; those that wait for a decision,
// or whose approval is not effective yet; the approved stack, from which the taskings' packs are read; and what each of
// them was compared with.
func needed(ctx context.Context, st *store.Store) (map[schemas.NightID]bool, error) {
	all, err := nights.List(ctx, st)
	if err != nil {
		return nil, err
	}
	current, err := nights.LoadCurrent(ctx, st)
	if err != nil {
		return nil, err
	}
	needed := map[schemas.NightID]bool{}
	for i, n := range all {
		effective := current != nil && !current.Manifest.Before(n.ID)
		if i < len(all)-1 && n.Status != nights.Pending && (n.Status != schemas.Approved || effective) &&
			(current == nil || current.Manifest.NightID != n.ID) {
			continue
		}
		needed[n.ID] = true
		m, _, err := nights.LoadManifest(ctx, st, n.ID)
		if err != nil {
			return nil, err
		}
		if m.Previous != nil {
			needed[m.Previous.NightID] = true
		}
	}
	return needed, nil
}

func allButRecords(n *night) []string {
	return n.of(func(part schemas.NightPart) bool { return part != schemas.NightRecord })
}

func rowsAsRead(n *night) []string {
	return n.of(func(part schemas.NightPart) bool { return part == schemas.NightRows })
}

func (n *night) of(wanted func(schemas.NightPart) bool) (keys []string) {
	for _, key := range n.keys {
		if _, part, ok := schemas.NightPartOf(key); ok && wanted(part) {
			keys = append(keys, key)
		}
	}
	return keys
}

// young tells whether the night was claimed or published within the last days.
func (n *night) young(ctx context.Context, st *store.Store, now time.Time) (bool, error) {
	file := n.id.Path() + "/" + schemas.ManifestFile
	if !n.has(schemas.ManifestFile) {
		file = n.keys[0]
		if n.has(schemas.ClaimFile) {
			file = n.id.Path() + "/" + schemas.ClaimFile
		}
	}
	at, err := st.Modified(ctx, file)
	return now.Sub(at) < resting, err
}

// dispose writes the record unless one stands, notes it in the audit log and deletes the files.
func (n *night) dispose(
	ctx context.Context,
	st *store.Store,
	record, rule string,
	keys []string,
	now time.Time,
	dryRun bool,
) (Gone, error) {
	d := schemas.Disposal{NightID: n.id, Rule: rule, At: now.UTC(), Files: []schemas.ArtifactRef{}}
	named := map[string]schemas.ArtifactRef{}
	if n.has(schemas.ManifestFile) {
		m, ref, err := nights.LoadManifest(ctx, st, n.id)
		if err != nil {
			return Gone{}, err
		}
		d.Manifest = ref.SHA256
		for _, o := range m.Outputs {
			named[o.URI] = o
		}
		erased, err := st.Erasures(ctx, n.id)
		if err != nil {
			return Gone{}, err
		}
		for _, e := range erased {
			for _, f := range e.Files {
				named[f.Is.URI] = f.Is
			}
		}
	}
	g := Gone{Night: n.id, Rule: rule, Files: len(keys)}
	for _, key := range keys {
		ref, ok := named[key]
		if !ok {
			ref = schemas.ArtifactRef{URI: key}
		}
		d.Files = append(d.Files, ref)
		g.Bytes += ref.Bytes
	}
	if dryRun {
		return g, nil
	}
	var data bytes.Buffer
	e := json.NewEncoder(&data)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return g, err
	}
	key := n.id.Path() + "/" + record
	if err := st.CreateOnly(ctx, key, st.Record(key, data.Bytes())); err != nil && !errors.Is(err, store.ErrExists) {
		return g, err
	}
	files, err := audit.Stored(ctx, st, key)
	if err != nil {
		return g, err
	}
	// A process that dies before the last file is gone is in the log twice rather than not at all.
	err = audit.Append(
		ctx,
		st,
		audit.Entry{
			At:        now.UTC(),
			Operation: audit.Erasure,
			Actor:     audit.Worker,
			Did:       "disposed of " + text.Count(len(keys), "file"),
			On:        audit.Object{Night: n.id.String()},
			Why:       rule,
			Files:     files,
		},
	)
	if err != nil {
		return g, err
	}
	for _, key := range keys {
		if err := st.Delete(ctx, key); err != nil {
			return g, err
		}
	}
	return g, nil
}
