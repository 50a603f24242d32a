package verify

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
)

func keys(t testing.TB, b byte) *sign.Keys {
	t.Helper()
	seed := bytes.Repeat([]byte{b}, ed25519.SeedSize)
	k, err := sign.Parse(base64.StdEncoding.EncodeToString(seed), "worker="+sign.Public(ed25519.NewKeyFromSeed(seed)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t testing.TB, dir string, k *sign.Keys) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	st.Keys = k
	t.Cleanup(func() { st.Close() })
	return st
}

var (
	first = schemas.NightID{AsOf: schemas.MustDate("2026-06-01"), Revision: 1}
	files = []string{
		schemas.ExtractFolder + "/part-0.parquet", schemas.QuarantineFile, schemas.RankingFile, schemas.StackFile, schemas.StackCSVFile,
		schemas.ContributionsFile, schemas.StabilityFile, schemas.ChangesFile, schemas.ReportFile,
	}
	must = func(t testing.TB, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
)

// publish publishes a night whose files have so many bytes, and returns its manifest's reference.
func publish(t testing.TB, st *store.Store, id schemas.NightID, size int, previous *schemas.ManifestRef) schemas.ManifestRef {
	t.Helper()
	ctx := context.Background()
	_, err := nights.Claim(ctx, st, id.AsOf, "night/"+id.String())
	must(t, err)
	m := schemas.Manifest{NightID: id, RowsRead: 1, Suspects: 1, Dispositions: schemas.Dispositions{schemas.Scored: 1}, Previous: previous}
	for _, file := range files {
		ref, err := st.Write(ctx, id.Path()+"/"+file, "", func(w io.Writer) (int64, error) {
			_, err := w.Write(append([]byte(file+id.String()), make([]byte, size)...))
			return 0, err
		})
		must(t, err)
		m.Outputs = append(m.Outputs, ref)
	}
	ref, err := nights.Publish(ctx, st, m)
	must(t, err)
	return ref
}

func decide(t testing.TB, st *store.Store, ref schemas.ManifestRef, what string) {
	t.Helper()
	ctx := context.Background()
	d := schemas.Decision{Decision: what, Manifest: ref, By: "DCI Example", Reason: "looked at it", At: time.Now()}
	must(t, nights.Decide(ctx, st, d))
	written, err := audit.Stored(ctx, st, ref.Path()+"/"+schemas.DecisionFile)
	must(t, err)
	must(t, audit.Append(ctx, st, audit.Entry{Operation: audit.Alteration, Actor: audit.Claims(d.By), Did: what,
		On: audit.Object{Night: ref.NightID.String()}, Why: d.Reason, Files: written}))
	if what == schemas.Approved {
		must(t, nights.SwapCurrent(ctx, st, ref.NightID))
	}
}

func tasking(t testing.TB, st *store.Store, reference string, versions int) {
	t.Helper()
	ctx := context.Background()
	task := &schemas.Tasking{Reference: reference, Team: "Hackney", OnStack: true, State: schemas.TaskingIssued}
	for n := 1; n <= versions; n++ {
		task.Version = n
		task.Events = append(task.Events, schemas.TaskingEvent{Number: n, Kind: schemas.EventIssued, Team: "Hackney"})
		key, data, err := casework.Version(st, task)
		must(t, err)
		must(t, audit.Append(ctx, st, audit.Entry{Operation: audit.Alteration, Actor: audit.Worker, Did: "issued",
			On: audit.Object{Team: "Hackney", Pseudonyms: []string{reference}}, Files: audit.Written(key, data)}))
		must(t, casework.Save(ctx, st, task))
	}
}

func message(t testing.TB, st *store.Store, id string) {
	t.Helper()
	ctx := context.Background()
	d, err := ledger.Deliver(ctx, st, ledger.Entry{ID: id, Channel: ledger.Mail, Team: "Hackney", Kind: "digest"}, time.Now,
		func(func(string) bool) ([]string, error) { return []string{"a@example.org"}, nil }, func(error) bool { return false })
	must(t, err)
	must(t, ledger.Note(ctx, st, d.Entry, func(string) error {
		written, err := audit.Stored(ctx, st, ledger.SentKey(id))
		must(t, err)
		return audit.Append(ctx, st, audit.Entry{Operation: audit.Disclosure, Actor: audit.Worker, Did: "sent", Files: written})
	}))
}

// fill makes a store of some nights, taskings and messages, and returns a checkpoint of its log.
func fill(t testing.TB, st *store.Store, count, size int) []byte {
	t.Helper()
	ctx := context.Background()
	_, _, _, err := st.SetUp(ctx, "", "f00d")
	must(t, err)
	written, err := audit.Stored(ctx, st, store.IdentityFile)
	must(t, err)
	must(t, audit.Append(ctx, st, audit.Entry{Operation: audit.Alteration, Actor: audit.Worker, Did: "began with a configuration", Files: written}))
	var previous *schemas.ManifestRef
	for i := range count {
		ref := publish(t, st, schemas.NightID{AsOf: first.AsOf.AddDays(i), Revision: 1}, size, previous)
		if i == count-1 {
			decide(t, st, ref, schemas.Held)
			continue
		}
		decide(t, st, ref, schemas.Approved)
		previous = &ref
	}
	tasking(t, st, "aaaa-bbbb-cccc-dddd", 3)
	tasking(t, st, "eeee-ffff-gggg-hhhh", 1)
	message(t, st, "m1")
	message(t, st, "m2")
	var checkpoint []byte
	if st.Keys.Signs() {
		checkpoint, err = audit.Checkpoint(ctx, st)
		must(t, err)
	}
	message(t, st, "m3")
	return checkpoint
}

// later is when nothing in the store is young any more.
func later() time.Time { return time.Now().Add(time.Hour) }

func verify(t testing.TB, st *store.Store, checkpoint []byte) Result {
	t.Helper()
	o := Options{Now: later()}
	if checkpoint != nil {
		c, err := st.Keys.OpenCheckpoint(checkpoint)
		must(t, err)
		o.Checkpoints = []sign.Checkpoint{c}
	}
	r, err := Store(context.Background(), st, o)
	must(t, err)
	return r
}

func TestAnUntouchedStoreIsWhole(t *testing.T) {
	t.Parallel()
	st := open(t, t.TempDir(), keys(t, 1))
	checkpoint := fill(t, st, 4, 100)
	r := verify(t, st, checkpoint)
	if len(r.Problems) > 0 || r.Nights != 4 || r.Artefacts != 4*len(files) || !r.Signed || r.Entries == 0 || r.Bytes < 100 {
		t.Errorf("%+v", r)
	}
	if r, err := Store(t.Context(), st, Options{Now: later(), Lately: true}); err != nil || len(r.Problems) > 0 || r.Bytes == 0 || r.Artefacts != 4*len(files) {
		t.Errorf("lately: %+v, %v", r, err)
	}
	// Whoever has no keys sees that nothing is missing, and no more.
	if r := verify(t, open(t, st.URL(), nil), nil); len(r.Problems) > 0 || r.Signed {
		t.Errorf("without keys: %+v", r)
	}
	if r := verify(t, open(t, st.URL(), keys(t, 2)), nil); len(r.Problems) < 20 {
		t.Errorf("by the key of a stranger: %+v", r)
	}
}

// forger can write to the store and has no key of the worker's.
type forger struct {
	t   *testing.T
	dir string
}

func (f forger) path(key string) string { return filepath.Join(f.dir, filepath.FromSlash(key)) }

func (f forger) read(key string) []byte {
	f.t.Helper()
	data, err := os.ReadFile(f.path(key))
	must(f.t, err)
	return data
}

func (f forger) write(key string, data []byte) {
	f.t.Helper()
	must(f.t, os.MkdirAll(filepath.Dir(f.path(key)), 0o700))
	must(f.t, os.WriteFile(f.path(key), data, 0o600))
}

// keep writes a file and sets its time back, as a careful forger does.
func (f forger) keep(key string, data []byte) {
	f.t.Helper()
	info, err := os.Stat(f.path(key))
	must(f.t, err)
	f.write(key, data)
	must(f.t, os.Chtimes(f.path(key), info.ModTime(), info.ModTime()))
}

func (f forger) remove(key string) {
	f.t.Helper()
	must(f.t, os.Remove(f.path(key)))
}

func (f forger) replace(key, old, new string) {
	f.t.Helper()
	data := f.read(key)
	if !bytes.Contains(data, []byte(old)) {
		f.t.Fatalf("%s has no %q:\n%s", key, old, data)
	}
	f.keep(key, bytes.Replace(data, []byte(old), []byte(new), 1))
}

// rewriteLog makes a log anew out of changed entries, with every hash as it should be.
func (f forger) rewriteLog(change func([]map[string]any) []map[string]any, k *sign.Keys) {
	f.t.Helper()
	names, err := filepath.Glob(f.path("audit/*.json"))
	must(f.t, err)
	var entries []map[string]any
	for _, name := range names {
		var e map[string]any
		data, err := os.ReadFile(name)
		must(f.t, err)
		must(f.t, json.Unmarshal(data, &e))
		delete(e, "signature")
		entries = append(entries, e)
		must(f.t, os.Remove(name))
	}
	previous := ""
	for i, e := range change(entries) {
		e["number"], e["previous"] = i+1, previous
		data, err := json.Marshal(e)
		must(f.t, err)
		key := fmt.Sprintf("audit/%010d.json", i+1)
		data = k.Sign(key, append(data, '\n'))
		f.write(key, data)
		previous = audit.Written("", data)[0].SHA256
	}
}

func TestEveryTamperingIsFound(t *testing.T) {
	t.Parallel()
	clean := t.TempDir()
	checkpoint := fill(t, open(t, clean, keys(t, 1)), 4, 100)
	const (
		second   = "nights/2026-06-02/r1/"
		held     = "nights/2026-06-04/r1/"
		versions = "taskings/cases/aaaa-bbbb-cccc-dddd/"
	)
	same := func(entries []map[string]any) []map[string]any { return entries }
	type tampering struct {
		scenario string
		tamper   func(f forger)
		file     string // what the finding names
	}
	all := []tampering{
		{"a decision rewritten", func(f forger) { f.replace(second+"decision.json", "DCI Example", "DCI Mallory") }, second + "decision.json"},
		{"a held night approved", func(f forger) { f.replace(held+"decision.json", `"held"`, `"approved"`) }, held + "decision.json"},
		{"a decision without its signature", func(f forger) {
			f.keep(second+"decision.json", append(sign.Body(f.read(second+"decision.json")), "\n}\n"...))
		}, second + "decision.json"},
		{"a decision removed", func(f forger) { f.remove(second + "decision.json") }, second + "decision.json"},
		{"a decision swapped with another night's", func(f forger) {
			f.keep(held+"decision.json", f.read(second+"decision.json"))
		}, held + "decision.json"},
		{"a manifest rewritten whole, with an artefact and its hash", func(f forger) {
			data := append(f.read(second+"stack.csv"), "S-999"...)
			was, is := audit.Written("", f.read(second+"stack.csv"))[0].SHA256, audit.Written("", data)[0].SHA256
			f.keep(second+"stack.csv", data)
			f.replace(second+"manifest.json", was, is)
			f.replace(second+"manifest.json", fmt.Sprintf(`"bytes": %d`, len(data)-5), fmt.Sprintf(`"bytes": %d`, len(data)))
		}, second + "manifest.json"},
		{"a manifest signed with another key", func(f forger) {
			key := second + "manifest.json"
			f.keep(key, keys(f.t, 2).Sign(key, append(sign.Body(f.read(key)), '}')))
		}, second + "manifest.json"},
		{"a manifest removed", func(f forger) { f.remove(second + "manifest.json") }, second + "manifest.json"},
		{"a night removed whole", func(f forger) { must(f.t, os.RemoveAll(f.path(held))) }, held + "manifest.json"},
		{"a claim rewritten", func(f forger) { f.replace(second+"claim.json", "night/", "mine/") }, second + "claim.json"},
		{"a foreign file as an artefact", func(f forger) { f.write(second+"extract/part-1.parquet", []byte("PAR1")) }, second + "extract/part-1.parquet"},
		{"a forged disposal, and the file gone", func(f forger) {
			f.write(second+"disposal.json", fmt.Appendf(nil, `{"as_of":"2026-06-02","revision":1,"files":[{"uri":%q}]}`, second+"ranking.parquet"))
			f.remove(second + "ranking.parquet")
		}, second + "disposal.json"},
		{"the last approval removed", func(f forger) { f.remove("approvals/000003.json") }, "approvals/000003.json"},
		{"an approval in between removed", func(f forger) { f.remove("approvals/000002.json") }, "approvals/000002.json"},
		{"an approval rewritten", func(f forger) { f.replace("approvals/000002.json", "DCI Example", "DCI Mallory") }, "approvals/000002.json"},
		{"an approval added", func(f forger) { f.write("approvals/000004.json", f.read("approvals/000003.json")) }, "approvals/000004.json"},
		{"current pointed to an older night", func(f forger) { f.keep("current.json", f.read("approvals/000002.json")) }, "current.json"},
		{"current pointed to a night that nobody approved", func(f forger) { f.replace("current.json", "2026-06-03", "2026-06-04") }, "current.json"},
		{"current removed", func(f forger) { f.remove("current.json") }, "current.json"},
		{"a tasking's version edited", func(f forger) { f.replace(versions+"000002.json", "Hackney", "Barnet") }, versions + "000002.json"},
		{"a tasking's last version removed", func(f forger) { f.remove(versions + "000003.json") }, versions + "000003.json"},
		{"a tasking's version in between removed", func(f forger) { f.remove(versions + "000002.json") }, versions + "000002.json"},
		{"a tasking's version added", func(f forger) {
			f.write(versions+"000004.json", bytes.Replace(f.read(versions+"000003.json"), []byte(`"version":3`), []byte(`"version":4`), 1))
		}, versions + "000004.json"},
		{"a version put in another's place", func(f forger) { f.keep(versions+"000003.json", f.read(versions+"000001.json")) }, versions + "000003.json"},
		{"a tasking's mark removed", func(f forger) { f.remove("taskings/open/aaaa-bbbb-cccc-dddd") }, "taskings/open/aaaa-bbbb-cccc-dddd"},
		{"a tasking removed whole", func(f forger) {
			must(f.t, os.RemoveAll(f.path(versions)))
			f.remove("taskings/open/aaaa-bbbb-cccc-dddd")
		}, versions + "000001.json"},
		{"a plan added", func(f forger) { f.write("taskings/plans/2026-06-03-r1/hackney.json", []byte(`{"orders":[]}`)) }, "taskings/plans/2026-06-03-r1/hackney.json"},
		{"a message removed", func(f forger) { f.remove("deliveries/3-sent/m1.json") }, "deliveries/3-sent/m1.json"},
		{"a message removed, and that the log told of it", func(f forger) {
			f.remove("deliveries/3-sent/m1.json")
			f.remove("deliveries/noted/m1")
		}, "deliveries/3-sent/m1.json"},
		{"a message changed", func(f forger) { f.replace("deliveries/3-sent/m1.json", "Hackney", "Barnet") }, "deliveries/3-sent/m1.json"},
		{"a message added", func(f forger) {
			f.write("deliveries/3-sent/m9.json", bytes.Replace(f.read("deliveries/3-sent/m1.json"), []byte(`"m1"`), []byte(`"m9"`), 1))
		}, "deliveries/3-sent/m9.json"},
		{"an entry of the log changed", func(f forger) { f.replace("audit/0000000003.json", "DCI Example", "DCI Mallory") }, "audit/0000000003.json"},
		{"an entry of the log removed", func(f forger) { f.remove("audit/0000000003.json") }, "audit/0000000003.json"},
		{"an entry of the log added", func(f forger) { f.write("audit/zzz.json", []byte("{}")) }, "audit/zzz.json"},
		{"the log rewritten whole, unsigned", func(f forger) { f.rewriteLog(same, nil) }, "audit/0000000001.json"},
		{"the log rewritten whole, as if all were looks", func(f forger) {
			f.rewriteLog(func(entries []map[string]any) []map[string]any {
				for _, e := range entries {
					e["operation"] = "consultation"
				}
				return entries
			}, nil)
		}, "audit/"},
		{"store.json changed", func(f forger) { f.replace("store.json", "f00d", "beef") }, "store.json"},
		{"a file beside the store's", func(f forger) { f.write("readme.txt", nil) }, "readme.txt"},
		{"a folder beside the store's", func(f forger) { f.write("more/readme.txt", nil) }, "more/readme.txt"},
	}
	for _, file := range files {
		all = append(all, tampering{"a byte changed in " + file, func(f forger) {
			data := f.read(second + file)
			data[0] ^= 1
			f.keep(second+file, data)
		}, second + file}, tampering{file + " removed", func(f forger) { f.remove(second + file) }, second + file})
	}
	// Whoever stole the key as well can write everything anew, and is found out by the checkpoint alone.
	all = append(all, tampering{"the log cut off at its end", func(f forger) {
		for n := 24; n > 17; n-- {
			_ = os.Remove(f.path(fmt.Sprintf("audit/%010d.json", n)))
		}
	}, "audit/"}, tampering{"the log rewritten whole with the worker's own key", func(f forger) {
		f.rewriteLog(func(entries []map[string]any) []map[string]any { return slices.Delete(entries, 3, 4) }, keys(f.t, 1))
	}, "audit/"}, tampering{"an entry changed and all after it signed anew", func(f forger) {
		f.rewriteLog(func(entries []map[string]any) []map[string]any {
			entries[2]["why"] = "another reason"
			return entries
		}, keys(f.t, 1))
	}, "audit/"})
	for _, c := range all {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			must(t, os.CopyFS(dir, os.DirFS(clean)))
			c.tamper(forger{t, dir})
			r := verify(t, open(t, dir, keys(t, 1)), checkpoint)
			if !slices.ContainsFunc(r.Problems, func(p audit.Problem) bool { return strings.HasPrefix(p.File, c.file) }) {
				t.Errorf("%s is not named: %+v", c.file, r.Problems)
			}
			for _, p := range r.Problems {
				if strings.Contains(p.What, "Example") || strings.Contains(p.What, "Mallory") {
					t.Errorf("the finding names a person: %+v", p)
				}
			}
		})
	}
}

// What is written at this moment is no finding.
func TestWhatIsBeingWrittenIsLetBe(t *testing.T) {
	t.Parallel()
	st := open(t, t.TempDir(), keys(t, 1))
	fill(t, st, 3, 10)
	ref := publish(t, st, schemas.NightID{AsOf: first.AsOf.AddDays(9), Revision: 1}, 10, new(refOf(t, st, first.AsOf.AddDays(1))))
	must(t, nights.Decide(t.Context(), st, schemas.Decision{Decision: schemas.Approved, Manifest: ref, By: "x", Reason: "y", At: time.Now()}))
	r, err := Store(t.Context(), st, Options{Now: time.Now()})
	if err != nil || len(r.Problems) > 0 {
		t.Errorf("%+v, %v", r.Problems, err)
	}
	if r := verify(t, st, nil); len(r.Problems) != 2 {
		t.Errorf("an hour later: %+v", r.Problems)
	}
}

func refOf(t *testing.T, st *store.Store, asOf schemas.Date) schemas.ManifestRef {
	t.Helper()
	_, ref, err := nights.LoadManifest(t.Context(), st, schemas.NightID{AsOf: asOf, Revision: 1})
	must(t, err)
	return ref
}

// A store that was in use before anything was signed is taken over once, as it is then, and not what is added later.
func TestAdopt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, open(t, dir, nil), 3, 10)
	if r := verify(t, open(t, dir, keys(t, 1)), nil); len(r.Problems) < 20 {
		t.Errorf("before: %+v", r.Problems)
	}
	if _, err := nights.LoadCurrent(t.Context(), open(t, dir, keys(t, 1))); err == nil || !strings.Contains(err.Error(), "starter verify --adopt") {
		t.Errorf("before: %v", err)
	}
	if _, err := Adopt(t.Context(), open(t, dir, nil), audit.Worker, "it begins", time.Now()); err == nil {
		t.Error("adopted without a key")
	}
	n, err := Adopt(t.Context(), open(t, dir, keys(t, 1)), audit.Claims("A. Operator"), "it begins", time.Now())
	if err != nil || n < 20 {
		t.Fatalf("%d records, %v", n, err)
	}
	if r := verify(t, open(t, dir, keys(t, 1)), nil); len(r.Problems) > 0 {
		t.Errorf("after: %+v", r.Problems)
	}
	if current, err := nights.LoadCurrent(t.Context(), open(t, dir, keys(t, 1))); err != nil || current == nil {
		t.Errorf("after: %v, %v", current, err)
	}
	tasking(t, open(t, dir, keys(t, 1)), "jjjj-kkkk-mmmm-nnnn", 1)
	f := forger{t, dir}
	f.replace("approvals/000001.json", "DCI Example", "DCI Mallory")
	f.write("taskings/plans/2026-06-03-r1/hackney.json", []byte(`{"orders":[]}`))
	f.replace("deliveries/3-sent/m2.json", "Hackney", "Barnet")
	r := verify(t, open(t, dir, keys(t, 1)), nil)
	for _, file := range []string{"approvals/000001.json", "taskings/plans/2026-06-03-r1/hackney.json", "deliveries/3-sent/m2.json"} {
		if !slices.ContainsFunc(r.Problems, func(p audit.Problem) bool { return p.File == file }) {
			t.Errorf("%s is not named: %+v", file, r.Problems)
		}
	}
}

// Thirty nights of the size of London's are verified in seconds.
func BenchmarkThirtyNights(b *testing.B) {
	st := open(b, b.TempDir(), keys(b, 1))
	fill(b, st, 30, 5<<20)
	for i := range 40 {
		tasking(b, st, fmt.Sprintf("aaaa-bbbb-cccc-%04d", i), 25)
	}
	for b.Loop() {
		if r := verify(b, st, nil); len(r.Problems) > 0 {
			b.Fatal(r.Problems)
		}
	}
}

// A sealed store is verified through its seal: by what is in the files, and what was done to them is a finding.
func TestASealedStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "store.key")
	must(t, os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600))
	sealed := func() *store.Store {
		st := open(t, filepath.Join(dir, "store"), keys(t, 1))
		must(t, st.Unlock(t.Context(), "file://"+key))
		return st
	}
	st := open(t, filepath.Join(dir, "store"), keys(t, 1))
	_, _, _, err := st.SetUp(t.Context(), "", "f00d")
	must(t, err)
	must(t, st.Seal(t.Context(), "file://"+key))
	checkpoint := fill(t, st, 3, 100)
	if r := verify(t, sealed(), checkpoint); len(r.Problems) > 0 || r.Artefacts != 3*len(files) {
		t.Errorf("%+v", r)
	}
	if r, err := Store(t.Context(), sealed(), Options{Now: later(), Lately: true}); err != nil || len(r.Problems) > 0 {
		t.Errorf("lately: %+v, %v", r, err)
	}
	f := forger{t, filepath.Join(dir, "store")}
	if bytes.Contains(f.read("nights/2026-06-01/r1/stack.csv"), []byte(schemas.StackCSVFile)) {
		t.Fatal("it is not sealed")
	}
	for _, file := range []string{"nights/2026-06-01/r1/stack.csv", "nights/2026-06-02/r1/decision.json", "taskings/cases/aaaa-bbbb-cccc-dddd/000002.json"} {
		data := f.read(file)
		data[len(data)-1] ^= 1
		f.keep(file, data)
		if r := verify(t, sealed(), checkpoint); !slices.ContainsFunc(r.Problems, func(p audit.Problem) bool { return p.File == file }) {
			t.Errorf("%s is not named: %+v", file, r.Problems)
		}
	}
}
