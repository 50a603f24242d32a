package nights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func night(s string) schemas.NightID {
	id, ok := parseManifestKey("nights/" + strings.Replace(s, "-r", "/r", 1) + "/manifest.json")
	if !ok {
		panic(s)
	}
	return id
}

func open(t *testing.T, url string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// manifest writes the outputs of a night and describes them.
func manifest(t *testing.T, st *store.Store, id schemas.NightID, previous *schemas.ManifestRef) schemas.Manifest {
	t.Helper()
	m := schemas.Manifest{NightID: id, RowsRead: 3, Suspects: 2, Previous: previous}
	m.Dispositions[schemas.Cleared], m.Dispositions[schemas.Scored] = 1, 2
	for _, file := range required {
		ref, err := st.Write(t.Context(), id.Path()+"/"+file, "", func(w io.Writer) (int64, error) {
			_, err := io.WriteString(w, file)
			return 1, err
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Outputs = append(m.Outputs, ref)
	}
	return m
}

func mustPublish(t *testing.T, st *store.Store, id schemas.NightID) schemas.ManifestRef {
	t.Helper()
	previous, _, err := Baseline(t.Context(), st, id)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := Publish(t.Context(), st, manifest(t, st, id, previous))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func decide(st *store.Store, ref schemas.ManifestRef, decision string) error {
	return Decide(context.Background(), st, schemas.Decision{Decision: decision, Manifest: ref, By: "DCI Example", Reason: "looked at", At: noon})
}

func statuses(t *testing.T, st *store.Store) map[string]string {
	t.Helper()
	nights, err := List(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range nights {
		got[n.ID.String()] = n.Status
	}
	return got
}

func TestClaim(t *testing.T) {
	st := open(t, "mem://")
	asOf := schemas.MustDate("2026-06-30")
	for _, c := range []struct {
		scenario, date, owner string
		want                  int
	}{
		{"the first run", "2026-06-30", "run-a", 1},
		{"its retry", "2026-06-30", "run-a", 1},
		{"another run", "2026-06-30", "run-b", 2},
		{"the first again", "2026-06-30", "run-a", 1},
		{"a third, though none was published", "2026-06-30", "run-c", 3},
		{"another night", "2026-07-01", "run-c", 1},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			id, err := Claim(t.Context(), st, schemas.MustDate(c.date), c.owner)
			if want := (schemas.NightID{AsOf: schemas.MustDate(c.date), Revision: c.want}); err != nil || id != want {
				t.Errorf("got %s, %v", id, err)
			}
		})
	}
	if _, err := Claim(t.Context(), st, asOf, ""); err == nil {
		t.Error("nobody claimed a night")
	}
	if _, err := Claim(t.Context(), st, schemas.Date{}, "run-a"); err == nil {
		t.Error("a night without a date was claimed")
	}
	if got := statuses(t, st); len(got) != 0 {
		t.Errorf("a claim is no night: %v", got)
	}
	if err := st.CreateOnly(t.Context(), "nights/2026-07-02/r1/claim.json", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(t.Context(), st, schemas.MustDate("2026-07-02"), "run-a"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged claim: %v", err)
	}
}

// Twelve runs, each claiming twice at the same time, get twelve revisions without a gap.
func TestClaimConcurrently(t *testing.T) {
	for _, url := range []string{"mem://", t.TempDir()} {
		st := open(t, url)
		var mu sync.Mutex
		var wg sync.WaitGroup
		claimed := map[int]string{}
		for i := range 24 {
			wg.Go(func() {
				owner := fmt.Sprint("run-", i%12)
				id, err := Claim(context.Background(), st, schemas.MustDate("2026-06-30"), owner)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if other, taken := claimed[id.Revision]; taken && other != owner {
					t.Errorf("%s and %s both hold r%d", owner, other, id.Revision)
				}
				claimed[id.Revision] = owner
			})
		}
		wg.Wait()
		if len(claimed) != 12 || claimed[1] == "" || claimed[12] == "" {
			t.Errorf("%v", claimed)
		}
	}
}

func TestPublish(t *testing.T) {
	st := open(t, t.TempDir())
	id := night("2026-06-30-r1")
	m := manifest(t, st, id, nil)
	if sealed, err := Sealed(t.Context(), st, id); sealed || err != nil {
		t.Fatalf("before: %v, %v", sealed, err)
	}
	ref, err := Publish(t.Context(), st, m)
	if err != nil || ref.NightID != id || ref.URI != "nights/2026-06-30/r1/manifest.json" || len(ref.SHA256) != 64 {
		t.Fatalf("%+v, %v", ref, err)
	}
	if sealed, err := Sealed(t.Context(), st, id); !sealed || err != nil {
		t.Errorf("after: %v, %v", sealed, err)
	}
	again, err := Publish(t.Context(), st, m)
	if err != nil || again != ref {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	other := m
	other.Code = "another build"
	if _, err := Publish(t.Context(), st, other); !errors.Is(err, ErrSealed) {
		t.Errorf("another content: %v", err)
	}
	got, gotRef, err := LoadManifest(t.Context(), st, id)
	if err != nil || gotRef != ref || !reflect.DeepEqual(got, m) {
		t.Errorf("%v, %+v\n%+v", err, gotRef, got)
	}
	data, err := st.Read(t.Context(), ref.URI)
	if err != nil || !strings.HasPrefix(string(data), "{\n  \"as_of\": \"2026-06-30\",\n  \"revision\": 1,\n  \"rows_read\": 3,\n  \"dispositions\": {\n    \"quarantined\": 0,") {
		t.Errorf("%v\n%s", err, data)
	}
}

func TestPublishRefuses(t *testing.T) {
	for _, c := range []struct {
		scenario, want string
		change         func(m *schemas.Manifest)
	}{
		{"a row is unaccounted for", "4 rows were read but 3 are accounted for", func(m *schemas.Manifest) { m.RowsRead++ }},
		{"nobody is ranked", "nobody can be ranked", func(m *schemas.Manifest) { m.Suspects = 0 }},
		{"no revision", "lacks its date or its revision", func(m *schemas.Manifest) { m.Revision = 0 }},
		{"an output is missing from the list", "has no report.html", func(m *schemas.Manifest) { m.Outputs = m.Outputs[:len(m.Outputs)-1] }},
		{"an output is missing from the store", "extract/part-00000.parquet", func(m *schemas.Manifest) {
			m.Outputs = append(m.Outputs, schemas.ArtifactRef{URI: m.Path() + "/extract/part-00000.parquet"})
		}},
		{"an output has another size", "quarantine.parquet: ", func(m *schemas.Manifest) { m.Outputs[0].Bytes++ }},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			st := open(t, "mem://")
			m := manifest(t, st, night("2026-06-30-r1"), nil)
			c.change(&m)
			if _, err := Publish(t.Context(), st, m); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
			if got := statuses(t, st); len(got) != 0 {
				t.Errorf("published all the same: %v", got)
			}
		})
	}
}

func TestNightsInOrder(t *testing.T) {
	st := open(t, "mem://")
	for _, s := range []string{"2026-06-30-r10", "2026-06-30-r2", "2026-07-01-r1", "2025-12-31-r1"} {
		mustPublish(t, st, night(s))
	}
	for _, stray := range []string{"nights/2026-06-30/r02/manifest.json", "nights/2026-6-30/r1/manifest.json", "nights/x/r1/manifest.json",
		"nights/2026-06-30/r-1/manifest.json", "nights/2026-06-30/manifest.json", "nights/2026-06-30/r3/extract/manifest.json"} {
		if err := st.CreateOnly(t.Context(), stray, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	nights, err := List(t.Context(), st)
	var got []string
	for _, n := range nights {
		got = append(got, n.ID.String()+" "+n.Status)
	}
	if want := []string{"2025-12-31-r1 pending", "2026-06-30-r2 pending", "2026-06-30-r10 pending", "2026-07-01-r1 pending"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestBaseline(t *testing.T) {
	st := open(t, "mem://")
	baseline := func(s string) string {
		ref, m, err := Baseline(t.Context(), st, night(s))
		if err != nil {
			t.Fatal(err)
		}
		if ref == nil || m == nil {
			return ""
		}
		if m.NightID != ref.NightID {
			t.Errorf("manifest of %s for %s", m.NightID, ref.NightID)
		}
		return ref.NightID.String()
	}
	if got := baseline("2026-06-30-r1"); got != "" {
		t.Errorf("an empty store has the baseline %s", got)
	}
	for _, c := range []struct{ id, decision string }{
		{"2026-06-26-r1", schemas.Approved}, {"2026-06-27-r1", schemas.Approved}, {"2026-06-28-r1", schemas.Held}, {"2026-06-29-r1", Pending},
	} {
		ref := mustPublish(t, st, night(c.id))
		if c.decision != Pending {
			if err := decide(st, ref, c.decision); err != nil {
				t.Fatal(err)
			}
		}
	}
	for id, want := range map[string]string{
		"2026-06-30-r1": "2026-06-27-r1", // approved, though current.json was never written
		"2026-06-27-r2": "2026-06-27-r1",
		"2026-06-27-r1": "2026-06-26-r1", // never itself
		"2026-06-26-r1": "",
	} {
		if got := baseline(id); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
	if err := st.Replace(t.Context(), "nights/2026-06-27/r1/manifest.json", []byte(`{"as_of":"2026-06-27","revision":1}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Baseline(t.Context(), st, night("2026-06-30-r1")); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a manifest that changed after it was approved: %v", err)
	}
}

func TestSupersedeOlder(t *testing.T) {
	st := open(t, "mem://")
	if err := decide(st, mustPublish(t, st, night("2026-06-27-r1")), schemas.Held); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"2026-06-28-r1", "2026-06-29-r1", "2026-06-30-r2"} {
		mustPublish(t, st, night(s))
	}
	for _, attempt := range []string{"first", "retry"} {
		got, err := SupersedeOlder(t.Context(), st, night("2026-06-30-r1"), noon)
		if want := []schemas.NightID{night("2026-06-28-r1"), night("2026-06-29-r1")}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", attempt, got, err)
		}
	}
	want := map[string]string{"2026-06-27-r1": "held", "2026-06-28-r1": "superseded", "2026-06-29-r1": "superseded", "2026-06-30-r2": "pending"}
	if got := statuses(t, st); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	d, err := LoadDecision(t.Context(), st, night("2026-06-29-r1"))
	if err != nil || d.By != "harmstack" || d.Reason != "superseded by night 2026-06-30-r1" || !d.At.Equal(noon) || d.Manifest.SHA256 == "" {
		t.Errorf("%+v, %v", d, err)
	}
	if got, err := SupersedeOlder(t.Context(), st, night("2026-07-01-r1"), noon); err != nil || len(got) != 1 || got[0] != night("2026-06-30-r2") {
		t.Errorf("another night takes only what is left: %v, %v", got, err)
	}
}
