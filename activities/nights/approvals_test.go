package nights

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

// approveInOrder publishes, approves and swaps nights of June 2026.
func approveInOrder(t *testing.T, st *store.Store, days ...int) (ids []schemas.NightID) {
	t.Helper()
	for _, day := range days {
		id := night(fmt.Sprintf("2026-06-%02d-r1", day))
		if err := decide(st, mustPublish(t, st, id), schemas.Approved); err != nil {
			t.Fatal(err)
		}
		if err := SwapCurrent(t.Context(), st, id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func read(t *testing.T, st *store.Store, key string) []byte {
	t.Helper()
	data, err := st.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The records are the truth, and current.json is a copy of the last that anybody may lose.
func TestCurrentFollowsTheRecords(t *testing.T) {
	for kind, url := range map[string]string{"folder": t.TempDir(), "bucket": "mem://", "S3": s3test.New(t).URL} {
		t.Run(kind, func(t *testing.T) {
			st := open(t, url)
			ids := approveInOrder(t, st, 1, 2, 3)
			first, last := read(t, st, "approvals/000001.json"), read(t, st, "approvals/000003.json")
			if keys, err := st.List(t.Context(), "approvals/"); err != nil || len(keys) != 3 {
				t.Errorf("records %q, %v", keys, err)
			}
			for scenario, damage := range map[string]func() error{
				"missing": func() error { return st.Delete(t.Context(), schemas.CurrentPath) },
				"stale":   func() error { return st.Replace(t.Context(), schemas.CurrentPath, first) },
				"damaged": func() error { return st.Replace(t.Context(), schemas.CurrentPath, last[:len(last)/2]) },
			} {
				if err := damage(); err != nil {
					t.Fatal(err)
				}
				if c, err := LoadCurrent(t.Context(), st); err != nil || c == nil || c.Manifest.NightID != ids[2] || c.Number != 3 {
					t.Errorf("%s: current is %+v, %v", scenario, c, err)
				}
				if err := SwapCurrent(t.Context(), st, ids[2]); err != nil {
					t.Errorf("%s: %v", scenario, err)
				}
				if got := read(t, st, schemas.CurrentPath); !bytes.Equal(got, last) {
					t.Errorf("%s: current.json is %s", scenario, got)
				}
			}
			written, err := st.Modified(t.Context(), schemas.CurrentPath)
			if again := MendCurrent(t.Context(), st); err != nil || again != nil {
				t.Error(err, again)
			}
			if now, err := st.Modified(t.Context(), schemas.CurrentPath); err != nil || !now.Equal(written) {
				t.Errorf("mended what was whole: %v, %v", now, err)
			}
		})
	}
}

// A store from before there were records, and one whose worker died before it wrote the first: the next swap numbers
// all.
func TestOldStoreIsNumbered(t *testing.T) {
	st := open(t, "mem://")
	ids := approveInOrder(t, st, 1, 2)
	third := night("2026-06-03-r1")
	if err := decide(st, mustPublish(t, st, third), schemas.Approved); err != nil {
		t.Fatal(err)
	}
	var want [][]byte
	for n := 1; n <= 2; n++ {
		want = append(want, read(t, st, ApprovalKey(n)))
		if err := st.Delete(t.Context(), ApprovalKey(n)); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := LoadCurrent(t.Context(), st); err != nil || c == nil || c.Manifest.NightID != ids[1] {
		t.Errorf("by current.json alone: %+v, %v", c, err)
	}
	if err := SwapCurrent(t.Context(), st, third); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got := read(t, st, ApprovalKey(i+1)); !bytes.Equal(got, w) {
			t.Errorf("record %d is %s, want %s", i+1, got, w)
		}
	}
	if c, err := LoadCurrent(t.Context(), st); err != nil || c.Manifest.NightID != third || c.Number != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestGapInTheRecordsIsSeen(t *testing.T) {
	st := open(t, "mem://")
	approveInOrder(t, st, 1, 2, 3)
	if err := st.Delete(t.Context(), ApprovalKey(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCurrent(t.Context(), st); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

// Many swap at once, over a bucket that loses every fifth answer of a write: one record a night, in order.
func TestSwapsAtOnce(t *testing.T) {
	s3 := s3test.New(t)
	st := open(t, s3.URL)
	var ids []schemas.NightID
	for day := 1; day <= 3; day++ {
		id := night(fmt.Sprintf("2026-06-%02d-r1", day))
		if err := decide(st, mustPublish(t, st, id), schemas.Approved); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	s3.Inject(func(n int, r *http.Request) s3test.Fault {
		if r.Method == http.MethodPut && n%5 == 0 {
			return s3test.Lost
		}
		return s3test.None
	})
	var wg sync.WaitGroup
	for _, id := range ids {
		for range 2 {
			wg.Go(func() {
				err := SwapCurrent(context.Background(), st, id)
				for err != nil && !errors.Is(err, ErrOvertaken) { // as an activity is tried again
					err = SwapCurrent(context.Background(), st, id)
				}
				if (id == ids[2]) != (err == nil) {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
	}
	wg.Wait()
	s3.Inject(nil)
	keys, err := st.List(t.Context(), "approvals/")
	if err != nil || len(keys) != 3 {
		t.Fatalf("records %q, %v", keys, err)
	}
	for i, key := range keys {
		c, err := load[schemas.Current](t.Context(), st, key)
		if err != nil || c.Number != i+1 || c.Manifest.NightID != ids[i] {
			t.Errorf("%s: %+v, %v", key, c, err)
		}
	}
	if !bytes.Equal(read(t, st, schemas.CurrentPath), read(t, st, keys[2])) {
		t.Error("current.json is no copy of the last")
	}
}

// What counts as approved since a date: revisions each, and nothing that was taken back, in whatever order that happened.
func TestApprovedSince(t *testing.T) {
	st := open(t, "mem://")
	since := func(date string) (got []string) {
		t.Helper()
		approved, err := ApprovedSince(t.Context(), st, schemas.MustDate(date))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range approved {
			got = append(got, id.String())
		}
		return got
	}
	if got := since("2026-06-01"); got != nil {
		t.Errorf("before any: %q", got)
	}
	ids := approveInOrder(t, st, 1, 2, 3, 4)
	for _, id := range []schemas.NightID{ids[3], ids[2]} {
		if err := revoke(st, id); err != nil {
			t.Fatal(err)
		}
	}
	again := night("2026-06-02-r2") // older than what was taken back
	if err := errors.Join(decide(st, mustPublish(t, st, again), schemas.Approved), SwapCurrent(t.Context(), st, again)); err != nil {
		t.Fatal(err)
	}
	approveInOrder(t, st, 6)
	for date, want := range map[string][]string{
		"2026-06-01": {"2026-06-06-r1", "2026-06-02-r2", "2026-06-02-r1", "2026-06-01-r1"},
		"2026-06-02": {"2026-06-06-r1", "2026-06-02-r2", "2026-06-02-r1"},
		"2026-06-03": {"2026-06-06-r1"}, "2026-06-07": nil,
	} {
		if got := since(date); !slices.Equal(got, want) {
			t.Errorf("since %s: %q, want %q", date, got, want)
		}
	}
}
