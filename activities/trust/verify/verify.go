// Package verify tells whether a store is what was written to it: every artefact by its manifest, every record by its
// signature and by those that it names, and all of them by the audit log.
//
// It only reads. It must not know how a night is made, how a tasking lives or how anybody is told.
package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// Options say how much is looked at.
type Options struct {
	// Lately: of the artefacts only those of the approved stack and of the newest night are read, of the others the
	// sizes compared. Records, taskings, messages and the log are read all the same.
	Lately bool
	Now    time.Time
	// Checkpoints of the audit log, which it must go on from.
	Checkpoints []sign.Checkpoint
}

// Result is how much was looked at, and what is not as it was written.
type Result struct {
	Nights    int   `json:"nights"`
	Artefacts int   `json:"artefacts"`
	Bytes     int64 `json:"bytes"`   // of the artefacts that were read
	Records   int   `json:"records"` // manifests, decisions, approvals, taskings, messages
	Entries   int   `json:"log_entries"`
	// Signed: there were keys to check signatures by.
	Signed   bool            `json:"signatures_checked"`
	Problems []audit.Problem `json:"problems"` // by file
}

// meanwhile is how long somebody may still be at work on what is not whole yet.
const meanwhile = 10 * time.Minute

type verifier struct {
	Options
	store *store.Store
	keys  []string // all of the store
	has   map[string]bool

	mu        sync.Mutex
	result    Result
	hashes    map[string]string // of the records that were read
	unsigned  map[string]string // of those that should be signed, and are not
	manifests map[schemas.NightID]schemas.Manifest
	refs      map[schemas.NightID]schemas.ManifestRef
	decisions map[schemas.NightID]schemas.Decision
	gone      map[string]map[string]string // what disposals/ say went: by key, and hash, the record
	rewriting bool                         // a person is being erased: the records come before what they tell of
}

// Store verifies a store. What differs is in the result; the error says that the store could not be read.
func Store(ctx context.Context, st *store.Store, o Options) (Result, error) {
	v, err := run(ctx, st, o)
	return v.result, err
}

func run(ctx context.Context, st *store.Store, o Options) (*verifier, error) {
	v := &verifier{
		Options: o, store: st, has: map[string]bool{}, hashes: map[string]string{}, unsigned: map[string]string{},
		manifests: map[schemas.NightID]schemas.Manifest{}, refs: map[schemas.NightID]schemas.ManifestRef{},
		decisions: map[schemas.NightID]schemas.Decision{}, gone: map[string]map[string]string{},
	}
	v.result.Signed, v.result.Problems = st.Keys.Checks(), []audit.Problem{}
	var err error
	if v.keys, err = st.List(ctx, ""); err != nil {
		return v, err
	}
	for _, key := range v.keys {
		v.has[key] = true
	}
	for _, step := range []func(context.Context) error{v.identity, v.disposals, v.erasing, v.nights, v.approvals, v.taskings, v.messages, v.log} {
		if err := step(ctx); err != nil {
			return v, err
		}
	}
	slices.SortFunc(v.result.Problems, func(a, b audit.Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), strings.Compare(a.What, b.What))
	})
	return v, nil
}

// Adopt takes the records that bear no signature, and the log up to now, for those from before anything was signed, and
// says so in the store, under the worker's key, and in the log. It returns how many records.
func Adopt(ctx context.Context, st *store.Store, who audit.Actor, why string, now time.Time) (int, error) {
	if !st.Keys.Signs() {
		return 0, errors.New("give HARMSTACK_SIGNING_KEY: what is taken for old is written down under the worker's key")
	}
	v, err := run(ctx, st, Options{Lately: true, Now: now})
	if err != nil {
		return 0, err
	}
	key, data, err := st.Adopt(ctx, v.unsigned, v.result.Entries)
	if err != nil {
		return 0, err
	}
	return len(v.unsigned), audit.Append(ctx, st, audit.Entry{
		At: now, Operation: audit.Alteration, Actor: who, Did: "took " + text.Count(len(v.unsigned), "record") + " without a signature for old",
		On: audit.Object{Thing: key}, Why: why, Files: audit.Written(key, data),
	})
}

func (v *verifier) problem(file, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.result.Problems = append(v.result.Problems, audit.Problem{File: file, What: fmt.Sprintf(format, args...)})
}

// wrong takes an error for a problem of a file, unless it says that the store cannot be read.
func (v *verifier) wrong(ctx context.Context, file string, err error) error {
	known := slices.Contains([]string{fault.DamagedArtifact, fault.Forged, fault.DisposedOf}, fault.Kind(err))
	if ctx.Err() != nil || err != nil && !known {
		return cmp.Or(ctx.Err(), err)
	}
	if err != nil {
		v.problem(file, "%s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "open "), file+": "))
	}
	return nil
}

// record reads a record that is to be signed; ok: it is what was written, as far as its signature tells.
func (v *verifier) record(ctx context.Context, key string, into any) (ok bool, err error) {
	data, err := v.store.Read(ctx, key)
	if err != nil {
		return false, v.wrong(ctx, key, err)
	}
	sum := sha256.Sum256(data)
	v.mu.Lock()
	v.hashes[key] = hex.EncodeToString(sum[:])
	v.result.Records++
	v.mu.Unlock()
	if err := v.store.CheckRecord(ctx, key, data); err != nil {
		if errors.Is(err, sign.ErrUnsigned) {
			v.mu.Lock()
			v.unsigned[key] = v.hashes[key]
			v.mu.Unlock()
		}
		return false, v.wrong(ctx, key, err)
	}
	if json.Unmarshal(data, into) != nil {
		v.problem(key, "it cannot be read")
		return false, nil
	}
	return true, nil
}

// each calls f for each of a list, some at a time.
func each[T any](ctx context.Context, atOnce int, all []T, f func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, one := range all {
		g.Go(func() error { return f(ctx, one) })
	}
	return g.Wait()
}

// below are the keys that begin with a prefix.
func (v *verifier) below(prefix string) []string {
	from, _ := slices.BinarySearch(v.keys, prefix)
	to := from
	for to < len(v.keys) && strings.HasPrefix(v.keys[to], prefix) {
		to++
	}
	return v.keys[from:to]
}

// young tells whether a file was written a moment ago, or is gone again.
func (v *verifier) young(ctx context.Context, key string) (bool, error) {
	at, err := v.store.Modified(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return v.Now.Sub(at) < meanwhile, err
}

// identity looks at what lies at the top.
func (v *verifier) identity(ctx context.Context) error {
	for _, key := range v.keys {
		top, _, folder := strings.Cut(key, "/")
		if !folder && key != store.IdentityFile && key != schemas.CurrentPath || folder && !store.Holds(top) {
			v.problem(key, "it belongs to nothing here")
		}
	}
	if !v.has[store.IdentityFile] {
		return nil // the store of a test, or a folder that `starter score` made
	}
	var id store.Identity
	data, err := v.store.Read(ctx, store.IdentityFile)
	if err != nil {
		return v.wrong(ctx, store.IdentityFile, err)
	}
	if json.Unmarshal(data, &id) != nil || id.Store == "" {
		v.problem(store.IdentityFile, "it cannot be read")
	}
	return nil
}

// disposals verifies the records of what went beside nights, without a gap in their numbers.
func (v *verifier) disposals(ctx context.Context) error {
	for i, key := range v.below(schemas.DisposalsFolder) {
		if want := schemas.DisposalKey(i + 1); key != want && !v.has[want] {
			v.problem(want, "it is missing")
		}
		var d schemas.RecordsDisposal
		ok, err := v.record(ctx, key, &d)
		if err != nil {
			return err
		}
		for _, f := range d.Files {
			if ok && v.gone[f.URI] == nil {
				v.gone[f.URI] = map[string]string{}
			}
			if ok {
				v.gone[f.URI][f.SHA256] = key
			}
		}
	}
	return nil
}

// undeleted finds what a record says went, and is there.
func (v *verifier) undeleted(ctx context.Context) error {
	for key, hash := range v.hashes {
		record, ok := v.gone[key][hash]
		if !ok {
			continue
		}
		if young, err := v.young(ctx, record); err != nil || young {
			if err != nil {
				return err
			}
			continue
		}
		v.problem(key, "it was disposed of by %s, and is there: starter retention ends what was begun", record)
	}
	return nil
}

// ofNights are the records of a night beside its outputs.
var ofNights = []string{
	schemas.ManifestFile, schemas.DecisionFile, schemas.OverrideFile, schemas.ClaimFile, schemas.DisposalFile, schemas.ExtractGoneFile,
}

// folder is what the store holds of one night.
type folder struct {
	id   schemas.NightID
	keys []string
}

func (v *verifier) nights(ctx context.Context) error {
	byID := map[schemas.NightID]*folder{}
	for _, key := range v.below(schemas.NightsFolder) {
		id, ok := schemas.ParseNightPath(key)
		if !ok {
			v.problem(key, "it belongs to no night")
			continue
		}
		if byID[id] == nil {
			byID[id] = &folder{id: id}
		}
		byID[id].keys = append(byID[id].keys, key)
	}
	all := slices.SortedFunc(maps.Values(byID), func(a, b *folder) int {
		return cmp.Or(a.id.AsOf.DaysSince(b.id.AsOf), a.id.Revision-b.id.Revision)
	})
	if err := each(ctx, 16, all, v.records); err != nil {
		return err
	}
	lately := v.lately()
	for _, n := range all {
		if err := v.outputs(ctx, n, !v.Lately || lately[n.id]); err != nil {
			return err
		}
	}
	return nil
}

// lately are the newest night, and the approved one that was decided last.
func (v *verifier) lately() map[schemas.NightID]bool {
	var newest, approved schemas.NightID
	for id := range v.manifests {
		if newest.Before(id) {
			newest = id
		}
		if v.decisions[id].Decision == schemas.Approved && approved.Before(id) {
			approved = id
		}
	}
	return map[schemas.NightID]bool{newest: true, approved: true}
}

// records verifies the records of a night by themselves and by each other.
func (v *verifier) records(ctx context.Context, n *folder) error {
	base := n.id.Path() + "/"
	var claim struct{}
	if v.has[base+schemas.ClaimFile] {
		if _, err := v.record(ctx, base+schemas.ClaimFile, &claim); err != nil {
			return err
		}
	}
	ref := schemas.ManifestRef{NightID: n.id, URI: base + schemas.ManifestFile}
	if v.has[ref.URI] {
		var m schemas.Manifest
		ok, err := v.record(ctx, ref.URI, &m)
		if err != nil {
			return err
		}
		if ok && m.NightID != n.id {
			v.problem(ref.URI, "it is the manifest of night %s", m.NightID)
		}
		v.mu.Lock()
		ref.SHA256 = v.hashes[ref.URI]
		v.manifests[n.id], v.refs[n.id] = m, ref
		v.result.Nights++
		v.mu.Unlock()
	}
	if key := base + schemas.OverrideFile; v.has[key] {
		var d schemas.Decision
		if ok, err := v.record(ctx, key, &d); err != nil {
			return err
		} else if ok && d.Manifest != ref {
			v.problem(key, "it is an override of another manifest than the night's")
		}
	}
	key := base + schemas.DecisionFile
	if !v.has[key] {
		return nil
	}
	var d schemas.Decision
	ok, err := v.record(ctx, key, &d)
	if err != nil || !ok {
		return err
	}
	switch {
	case d.Manifest != ref:
		v.problem(key, "it decides on another manifest than the night's")
	case !slices.Contains([]string{schemas.Approved, schemas.Held, schemas.SupersededBy}, d.Decision):
		v.problem(key, "it is no decision")
	}
	v.mu.Lock()
	v.decisions[n.id] = d
	v.mu.Unlock()
	return nil
}

// outputs verifies the artefacts of a published night: whole reads them.
func (v *verifier) outputs(ctx context.Context, n *folder, whole bool) error {
	m, published := v.manifests[n.id]
	if !published {
		return nil // it is being made, or never was; the log knows of those that were
	}
	base := n.id.Path() + "/"
	if m.Previous != nil && v.refs[m.Previous.NightID] != *m.Previous {
		v.problem(base+schemas.ManifestFile, "the stack that it was compared with, of night %s, is another one now", m.Previous.NightID)
	}
	gone := map[string]bool{}
	for _, file := range []string{schemas.DisposalFile, schemas.ExtractGoneFile} {
		if !v.has[base+file] {
			continue
		}
		var d schemas.Disposal
		ok, err := v.record(ctx, base+file, &d)
		if err != nil {
			return err
		}
		if ok && (d.NightID != n.id || d.Manifest != v.refs[n.id].SHA256) {
			v.problem(base+file, "it disposes of another night")
		}
		for _, f := range d.Files {
			gone[f.URI] = ok
		}
	}
	own := map[string]bool{}
	latest, err := v.erasures(ctx, n)
	if err != nil {
		return err
	}
	var there []schemas.ArtifactRef
	for _, o := range m.Outputs {
		own[o.URI] = true
		switch {
		case v.has[o.URI] && latest[o.URI] != (schemas.ArtifactRef{}) && v.rewriting:
			// it may be either yet
		case v.has[o.URI] && latest[o.URI] != (schemas.ArtifactRef{}):
			there = append(there, latest[o.URI])
		case v.has[o.URI]:
			there = append(there, o)
		case !gone[o.URI]:
			v.problem(o.URI, "it is missing")
		}
	}
	for _, key := range n.keys {
		if file := strings.TrimPrefix(key, base); !own[key] && !gone[key] && !slices.Contains(ofNights, file) && !schemas.IsErasure(file) {
			v.problem(key, "it is no file of the night's manifest")
		}
	}
	return each(ctx, 4, there, func(ctx context.Context, o schemas.ArtifactRef) error { return v.artefact(ctx, o, whole) })
}

// erasures verifies the records of people erased from a night, and returns what its files are by them.
func (v *verifier) erasures(ctx context.Context, n *folder) (latest map[string]schemas.ArtifactRef, err error) {
	latest = map[string]schemas.ArtifactRef{}
	versions := map[string]map[string]bool{} // the hashes that a file had, by its key
	for _, o := range v.manifests[n.id].Outputs {
		versions[o.URI] = map[string]bool{o.SHA256: true}
	}
	number := 0
	for _, key := range n.keys {
		if !schemas.IsErasure(strings.TrimPrefix(key, n.id.Path()+"/")) {
			continue
		}
		if number++; key != n.id.ErasureKey(number) {
			v.problem(n.id.ErasureKey(number), "it is missing")
			_, _ = fmt.Sscanf(path.Base(key), schemas.ErasurePrefix+"%d.json", &number)
		}
		var e schemas.Erasure
		ok, err := v.record(ctx, key, &e)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if e.NightID != n.id || e.Manifest != v.refs[n.id].SHA256 {
			v.problem(key, "it is of another night")
			continue
		}
		for _, f := range e.Files {
			if f.Was.URI != f.Is.URI || !versions[f.Was.URI][f.Was.SHA256] {
				v.problem(key, "it rewrites a file that the night never had")
				continue
			}
			versions[f.Is.URI][f.Is.SHA256] = true
			latest[f.Is.URI] = f.Is
		}
	}
	return latest, nil
}

func (v *verifier) artefact(ctx context.Context, o schemas.ArtifactRef, whole bool) error {
	v.mu.Lock()
	v.result.Artefacts++
	v.mu.Unlock()
	if !whole {
		size, err := v.store.Size(ctx, o.URI)
		if err == nil && size != o.Bytes {
			v.problem(o.URI, "it has another size than was written")
		}
		return v.wrong(ctx, o.URI, err)
	}
	if err := v.store.Verify(ctx, o); err != nil {
		return v.wrong(ctx, o.URI, err)
	}
	v.mu.Lock()
	v.result.Bytes += o.Bytes
	v.mu.Unlock()
	return nil
}

// approvals verifies the chain of approvals against the decisions, and current.json against the chain.
func (v *verifier) approvals(ctx context.Context) error {
	keys := v.below("approvals/")
	var last, before schemas.Current
	effective := map[schemas.ManifestRef]bool{}
	for i, key := range keys {
		number := i + 1
		if want := v.approvalKey(key, &number); want != "" {
			v.problem(want, "it is missing")
		}
		var c schemas.Current
		ok, err := v.record(ctx, key, &c)
		if err != nil {
			return err
		}
		last = c
		if !ok {
			continue
		}
		if c.Number != number {
			v.problem(key, "it is the record of approval %d", c.Number)
		}
		if c.Revocation() == nil {
			v.approval(key, c)
			effective[c.Manifest] = true
		} else if before.Number == number-1 && c.Revocation().Manifest != before.Manifest {
			v.problem(key, "it takes back an approval that was not the last")
		}
		if len(c.Revocations) < len(before.Revocations) {
			v.problem(key, "it forgets that an approval was taken back")
		}
		before = c
	}
	for id, d := range v.decisions {
		key := id.Path() + "/" + schemas.DecisionFile
		if d.Decision != schemas.Approved || effective[d.Manifest] || len(keys) == 0 {
			continue
		}
		if young, err := v.young(ctx, key); err != nil || young {
			if err != nil {
				return err
			}
			continue
		}
		v.problem(key, "it is approved, and no record in approvals/ says so")
	}
	return v.current(ctx, keys, last)
}

// approvalKey brings number to what a key of a record says, and returns the key of the first that is missing before it.
func (v *verifier) approvalKey(key string, number *int) (missing string) {
	at := 0
	if _, err := fmt.Sscanf(path.Base(key), "%d.json", &at); err != nil || at <= *number {
		return ""
	}
	if previous := fmt.Sprintf("approvals/%06d.json", at-1); !v.has[previous] {
		missing = previous
	}
	*number = at
	return missing
}

// approval verifies the record of an approval against the decision that it makes effective.
func (v *verifier) approval(key string, c schemas.Current) {
	d, decided := v.decisions[c.Manifest.NightID]
	stack, _ := v.manifests[c.Manifest.NightID].Output(schemas.StackFile)
	switch {
	case !decided || d.Decision != schemas.Approved || d.Manifest != c.Manifest:
		v.problem(key, "the night %s was not approved by that manifest", c.Manifest.NightID)
	case d.By != c.By || !d.At.Equal(c.At):
		v.problem(key, "another decision approved night %s", c.Manifest.NightID)
	case c.Stack != stack:
		v.problem(key, "its stack is not that of the manifest of night %s", c.Manifest.NightID)
	}
}

func (v *verifier) current(ctx context.Context, keys []string, last schemas.Current) error {
	if len(keys) == 0 {
		if !v.has[schemas.CurrentPath] {
			return nil
		}
		_, err := v.record(ctx, schemas.CurrentPath, new(schemas.Current)) // from before there were records
		return err
	}
	key := keys[len(keys)-1]
	data, err := v.store.Read(ctx, schemas.CurrentPath)
	if err == nil {
		sum := sha256.Sum256(data)
		if hex.EncodeToString(sum[:]) == v.hashes[key] {
			return nil
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if young, err := v.young(ctx, key); err != nil || young && last.Number > 0 {
		return err // it is swapped after the record is written
	}
	v.problem(schemas.CurrentPath, "it is not the copy of the last approval, %s", key)
	return nil
}
