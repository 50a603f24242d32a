package retention

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/activities/trust/verify"
	"harmstack/schemas"
)

func signing(t *testing.T) *sign.Keys {
	t.Helper()
	seed := bytes.Repeat([]byte{1}, ed25519.SeedSize)
	k, err := sign.Parse(base64.StdEncoding.EncodeToString(seed), "worker="+sign.Public(ed25519.NewKeyFromSeed(seed)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// verified is what is wrong with a store.
func verified(t *testing.T, st *store.Store) []audit.Problem {
	t.Helper()
	r, err := verify.Store(t.Context(), st, verify.Options{Now: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return r.Problems
}

// The taskings of fill: of each what is to become of it after 100 days.
const (
	ended, open, onStack, recent, promised = "aaaa-0", "bbbb-0", "cccc-0", "dddd-0", "eeee-0"
)

// fill makes a store of four nights and what they leave beside themselves, with all of it in the log.
func fill(t *testing.T, st *store.Store, outbox string) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	logged := func(operation audit.Operation, key string) {
		t.Helper()
		files, err := audit.Stored(ctx, st, key)
		must(err)
		must(audit.Append(ctx, st, audit.Entry{Operation: operation, Actor: audit.Worker, Did: "wrote", Files: files}))
	}
	record := func(key string, v any) {
		t.Helper()
		data, err := json.Marshal(v)
		must(err)
		must(st.CreateOnly(ctx, key, st.Record(key, data)))
	}
	for i, decision := range []string{schemas.Held, schemas.Approved, schemas.Approved, schemas.Approved} {
		id := seed(t, st, i+1, decision)
		logged(audit.Alteration, id.Path()+"/"+schemas.DecisionFile)
		type named struct {
			Reference string `json:"reference"`
		}
		plan := map[string][]named{"orders": {{open}}, "suspects": {{onStack}}}
		if i == 3 {
			plan["orders"] = []named{{promised}}
		}
		record("taskings/plans/"+id.String()+"/hackney.json", plan)
		record("taskings/plans/revoked-"+id.String()+"/hackney.json", plan)
		must(st.Replace(ctx, "taskings/failed-orders/"+id.String()+"/"+open+".json", []byte("{}")))
		record("taskings/told/hackney/"+filepath.Base(schemas.DisposalKey(i+1)), map[string]any{"manifest": schemas.ManifestRef{NightID: id}})
		message(t, st, "digest"+id.String()[8:10], "night "+id.String(), nil)
	}
	for reference, c := range map[string]struct {
		state   schemas.TaskingState
		onStack bool
		at      time.Time
	}{
		ended: {schemas.TaskingClosed, false, later(0)}, open: {schemas.TaskingIssued, true, later(0)}, onStack: {schemas.TaskingClosed, true, later(0)},
		recent: {schemas.TaskingStoodDown, false, later(50)}, promised: {schemas.TaskingClosed, false, later(0)},
	} {
		task := &schemas.Tasking{Reference: reference, Team: "Hackney", State: schemas.TaskingIssued, OnStack: true}
		for n := 1; n <= 3; n++ {
			if task.Version = n; n == 3 {
				task.State, task.OnStack = c.state, c.onStack
			}
			task.Events = append(task.Events, schemas.TaskingEvent{Number: n, At: c.at, Kind: schemas.EventUpdated, Team: "Hackney"})
			must(casework.Save(ctx, st, task))
			logged(audit.Alteration, casework.VersionKey(reference, n))
		}
		message(t, st, "sent"+reference[:1], reference, nil)
		message(t, st, "refused"+reference[:1], reference, errors.New("no such mailbox"))
	}
	must(st.Replace(ctx, schemas.ReuseFolder+"score/1.json", st.Record(schemas.ReuseFolder+"score/1.json", []byte(`{"night":{}}`))))
	for name, at := range map[string]time.Time{"old.eml": later(0), "new.eml": later(90), "old.txt": later(0)} {
		must(os.WriteFile(filepath.Join(outbox, name), []byte(name), 0o600))
		must(os.Chtimes(filepath.Join(outbox, name), at, at))
	}
}

func message(t *testing.T, st *store.Store, id, about string, why error) {
	t.Helper()
	ctx := t.Context()
	d, err := ledger.Deliver(ctx, st, ledger.Entry{ID: id, Channel: ledger.Mail, Team: "Hackney", Kind: "digest", Subject: about},
		func() time.Time { return later(0) },
		func(func(string) bool) ([]string, error) { return []string{"a@example.org"}, why }, func(error) bool { return true })
	if why != nil {
		return
	}
	if err == nil {
		err = ledger.Note(ctx, st, d.Entry, func(string) error {
			files, err := audit.Stored(ctx, st, ledger.SentKey(id))
			return errors.Join(err, audit.Append(ctx, st, audit.Entry{Operation: audit.Disclosure, Actor: audit.Worker, Did: "sent", Files: files}))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// beside are the files of a store that belong to no night, without the log and what says who it is.
func beside(t *testing.T, st *store.Store) (keys []string) {
	t.Helper()
	all, err := st.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range all {
		for _, folder := range []string{"taskings/", "deliveries/", "reuse/"} {
			if strings.HasPrefix(key, folder) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// goes tells of a file of fill whether its time is over after 100 days.
func goes(key string) bool {
	for _, part := range []string{
		"cases/" + ended + "/", "2096-07-01-r1/", "2096-07-02-r1/", "hackney/000001", "hackney/000002",
		"digest01", "digest02", "/senta", "/refuseda", "/sentd", "/refusedd", "reuse/",
	} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

func TestWhatIsBesideNightsGoesToo(t *testing.T) {
	for kind, url := range map[string]string{"folder": t.TempDir(), "S3": s3test.New(t).URL} {
		t.Run(kind, func(t *testing.T) {
			st, err := store.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			st.Keys = signing(t)
			outbox := t.TempDir()
			fill(t, st, outbox)
			before := beside(t, st)
			if problems := verified(t, st); len(problems) > 0 {
				t.Fatalf("before: %+v", problems)
			}
			rules := Rules{Night: 100, Tasking: 100, Outbox: outbox}
			for _, c := range []struct {
				rules Rules
				days  int
				dry   bool
			}{{Rules{}, 9999, false}, {Rules{Outbox: outbox}, 9999, false}, {rules, 99, false}, {rules, 101, true}} {
				if _, err := Dispose(t.Context(), st, c.rules, later(c.days), c.dry); err != nil {
					t.Fatal(err)
				}
				if c.days == 99 { // notes for reruns are kept for a month
					before = slices.DeleteFunc(before, func(key string) bool { return strings.HasPrefix(key, "reuse/") })
				}
				if left := beside(t, st); !slices.Equal(left, before) {
					t.Errorf("%+v: left %q", c, left)
				}
			}
			// Those of night 1 were a day older.
			gone, err := Dispose(t.Context(), st, rules, later(101), false)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.DeleteFunc(slices.Clone(before), goes)
			if left := beside(t, st); !slices.Equal(left, want) {
				t.Errorf("left\n%s\nnot\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
			}
			var whats []string
			for _, g := range gone {
				whats = append(whats, g.Of())
			}
			if got := strings.Join(whats, ", "); !strings.HasSuffix(got, "taskings, plans, notes of what teams were told, messages in the ledger, messages in the outbox") {
				t.Errorf("went %s", got)
			}
			files, err := filepath.Glob(outbox + "/*")
			if err != nil || len(files) != 2 || filepath.Base(files[0]) != "new.eml" {
				t.Errorf("the outbox has %q", files)
			}
			if problems := verified(t, st); len(problems) > 0 {
				t.Errorf("after: %+v", problems)
			}
			record := schemas.DisposalKey(2) // of the taskings, after one of notes for reruns
			if gone, err := Dispose(t.Context(), st, rules, later(101), false); err != nil || len(gone) != 0 {
				t.Errorf("once more went %+v, %v", gone, err)
			}
			// A record that is gone, or says something else, is found.
			data, err := st.Read(t.Context(), record)
			if err != nil {
				t.Fatal(err)
			}
			for _, tamper := range []func() error{
				func() error { return st.Delete(t.Context(), record) },
				func() error {
					return st.Replace(t.Context(), record, bytes.Replace(data, []byte("aaaa-0"), []byte("bbbb-0"), 1))
				},
			} {
				if err := tamper(); err != nil {
					t.Fatal(err)
				}
				if problems := verified(t, st); !slices.ContainsFunc(problems, func(p audit.Problem) bool { return p.File == record }) {
					t.Errorf("not found: %+v", problems)
				}
			}
			// So is a file that somebody put back.
			if err := st.Replace(t.Context(), record, data); err != nil {
				t.Fatal(err)
			}
			key := "taskings/plans/2096-07-02-r1/hackney.json"
			was, err := json.Marshal(map[string][]map[string]string{"orders": {{"reference": open}}, "suspects": {{"reference": onStack}}})
			if err == nil {
				err = st.Replace(t.Context(), key, st.Record(key, was))
			}
			if err != nil {
				t.Fatal(err)
			}
			if problems := verified(t, st); len(problems) != 1 || problems[0].File != key {
				t.Errorf("of the file that was put back: %+v", problems)
			}
		})
	}
}

// A process that dies at any write or delete is completed by the next: the same is left as if it had not died, and the
// store verifies.
func TestRecordsGoAfterAKill(t *testing.T) {
	var want []string
	step := 5
	if os.Getenv("HARMSTACK_E2E") == "full" {
		step = 1
	}
	for after := 1; ; after += step {
		s3 := s3test.New(t)
		st, err := store.Open(t.Context(), s3.URL)
		if err != nil {
			t.Fatal(err)
		}
		st.Keys = signing(t)
		outbox := t.TempDir()
		fill(t, st, outbox)
		if want == nil {
			want = slices.DeleteFunc(beside(t, st), goes)
		}
		ctx, kill := context.WithCancel(t.Context())
		seen := 0
		s3.Inject(func(_ int, r *http.Request) s3test.Fault {
			if r.Method == http.MethodDelete || r.Method == http.MethodPut {
				if seen++; seen > after {
					kill()
					return s3test.Cut
				}
			}
			return s3test.None
		})
		rules := Rules{Tasking: 100, Outbox: outbox}
		_, died := Dispose(ctx, st, rules, later(101), false)
		kill()
		s3.Inject(nil)
		if _, err := Dispose(t.Context(), st, rules, later(101), false); err != nil {
			t.Fatal(err)
		}
		if left := beside(t, st); !slices.Equal(left, want) {
			t.Errorf("killed at step %d: left\n%s\nnot\n%s", after, strings.Join(left, "\n"), strings.Join(want, "\n"))
		}
		if problems := verified(t, st); len(problems) > 0 {
			t.Errorf("killed at step %d: %+v", after, problems)
		}
		st.Close()
		if died == nil {
			if after < 20 {
				t.Errorf("only %d steps", after)
			}
			return
		}
	}
}
