package retention

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/casework"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/store/seal"
	"harmstack/schemas"
)

// sealed is a store with a key, in a folder.
func sealed(t *testing.T) (st *store.Store, dir string, again func(dir string) *store.Store) {
	t.Helper()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "store.key")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(dir string, unlock func(*store.Store, context.Context, string) error) *store.Store {
		st, err := store.Open(t.Context(), dir)
		if err == nil {
			t.Cleanup(func() { st.Close() })
			if _, _, _, err = st.SetUp(t.Context(), "", ""); err == nil {
				err = unlock(st, t.Context(), "file://"+file)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	return open(dir, (*store.Store).Seal), dir, func(dir string) *store.Store { return open(dir, (*store.Store).Unlock) }
}

// readable are those files of a night that can be read, and of the others why.
func readable(t *testing.T, st *store.Store, id schemas.NightID) (names []string) {
	t.Helper()
	for _, name := range append(slices.Clone(files), "manifest.json", "claim.json") {
		_, err := st.Read(t.Context(), id.Path()+"/"+name)
		switch {
		case err == nil:
			names = append(names, name)
		case !errors.Is(err, seal.ErrKeyGone):
			t.Errorf("%s: %v", name, err)
		}
	}
	return names
}

// backup is a copy of everything.
func backup(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// withKeysOf gives a copy the data keys that there are now.
func withKeysOf(t *testing.T, copied, dir string) string {
	t.Helper()
	keys := filepath.Join(copied, "keys")
	if err := errors.Join(os.RemoveAll(keys), os.CopyFS(keys, os.DirFS(filepath.Join(dir, "keys")))); err != nil {
		t.Fatal(err)
	}
	return copied
}

func TestDisposingShredsEveryCopy(t *testing.T) {
	t.Parallel()
	st, dir, reopen := sealed(t)
	first, second := seed(t, st, 1, schemas.Held), seed(t, st, 1, schemas.Held)
	current := seed(t, st, 2, schemas.Approved)
	copied := backup(t, dir)
	dispose := func(rules Rules, days int, dry bool) {
		t.Helper()
		if _, err := Dispose(t.Context(), st, rules, later(days), dry); err != nil {
			t.Fatal(err)
		}
	}
	rows := []string{"extract/part-000.parquet", "quarantine.parquet", "cases.parquet"}
	all := append(slices.Clone(files), "manifest.json", "claim.json")
	without := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(rows, name) })
	for _, step := range []struct {
		scenario string
		rules    Rules
		dry      bool
		want     []string
	}{
		{"a dry run", Rules{Night: 100}, true, all},
		{"the rows as read", Rules{Extract: 60}, false, without},
		{"the whole night", Rules{Night: 100}, false, []string{"manifest.json", "claim.json"}},
		{"once more", Rules{Night: 100}, false, []string{"manifest.json", "claim.json"}},
	} {
		dispose(step.rules, 101, step.dry)
		copy := reopen(withKeysOf(t, copied, dir))
		for _, id := range []schemas.NightID{first, second} {
			if got := readable(t, copy, id); !slices.Equal(got, step.want) {
				t.Errorf("%s: of the copy of %s %q can be read", step.scenario, id, got)
			}
		}
		if got := readable(t, copy, current); !slices.Equal(got, all) {
			t.Errorf("%s: of the current night %q can be read", step.scenario, got)
		}
	}
}

// A process that dies between the last file and the key is completed by the next; a revision that is being made of an
// old date keeps the date's keys.
func TestKeysGoWithTheLastRevision(t *testing.T) {
	t.Parallel()
	st, dir, _ := sealed(t)
	id := seed(t, st, 1, schemas.Held)
	seed(t, st, 2, schemas.Approved)
	keys := func() (names []string) {
		files, err := fs.Glob(os.DirFS(filepath.Join(dir, "keys")), "*-2096-07-01.json")
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	kept := map[string][]byte{}
	for _, name := range keys() {
		data, err := os.ReadFile(filepath.Join(dir, "keys", name))
		if err != nil {
			t.Fatal(err)
		}
		kept[name] = data
	}
	if len(kept) != 2 {
		t.Fatalf("%d keys", len(kept))
	}
	dispose := func() {
		t.Helper()
		if _, err := Dispose(t.Context(), st, Rules{Night: 100}, later(101), false); err != nil {
			t.Fatal(err)
		}
	}
	dispose()
	if got := keys(); len(got) != 0 {
		t.Errorf("left %q", got)
	}
	for name, data := range kept {
		if err := os.WriteFile(filepath.Join(dir, "keys", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again, err := nights.Claim(t.Context(), st, id.AsOf, "again")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dispose(t.Context(), st, Rules{Night: 100}, again.AsOf.Start(), false); err != nil {
		t.Fatal(err)
	}
	if got := keys(); len(got) != 2 {
		t.Errorf("left %q", got)
	}
	if _, err := st.Write(t.Context(), again.Path()+"/stack.parquet", "", func(w io.Writer) (int64, error) { return 0, nil }); err != nil {
		t.Error(err)
	}
	dispose() // its time is over too
	if got := keys(); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

// The data key of a month of taskings goes with the last file that is sealed under it: no copy of one can be read then.
func TestKeysOfTaskingsGo(t *testing.T) {
	t.Parallel()
	st, dir, again := sealed(t)
	seed(t, st, 1, schemas.Approved)
	save := func(reference string, version int, state schemas.TaskingState) {
		t.Helper()
		event := schemas.TaskingEvent{Number: version, At: later(0), Kind: schemas.EventIssued, Team: "Hackney"}
		task := &schemas.Tasking{Reference: reference, Version: version, State: state, OnStack: state.Open(), Events: []schemas.TaskingEvent{event}}
		if err := casework.Save(t.Context(), st, task); err != nil {
			t.Fatal(err)
		}
	}
	keys := func() int {
		files, err := fs.Glob(os.DirFS(filepath.Join(dir, "keys")), "taskings-*.json")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	save("aaaa", 1, schemas.TaskingClosed)
	save("bbbb", 1, schemas.TaskingIssued)
	copied := backup(t, dir)
	for _, step := range []struct {
		scenario string
		keys     int
	}{{"one is open", 1}, {"none is", 0}} {
		if step.keys == 0 {
			save("bbbb", 2, schemas.TaskingStoodDown)
		}
		if _, err := Dispose(t.Context(), st, Rules{Tasking: 100}, later(101), false); err != nil {
			t.Fatal(err)
		}
		if got := keys(); got != step.keys {
			t.Errorf("%s: %d keys", step.scenario, got)
		}
		_, err := again(withKeysOf(t, copied, dir)).Read(t.Context(), casework.VersionKey("aaaa", 1))
		if gone := errors.Is(err, seal.ErrKeyGone); gone != (step.keys == 0) {
			t.Errorf("%s: the copy: %v", step.scenario, err)
		}
	}
}
