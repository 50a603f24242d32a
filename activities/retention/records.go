package retention

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/casework"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// What a night leaves beside itself is kept for Rules.Tasking: what was asked of whom and what they answered. It goes in
// this order: the record of what goes, disposals/<number>.json; the entry in the audit log; the files. Who comes after
// a process that died in between looks at the last record first.

// The folders of what teams were to do and to know, and of what they were told.
const (
	plansFolder  = "taskings/plans/"
	failedFolder = "taskings/failed-orders/"
	toldFolder   = "taskings/told/"
)

// outbox begins the names of messages in the folder that stands for a mail server.
const outbox = "outbox/"

// perRecord is how many files one record names.
const perRecord = 1000

// notes is for how many days notes for reruns are kept, as by nights.Forget.
const notes = 30

// set is some files that go under one rule, in this order.
type set struct {
	what, rule string
	files      []schemas.ArtifactRef
}

// disposeRecords does away with everything over its time that is no night.
func disposeRecords(
	ctx context.Context, st *store.Store, rules Rules, needed map[schemas.NightID]bool, now time.Time, dryRun bool,
) (gone []Gone, err error) {
	h := &hoard{store: st, rules: rules, needed: needed, now: now}
	if !dryRun {
		if err := h.finish(ctx); err != nil {
			return nil, err
		}
	}
	for _, find := range []func(context.Context) (set, error){h.taskings, h.plans, h.told, h.messages, h.outbox, h.reuse} {
		s, err := find(ctx)
		if err != nil {
			return gone, err
		}
		if len(s.files) == 0 {
			continue
		}
		g := Gone{What: s.what, Rule: s.rule, Files: len(s.files)}
		for _, f := range s.files {
			g.Bytes += f.Bytes
		}
		gone = append(gone, g)
		for files := range slices.Chunk(s.files, perRecord) {
			if dryRun {
				break
			}
			d := schemas.RecordsDisposal{What: s.what, Rule: s.rule, At: now.UTC(), Files: files}
			if err := h.dispose(ctx, d); err != nil {
				return gone, err
			}
		}
	}
	return gone, nil
}

// hoard is what a store has beside its nights.
type hoard struct {
	store  *store.Store
	rules  Rules
	needed map[schemas.NightID]bool
	now    time.Time

	last *schemas.Current // record of an approval; nil: there is none
	live map[string]bool  // the taskings that stay as they are, by reference
}

// over tells whether something of that day is over its time.
func (h *hoard) over(day schemas.Date, days int) bool {
	return days > 0 && schemas.LondonDate(h.now).DaysSince(day) > days
}

func (h *hoard) rule(what string) string {
	return what + " for " + text.Count(h.rules.Tasking, "day")
}

// stat is a file of the store by its content.
func (h *hoard) stat(ctx context.Context, key string) (schemas.ArtifactRef, error) {
	data, err := h.store.Read(ctx, key)
	return reference(key, data), err
}

func reference(name string, data []byte) schemas.ArtifactRef {
	sum := sha256.Sum256(data)
	return schemas.ArtifactRef{URI: name, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(data))}
}

// stats is stat of several, in their order; those that went meanwhile are left out.
func (h *hoard) stats(ctx context.Context, keys []string) ([]schemas.ArtifactRef, error) {
	refs := make([]schemas.ArtifactRef, len(keys))
	err := each(ctx, keys, func(ctx context.Context, i int, key string) (err error) {
		if refs[i], err = h.stat(ctx, key); errors.Is(err, store.ErrNotFound) {
			refs[i], err = schemas.ArtifactRef{}, nil
		}
		return err
	})
	return slices.DeleteFunc(refs, func(r schemas.ArtifactRef) bool { return r.URI == "" }), err
}

// each calls f for each of a list, some at a time: a bucket answers in tens of milliseconds.
func each[T any](ctx context.Context, all []T, f func(ctx context.Context, i int, one T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, one := range all {
		g.Go(func() error { return f(ctx, i, one) })
	}
	return g.Wait()
}

// taskings are those that have ended: closed or stood down, off the stack, and nothing happened to them since. All of
// one goes, its last version last, so that what is left of one is never taken for another state of it.
func (h *hoard) taskings(ctx context.Context) (s set, err error) {
	s = set{what: "taskings", rule: h.rule("taskings are kept after they ended")}
	if h.rules.Tasking == 0 {
		return s, nil
	}
	if h.last, err = nights.LastRecord(ctx, h.store); err != nil {
		return s, err
	}
	if h.live, err = h.planned(ctx); err != nil {
		return s, err
	}
	marked, err := casework.Marked(ctx, h.store)
	for _, reference := range marked {
		h.live[reference] = true
	}
	if err != nil {
		return s, err
	}
	keys, err := h.store.List(ctx, casework.CasesFolder)
	if err != nil {
		return s, err
	}
	versions := map[string][]string{} // of a reference
	for _, key := range keys {
		reference := path.Base(path.Dir(key))
		versions[reference] = append(versions[reference], key)
	}
	var mu sync.Mutex
	var ended []string
	err = each(ctx, slices.Collect(maps.Keys(versions)), func(ctx context.Context, _ int, reference string) error {
		of := versions[reference]
		t, err := h.tasking(ctx, of[len(of)-1])
		if casework.Unreadable(err) { // for `starter verify` to tell
			err = nil
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case t == nil || t.State.Open() || t.OnStack:
			h.live[reference] = true
		case !h.live[reference] && h.over(schemas.LondonDate(t.Events[len(t.Events)-1].At), h.rules.Tasking):
			ended = append(ended, reference)
		}
		return nil
	})
	slices.Sort(ended)
	for _, reference := range ended {
		refs, statErr := h.stats(ctx, versions[reference])
		s.files, err = append(s.files, refs...), errors.Join(err, statErr)
	}
	return s, err
}

// tasking reads one version.
func (h *hoard) tasking(ctx context.Context, key string) (*schemas.Tasking, error) {
	data, err := h.store.ReadRecord(ctx, key)
	if err != nil {
		return nil, err
	}
	t := new(schemas.Tasking)
	if json.Unmarshal(data, t) != nil || len(t.Events) == 0 {
		return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
	}
	return t, nil
}

// planned are those of whom the last approval, or the last that was taken back, has something to say: an order may be
// under way.
func (h *hoard) planned(ctx context.Context) (map[string]bool, error) {
	references := map[string]bool{}
	if h.last == nil {
		return references, nil
	}
	keys, err := h.store.List(ctx, plansFolder+h.last.Occasion()+"/")
	for _, key := range keys {
		data, err := h.store.ReadRecord(ctx, key)
		if err != nil {
			return nil, err
		}
		type named struct {
			Reference string `json:"reference"`
		}
		var plan struct{ Orders, Suspects []named }
		if json.Unmarshal(data, &plan) != nil {
			return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
		}
		for _, n := range slices.Concat(plan.Orders, plan.Suspects) {
			references[n.Reference] = true
		}
	}
	return references, err
}

// plans are those of nights that nobody is tasked from any more, and the orders of theirs that were never carried out.
func (h *hoard) plans(ctx context.Context) (s set, err error) {
	s = set{what: "plans", rule: h.rule("plans are kept")}
	if h.rules.Tasking == 0 {
		return s, nil
	}
	var over []string
	for _, folder := range []string{plansFolder, failedFolder} {
		keys, err := h.store.List(ctx, folder)
		if err != nil {
			return s, err
		}
		for _, key := range keys {
			occasion, _, _ := strings.Cut(strings.TrimPrefix(key, folder), "/")
			night, ok := nightOf(occasion)
			if !ok || !h.over(night.AsOf, h.rules.Tasking) || h.needed[night] || h.last != nil && h.last.Occasion() == occasion {
				continue
			}
			young, err := h.young(ctx, key) // a backfill of long ago was approved just now
			if err != nil {
				return s, err
			}
			if !young {
				over = append(over, key)
			}
		}
	}
	s.files, err = h.stats(ctx, over)
	return s, err
}

// nightOf is the night of an occasion, as schemas.Occasion writes it.
func nightOf(occasion string) (id schemas.NightID, ok bool) {
	name := strings.TrimPrefix(occasion, "revoked-")
	date, revision, _ := strings.Cut(name, "-r")
	id.AsOf, _ = schemas.ParseDate(date)
	_, err := fmt.Sscanf(revision, "%d", &id.Revision)
	return id, err == nil && id.String() == name
}

func (h *hoard) young(ctx context.Context, key string) (bool, error) {
	at, err := h.store.Modified(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil // it went by itself
	}
	return h.now.Sub(at) < resting, err
}

// told are the notes of what teams were told, but for the last of each: the next digest is compared with that.
func (h *hoard) told(ctx context.Context) (s set, err error) {
	s = set{what: "notes of what teams were told", rule: h.rule("notes of what teams were told are kept")}
	if h.rules.Tasking == 0 {
		return s, nil
	}
	keys, err := h.store.List(ctx, toldFolder)
	if err != nil {
		return s, err
	}
	// Numbered ones sort before the dated ones of an older build.
	numbered := func(key string) bool { return strings.Count(strings.TrimPrefix(key, toldFolder), "/") == 1 }
	last := map[string]string{} // by team
	for _, key := range keys {
		team, _, _ := strings.Cut(strings.TrimPrefix(key, toldFolder), "/")
		if before := last[team]; before == "" || numbered(key) || !numbered(before) {
			last[team] = key
		}
	}
	over := make([]bool, len(keys))
	err = each(ctx, keys, func(ctx context.Context, i int, key string) error {
		team, _, _ := strings.Cut(strings.TrimPrefix(key, toldFolder), "/")
		// Of dated ones all of the last date may count.
		if last[team] == key || !numbered(key) && path.Dir(last[team]) == path.Dir(key) {
			return nil
		}
		if young, err := h.young(ctx, key); err != nil || young {
			return err
		}
		data, err := h.store.ReadRecord(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		var receipt struct{ Manifest schemas.ManifestRef }
		if err == nil && json.Unmarshal(data, &receipt) != nil {
			err = fmt.Errorf("%s: %w", key, store.ErrDamaged)
		}
		day := receipt.Manifest.AsOf
		if err == nil && day.IsZero() { // that no stack is approved any more
			var at time.Time
			at, err = h.store.Modified(ctx, key)
			day = schemas.LondonDate(at)
		}
		over[i] = err == nil && h.over(day, h.rules.Tasking)
		return err
	})
	if err != nil {
		return s, err
	}
	i := -1
	s.files, err = h.stats(ctx, slices.DeleteFunc(keys, func(string) bool { i++; return !over[i] }))
	return s, err
}

// messages are entries of the ledger. Those stay that keep a message from being sent twice: of a night that is needed,
// and of taskings that are not over.
func (h *hoard) messages(ctx context.Context) (s set, err error) {
	s = set{what: "messages in the ledger", rule: h.rule("messages are kept in the ledger")}
	if h.rules.Tasking == 0 {
		return s, nil
	}
	entries, err := ledger.Read(ctx, h.store)
	if err != nil {
		return s, err
	}
	over := map[string]bool{}
	for _, e := range entries {
		night, of := strings.CutPrefix(e.Subject, "night ")
		id, _ := nightOf(night)
		current := h.last != nil && (h.last.Manifest.NightID == id || h.last.Occasion() == schemas.Occasion(schemas.NightID{}, id))
		if !h.over(schemas.LondonDate(e.Last()), h.rules.Tasking) || h.live[e.Subject] || of && (h.needed[id] || current) {
			continue
		}
		over[e.ID] = true
	}
	keys, err := ledger.Keys(ctx, h.store)
	if err != nil {
		return s, err
	}
	s.files, err = h.stats(ctx, slices.DeleteFunc(keys, func(key string) bool { return !over[ledger.IDOf(key)] }))
	return s, err
}

// outbox are messages in the folder that stands for a mail server: their attachments hold what a night holds.
func (h *hoard) outbox(context.Context) (s set, err error) {
	s = set{what: "messages in the outbox", rule: "messages in the outbox are kept for " + text.Count(h.rules.Night, "day")}
	if h.rules.Outbox == "" || h.rules.Night == 0 {
		return s, nil
	}
	files, err := os.ReadDir(h.rules.Outbox)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || !info.Mode().IsRegular() || path.Ext(f.Name()) != ".eml" ||
			!h.over(schemas.LondonDate(info.ModTime()), h.rules.Night) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(h.rules.Outbox, f.Name()))
		if err != nil {
			return s, fmt.Errorf("HARMSTACK_OUTBOX: %w", err)
		}
		s.files = append(s.files, reference(outbox+f.Name(), data))
	}
	return s, err
}

// reuse are the notes of what stages made that no night has taken over for a month.
func (h *hoard) reuse(ctx context.Context) (s set, err error) {
	s = set{what: "notes for reruns", rule: "notes for reruns are kept for " + text.Count(notes, "day")}
	if h.rules.Tasking == 0 {
		return s, nil // nights.Forget sees to them, and keeps no record
	}
	keys, err := h.store.List(ctx, schemas.ReuseFolder)
	if err != nil {
		return s, err
	}
	var over []string
	for _, key := range keys {
		at, err := h.store.Modified(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return s, err
		}
		if err == nil && at.Before(h.now.AddDate(0, 0, -notes)) {
			over = append(over, key)
		}
	}
	s.files, err = h.stats(ctx, over)
	return s, err
}

// finish ends what the last record says, if its process could not.
func (h *hoard) finish(ctx context.Context) error {
	keys, err := h.store.List(ctx, schemas.DisposalsFolder)
	if err != nil || len(keys) == 0 {
		return err
	}
	key := keys[len(keys)-1]
	data, err := h.store.ReadRecord(ctx, key)
	if err != nil {
		return err
	}
	var d schemas.RecordsDisposal
	if json.Unmarshal(data, &d) != nil {
		return fmt.Errorf("%s: %w", key, store.ErrDamaged)
	}
	left, err := h.left(ctx, d.Files)
	if err != nil || len(left) == 0 {
		return err // the log was told before the first file went
	}
	return h.carryOut(ctx, key, data, d, left)
}

// dispose writes the record of what goes, and does away with it.
func (h *hoard) dispose(ctx context.Context, d schemas.RecordsDisposal) error {
	keys, err := h.store.List(ctx, schemas.DisposalsFolder)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	for number := len(keys) + 1; ; number++ {
		key := schemas.DisposalKey(number)
		record := h.store.Record(key, append(data, '\n'))
		if err := h.store.CreateOnly(ctx, key, record); errors.Is(err, store.ErrExists) {
			continue // somebody else disposes at the same time
		} else if err != nil {
			return err
		}
		return h.carryOut(ctx, key, record, d, d.Files)
	}
}

// carryOut notes a record in the audit log and deletes the files. A process that dies before the last file is gone is in
// the log twice rather than not at all.
func (h *hoard) carryOut(ctx context.Context, key string, record []byte, d schemas.RecordsDisposal, left []schemas.ArtifactRef) error {
	err := audit.Append(ctx, h.store, audit.Entry{
		At: h.now.UTC(), Operation: audit.Erasure, Actor: audit.Worker, Why: d.Rule, On: audit.Object{Thing: d.What},
		Did: "disposed of " + text.Count(len(d.Files), "file"), Files: audit.Written(key, record),
	})
	if err != nil {
		return err
	}
	for _, f := range left {
		if name, ok := strings.CutPrefix(f.URI, outbox); ok {
			if err := os.Remove(filepath.Join(h.rules.Outbox, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("HARMSTACK_OUTBOX: %w", err)
			}
		} else if err := h.store.Delete(ctx, f.URI); err != nil {
			return err
		}
	}
	return nil
}

// left are those of a record's files that are still there as they were: what was written since under the same name is
// another file.
func (h *hoard) left(ctx context.Context, files []schemas.ArtifactRef) ([]schemas.ArtifactRef, error) {
	there := make([]bool, len(files))
	err := each(ctx, files, func(ctx context.Context, i int, f schemas.ArtifactRef) error {
		if name, ok := strings.CutPrefix(f.URI, outbox); ok {
			data, err := os.ReadFile(filepath.Join(h.rules.Outbox, path.Base(name)))
			there[i] = h.rules.Outbox != "" && err == nil && reference(f.URI, data) == f
			return nil
		}
		is, err := h.stat(ctx, f.URI)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		there[i] = is == f
		return err
	})
	i := -1
	return slices.DeleteFunc(slices.Clone(files), func(schemas.ArtifactRef) bool { i++; return !there[i] }), err
}

// Of is what went, for people.
func (g Gone) Of() string { return cmp.Or(g.What, g.Night.String()) }
