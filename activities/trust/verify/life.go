package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"harmstack/activities/casework"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// taskings verifies every version of every tasking, the marks of those on the stack, and what the teams were to be
// told.
func (v *verifier) taskings(ctx context.Context) error {
	byReference := map[string][]string{}
	for _, key := range v.below(casework.CasesFolder) {
		reference, _, _ := strings.Cut(strings.TrimPrefix(key, casework.CasesFolder), "/")
		byReference[reference] = append(byReference[reference], key)
	}
	var references []string
	for reference := range byReference {
		references = append(references, reference)
	}
	err := each(ctx, 16, references, func(ctx context.Context, reference string) error {
		return v.tasking(ctx, reference, byReference[reference])
	})
	if err != nil {
		return err
	}
	for _, key := range v.below(casework.OpenFolder) {
		if byReference[strings.TrimPrefix(key, casework.OpenFolder)] != nil {
			continue
		}
		young, err := v.young(ctx, key)
		if err != nil {
			return err
		}
		if !young {
			v.problem(key, "there is no such tasking")
		}
	}
	var rest []string
	for _, folder := range []string{"taskings/plans/", "taskings/told/", schemas.ReuseFolder, casework.RotationsFolder} {
		rest = append(rest, v.below(folder)...)
	}
	return each(ctx, 16, rest, func(ctx context.Context, key string) error {
		_, err := v.record(ctx, key, &struct{}{})
		return err
	})
}

func (v *verifier) tasking(ctx context.Context, reference string, keys []string) error {
	for i, key := range keys {
		var t schemas.Tasking
		ok, err := v.record(ctx, key, &t)
		if err != nil {
			return err
		}
		if want := casework.VersionKey(reference, i+1); key != want && !v.has[want] && v.gone[want] == nil {
			v.problem(want, "it is missing")
		}
		if !ok {
			continue
		}
		if key != casework.VersionKey(t.Reference, t.Version) {
			v.problem(key, "it is version %d of another tasking, or another version", t.Version)
		}
		if i == len(keys)-1 && t.OnStack && !v.has[casework.OpenFolder+reference] {
			v.problem(casework.OpenFolder+reference, "it is missing, and the tasking is on the stack")
		}
	}
	return nil
}

// messages verifies the ledger.
func (v *verifier) messages(ctx context.Context) error {
	return each(ctx, 16, v.below(ledger.Folder), func(ctx context.Context, key string) error {
		if id, ok := strings.CutPrefix(key, ledger.NotedFolder); ok {
			id, _, _ = strings.Cut(id, "-") // one for each time that further addresses took it
			if sent := ledger.SentKey(id); !v.has[sent] && v.gone[sent] == nil {
				v.problem(sent, "it is missing, and the log has told of it")
			}
			return nil
		}
		var e ledger.Entry
		ok, err := v.record(ctx, key, &e)
		if ok && e.ID != ledger.IDOf(key) {
			v.problem(key, "it is the message %s", e.ID)
		}
		return err
	})
}

// log verifies the audit log by itself and by its checkpoints, and the records by the log.
func (v *verifier) log(ctx context.Context) error {
	log, err := audit.Examine(ctx, v.store)
	if err != nil {
		return v.wrong(ctx, "audit/", err)
	}
	v.result.Entries = len(log.Entries)
	v.result.Problems = append(v.result.Problems, log.Problems...)
	for _, c := range v.Checkpoints {
		if p := log.Against(c); p != nil {
			v.problem(p.File, "%s", p.What)
		}
	}
	named := map[string]map[string]bool{} // hashes by key: of two attempts at an act, one wrote
	for _, e := range log.Entries {
		for _, f := range e.Files {
			if f.SHA256 == "" || named[f.Name] == nil {
				named[f.Name] = map[string]bool{}
			}
			named[f.Name][f.SHA256] = true
		}
	}
	for key, hashes := range named {
		if hashes[""] {
			continue // it went, and the log says so
		}
		if err := v.logged(ctx, key, hashes); err != nil {
			return err
		}
	}
	return errors.Join(v.unlogged(ctx, named), v.undeleted(ctx))
}

// logged verifies one record that the log says was written.
func (v *verifier) logged(ctx context.Context, key string, hashes map[string]bool) error {
	hash, ok := v.hashes[key]
	if !ok {
		data, err := v.store.Read(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			for hash := range hashes {
				if v.gone[key][hash] != "" {
					return nil // its time was over
				}
			}
			v.problem(key, "it is missing, and the log says that it was written")
			return nil
		}
		if err != nil {
			return v.wrong(ctx, key, err)
		}
		sum := sha256.Sum256(data)
		hash = hex.EncodeToString(sum[:])
	}
	if !hashes[hash] {
		v.problem(key, "it is not what was written by the log")
	}
	return nil
}

// erasing finds erasures that were begun and not ended.
func (v *verifier) erasing(ctx context.Context) error {
	for _, key := range v.below(schemas.ErasingFolder) {
		ok, err := v.record(ctx, key, &struct{}{})
		if err != nil {
			return err
		}
		young, err := v.young(ctx, key)
		if err != nil {
			return err
		}
		if young {
			v.rewriting = v.rewriting || ok
			continue
		}
		v.problem(key, "a person was being erased, and that has not ended: run starter subject --erase for them again")
	}
	return nil
}

// unlogged finds records of which the log says nothing. Without keys nobody can tell those that are older than the log.
func (v *verifier) unlogged(ctx context.Context, named map[string]map[string]bool) error {
	if !v.store.Keys.Checks() {
		return nil
	}
	old, err := v.store.LoadUnsigned(ctx)
	if err != nil {
		return v.wrong(ctx, store.UnsignedFile, err)
	}
	for key := range v.hashes {
		_, logged := named[key]
		if _, known := old.Records[key]; known || logged || !v.act(key) {
			continue
		}
		young, err := v.young(ctx, key)
		if err != nil {
			return err
		}
		if !young {
			v.problem(key, "the log says nothing of it")
		}
	}
	return nil
}

// act tells whether a record is one whose writing is an act of its own.
func (v *verifier) act(key string) bool {
	if id, ok := schemas.ParseNightPath(key); ok {
		return key != fmt.Sprintf("%s/%s", id.Path(), schemas.ClaimFile)
	}
	return strings.HasPrefix(key, "approvals/") || strings.HasPrefix(key, schemas.DisposalsFolder) ||
		strings.HasPrefix(key, casework.RotationsFolder) || strings.HasPrefix(key, casework.CasesFolder) ||
		key == ledger.SentKey(strings.TrimSuffix(path.Base(key), ".json"))
}
