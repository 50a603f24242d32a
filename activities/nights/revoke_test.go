package nights

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

func revoke(st *store.Store, id schemas.NightID) error {
	_, err := Revoke(context.Background(), st, id, schemas.Revocation{By: "Supt Example", Reason: "the extract lacked a borough", At: noon})
	return err
}

// current is the night that the records name, after making sure that current.json says the same; empty for none.
func current(t *testing.T, st *store.Store) string {
	t.Helper()
	last, record, err := lastApproval(t.Context(), st)
	if err != nil || last == nil {
		t.Fatal(last, err)
	}
	if got := read(t, st, schemas.CurrentPath); !bytes.Equal(got, record) {
		t.Errorf("current.json is %s, the last record %s", got, record)
	}
	c, err := LoadCurrent(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		return ""
	}
	return c.Manifest.NightID.String()
}

func TestARevokedApprovalGivesWayToTheOneBefore(t *testing.T) {
	for kind, url := range map[string]string{"folder": t.TempDir(), "bucket": "mem://", "S3": s3test.New(t).URL} {
		t.Run(kind, func(t *testing.T) {
			st := open(t, url)
			ids := approveInOrder(t, st, 1, 2, 3)
			decision := read(t, st, ids[2].Path()+"/"+schemas.DecisionFile)
			for i, c := range []struct {
				scenario string
				night    schemas.NightID
				want     error
				says     string
				current  string
			}{
				{"one that is not current", ids[1], ErrNotCurrent, "night 2026-06-03-r1 was approved after it", "2026-06-03-r1"},
				{"the current one", ids[2], nil, "", "2026-06-02-r1"},
				{"the same again, as after a crash", ids[2], nil, "", "2026-06-02-r1"},
				{"the one before", ids[1], nil, "", "2026-06-01-r1"},
				{"the only one that is left", ids[0], nil, "", ""},
				{"one when none is left", night("2026-06-09-r1"), ErrNotCurrent, "is not published", ""},
			} {
				if err := revoke(st, c.night); !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v", c.scenario, err)
				}
				if got := current(t, st); got != c.current {
					t.Errorf("%d, %s: current is %q", i, c.scenario, got)
				}
			}
			_, err := Revoke(t.Context(), st, ids[2], schemas.Revocation{By: "Supt Other", Reason: "the extract lacked a borough", At: noon})
			if !errors.Is(err, ErrRevoked) || !strings.Contains(err.Error(), "on 1 July 2026 at 13:00") || strings.Contains(err.Error(), "Example") {
				t.Errorf("by another: %v", err)
			}
			if got := read(t, st, ids[2].Path()+"/"+schemas.DecisionFile); !bytes.Equal(got, decision) {
				t.Error("the decision was changed")
			}
			if got := statuses(t, st); got["2026-06-03-r1"] != schemas.Revoked || got["2026-06-01-r1"] != schemas.Revoked {
				t.Errorf("%v", got)
			}
			if keys, err := st.List(t.Context(), "approvals/"); err != nil || len(keys) != 6 {
				t.Errorf("records %q, %v", keys, err)
			}
			last, err := LastRecord(t.Context(), st)
			if err != nil || len(last.Revocations) != 3 || last.Revocations[0].Manifest.NightID != ids[2] || last.Revocations[0].By != "Supt Example" ||
				last.Revocation().Manifest.NightID != ids[0] {
				t.Errorf("%+v, %v", last, err)
			}
			if err := SwapCurrent(t.Context(), st, ids[2]); !errors.Is(err, ErrRevoked) {
				t.Errorf("a revoked night was made current again: %v", err)
			}
		})
	}
}

// What follows a revocation is compared with, numbered after and taken back to what was approved before.
func TestNightsGoOnAfterARevocation(t *testing.T) {
	st := open(t, "mem://")
	ids := approveInOrder(t, st, 1, 2)
	waiting := mustPublish(t, st, night("2026-06-03-r1")) // compared with the stack of the 2nd
	if err := revoke(st, ids[1]); err != nil {
		t.Fatal(err)
	}
	if err := decide(st, waiting, schemas.Approved); !errors.Is(err, ErrStale) {
		t.Errorf("its changes were counted against a stack that is no longer approved: %v", err)
	}
	again := night("2026-06-03-r2")
	if ref, _, err := Baseline(t.Context(), st, again); err != nil || ref.NightID != ids[0] {
		t.Errorf("compared with %v, %v", ref, err)
	}
	if err := decide(st, mustPublish(t, st, again), schemas.Approved); err != nil {
		t.Fatal(err)
	}
	if err := SwapCurrent(t.Context(), st, again); err != nil || current(t, st) != "2026-06-03-r2" {
		t.Fatal(err)
	}
	last, err := LoadCurrent(t.Context(), st)
	if err != nil || last.Number != 4 || len(last.Revocations) != 1 || last.Revocation() != nil {
		t.Errorf("%+v, %v", last, err)
	}
	if err := revoke(st, again); err != nil || current(t, st) != "2026-06-01-r1" {
		t.Errorf("back to %s: %v", current(t, st), err)
	}
}

// A store that holds a night of the future recovers: taken back, or held when nobody has approved it, it overtakes
// nobody.
func TestANightOfTheFutureIsPutAside(t *testing.T) {
	for _, approved := range []bool{false, true} {
		t.Run(fmt.Sprintf("approved %v", approved), func(t *testing.T) {
			st := open(t, "mem://")
			approveInOrder(t, st, 1)
			future, lost, real := night("2036-01-01-r1"), night("2026-06-02-r1"), night("2026-06-02-r2")
			ref := mustPublish(t, st, future)
			if approved {
				if err := errors.Join(decide(st, ref, schemas.Approved), SwapCurrent(t.Context(), st, future)); err != nil {
					t.Fatal(err)
				}
			}
			mustPublish(t, st, lost)
			if superseded, err := Supersede(t.Context(), st, lost, noon); err != nil || !superseded {
				t.Fatal("a real night is not superseded by one of the future", err)
			}
			putAside := func() error { return decide(st, ref, schemas.Held) }
			if approved {
				putAside = func() error { return revoke(st, future) }
			}
			if err := putAside(); err != nil {
				t.Fatal(err)
			}
			if superseded, err := Supersede(t.Context(), st, lost, noon); err != nil || !superseded {
				t.Errorf("what was superseded stays so: %v", err)
			}
			want := mustPublish(t, st, real)
			if superseded, err := Supersede(t.Context(), st, real, noon); err != nil || superseded {
				t.Fatal("its next revision is superseded too", err)
			}
			if err := errors.Join(decide(st, want, schemas.Approved), SwapCurrent(t.Context(), st, real)); err != nil || current(t, st) != "2026-06-02-r2" {
				t.Errorf("current %s, %v", current(t, st), err)
			}
		})
	}
}

func TestARevocationIsRefused(t *testing.T) {
	st := open(t, "mem://")
	ids := approveInOrder(t, st, 1, 2)
	pending, held := night("2026-06-03-r1"), night("2026-06-04-r1")
	mustPublish(t, st, pending)
	if err := revoke(st, pending); !errors.Is(err, ErrNotCurrent) || !strings.Contains(err.Error(), "Hold it instead") {
		t.Errorf("pending: %v", err)
	}
	if err := decide(st, mustPublish(t, st, held), schemas.Held); err != nil {
		t.Fatal(err)
	}
	if err := revoke(st, held); !errors.Is(err, ErrNotCurrent) || !strings.Contains(err.Error(), "never approved but held") {
		t.Errorf("held: %v", err)
	}
	// An approval that is recorded in decision.json and not effective yet is a newer decision under way.
	newer := night("2026-06-05-r1")
	if err := decide(st, mustPublish(t, st, newer), schemas.Approved); err != nil {
		t.Fatal(err)
	}
	if err := revoke(st, ids[1]); !errors.Is(err, ErrNotCurrent) || !strings.Contains(err.Error(), "night 2026-06-05-r1 was approved after it") {
		t.Errorf("while a newer decision is under way: %v", err)
	}
	if err := MendCurrent(t.Context(), st); err != nil || current(t, st) != "2026-06-05-r1" {
		t.Error(err)
	}
	// The stack before must be whole: nobody is tasked from one that is not.
	stack := ids[1].Path() + "/" + schemas.StackFile
	if err := st.Replace(t.Context(), stack, []byte("other bytes")); err != nil {
		t.Fatal(err)
	}
	if err := revoke(st, newer); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("with the stack before damaged: %v", err)
	}
	// When its time is over the refusal says that.
	gone := []byte(`{"as_of": "2026-06-02", "revision": 1, "rule": "nights are kept for 400 days", "at": "2026-07-01T12:00:00Z", "files": []}`)
	if err := errors.Join(st.Delete(t.Context(), stack), st.CreateOnly(t.Context(), ids[1].Path()+"/"+schemas.DisposalFile, gone)); err != nil {
		t.Fatal(err)
	}
	if err := revoke(st, newer); !errors.Is(err, ErrDisposed) {
		t.Errorf("with the stack before disposed of: %v", err)
	}
}

// A store from before there were records is numbered first.
func TestAnOldStoreIsRevoked(t *testing.T) {
	st := open(t, "mem://")
	ids := approveInOrder(t, st, 1, 2)
	if err := errors.Join(st.Delete(t.Context(), ApprovalKey(1)), st.Delete(t.Context(), ApprovalKey(2))); err != nil {
		t.Fatal(err)
	}
	if err := revoke(st, ids[1]); err != nil || current(t, st) != "2026-06-01-r1" {
		t.Errorf("current %s, %v", current(t, st), err)
	}
}

// A night is taken back after an approval looked at the last record and before it compared the copy: the approval holds
// the copy of the revocation for an old one and must not leave its own there.
func TestRevocationWhileACopyIsMade(t *testing.T) {
	s3 := s3test.New(t)
	other := open(t, s3.URL)
	ids := approveInOrder(t, other, 1, 2)
	reads := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+schemas.CurrentPath)
	}
	st := open(t, s3.Before(t, reads, func() {
		if err := revoke(other, ids[1]); err != nil {
			t.Error(err)
		}
	}))
	if err := SwapCurrent(t.Context(), st, ids[1]); err != nil && !errors.Is(err, ErrRevoked) {
		t.Error(err)
	}
	if got := current(t, st); got != "2026-06-01-r1" {
		t.Errorf("current %s", got)
	}
}

// A revocation and the approval of the next night at once, over a bucket that loses every fifth answer of a write:
// whichever comes first, the records have no gap and the night that was taken back is never current again.
func TestRevocationAndApprovalAtOnce(t *testing.T) {
	s3 := s3test.New(t)
	st := open(t, s3.URL)
	ids := approveInOrder(t, st, 1, 2)
	next := night("2026-06-03-r1")
	if err := decide(st, mustPublish(t, st, next), schemas.Approved); err != nil {
		t.Fatal(err)
	}
	s3.Inject(func(n int, r *http.Request) s3test.Fault {
		if r.Method == http.MethodPut && n%5 == 0 {
			return s3test.Lost
		}
		return s3test.None
	})
	retried := func(do func() error) (err error) {
		for range 20 { // as an activity is tried again
			if err = do(); err == nil || errors.Is(err, ErrNotCurrent) || errors.Is(err, ErrOvertaken) || errors.Is(err, ErrRevoked) {
				return err
			}
		}
		return err
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := retried(func() error { return SwapCurrent(context.Background(), st, next) }); err != nil && !errors.Is(err, ErrRevoked) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := retried(func() error { return revoke(st, ids[1]) }); !errors.Is(err, ErrNotCurrent) {
				t.Errorf("the older of two approved nights was taken back: %v", err)
			}
		})
	}
	wg.Wait()
	for range 3 {
		wg.Go(func() {
			if err := retried(func() error { return revoke(st, next) }); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := retried(func() error { return SwapCurrent(context.Background(), st, next) }); err != nil && !errors.Is(err, ErrRevoked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s3.Inject(nil)
	if keys, err := st.List(t.Context(), "approvals/"); err != nil || len(keys) != 4 || current(t, st) != "2026-06-02-r1" {
		t.Errorf("%q, %v, current %s", keys, err, current(t, st))
	}
}
