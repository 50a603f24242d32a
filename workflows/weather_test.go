package workflows

import (
	"bytes"
	"net/http"
	"testing"

	"harmstack/activities/nights"
	"harmstack/activities/retention"
	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

// inBucket moves a deployment's store to a bucket.
func (d *deployment) inBucket(t *testing.T, url string) {
	t.Helper()
	st, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	d.store, d.acts.Nightly.Store, d.acts.Decision.Store, d.acts.Tasking.Store, d.acts.Operations.Store = st, st, st, st, st
	d.acts.Retention = &retention.Activities{Store: st}
}

// A night in a bucket of which every fifth request fails, in every way in turn, ends right: one revision, the bytes of
// a night in a folder, and a current.json that names what is whole.
func TestNightInABadBucket(t *testing.T) {
	calm, rough := newDeployment(t, threeSuspects()...), newDeployment(t, threeSuspects()...)
	want := calm.night(t, "night", schemas.NightRequest{AsOf: asOf})
	s3 := s3test.New(t)
	rough.inBucket(t, s3.URL)
	faults := []s3test.Fault{s3test.Internal, s3test.Lost, s3test.SlowDown, s3test.Half, s3test.Cut, s3test.Flip, s3test.Slow}
	failed := 0
	s3.Inject(func(n int, r *http.Request) s3test.Fault {
		if n%5 != 0 {
			return s3test.None
		}
		failed++
		return faults[failed%len(faults)]
	})
	got := rough.night(t, "night", schemas.NightRequest{AsOf: asOf})
	for { // as Temporal tries an activity again
		err := nights.Decide(t.Context(), rough.store, schemas.Decision{Decision: schemas.Approved, Manifest: *got.Manifest, By: "DCI Example", Reason: "looked at"})
		if err == nil {
			err = nights.SwapCurrent(t.Context(), rough.store, got.Night)
		}
		if err == nil {
			break
		}
		t.Log(err)
	}
	if requests := s3.Requests(); failed < 10 || failed != requests/5 {
		t.Errorf("%d of %d requests failed", failed, requests)
	}
	s3.Inject(nil)
	if got.Night.String() != "2026-06-30-r1" || got.Ranking.SHA256 != want.Ranking.SHA256 || got.Dispositions != want.Dispositions {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	m, _, err := nights.LoadManifest(t.Context(), rough.store, got.Night)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range m.Outputs {
		a, err := rough.store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		// The report names its extract, which lies elsewhere.
		if o.URI != got.Night.Path()+"/"+schemas.ReportFile && !bytes.Equal(read(t, rough.store, o.URI), read(t, calm.store, o.URI)) {
			t.Errorf("%s differs", o.URI)
		}
	}
	if rough.current(t) != "2026-06-30-r1" || !bytes.Equal(read(t, rough.store, schemas.CurrentPath), read(t, rough.store, "approvals/000001.json")) {
		t.Errorf("current is %s", rough.current(t))
	}
}

// A bucket without room stops a night where it is: nothing half-written is taken for whole, and once there is room the
// same night goes through.
func TestNightInAFullBucket(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	s3 := s3test.New(t)
	d.inBucket(t, s3.URL)
	writes := 0
	s3.Inject(func(_ int, r *http.Request) s3test.Fault {
		if r.Method != http.MethodPut {
			return s3test.None
		}
		if writes++; writes > 3 && writes < 12 { // somebody makes room after some attempts
			return s3test.Full
		}
		return s3test.None
	})
	got := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	if writes < 12 {
		t.Errorf("%d writes: it was never full", writes)
	}
	if got.Night.Revision != 1 || got.Suspects != 3 || d.current(t) != "" {
		t.Errorf("%+v", got)
	}
}
