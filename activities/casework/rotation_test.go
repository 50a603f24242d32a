package casework

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// A rotation that dies at any write is completed by the same again, also when there are more taskings by then.
func TestRotationAfterAKill(t *testing.T) {
	t.Parallel()
	for after := 0; ; after++ {
		s3 := s3test.New(t)
		st, err := store.Open(t.Context(), s3.URL)
		if err == nil {
			_, _, _, err = st.SetUp(t.Context(), "", "old")
		}
		task := func(reference string) {
			t.Helper()
			event := schemas.TaskingEvent{Number: 1, Kind: schemas.EventIssued, Team: "Hackney"}
			err := Save(t.Context(), st, &schemas.Tasking{Reference: reference, Version: 1, Events: []schemas.TaskingEvent{event}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		task("aaaa")
		ctx, kill := context.WithCancel(t.Context())
		seen := 0
		s3.Inject(func(_ int, r *http.Request) s3test.Fault {
			if r.Method == http.MethodPut {
				if seen++; seen > after {
					kill()
					return s3test.Cut
				}
			}
			return s3test.None
		})
		rotate := func(ctx context.Context, from, to string) (int, bool, error) {
			return RotatePseudonyms(ctx, st, from, to, audit.Claims("somebody"), "a change", time.Now())
		}
		_, _, died := rotate(ctx, "old", "new")
		kill()
		s3.Inject(nil)
		if died != nil {
			task("bbbb")
		}
		if _, _, err := rotate(t.Context(), "other", "newer"); err == nil || !strings.Contains(err.Error(), "fingerprint other") {
			t.Errorf("killed at step %d: from another key: %v", after, err)
		}
		if _, done, err := rotate(t.Context(), "old", "new"); err != nil || done != (died == nil) {
			t.Errorf("killed at step %d: %v, done %v", after, err, done)
		}
		kept, err := Kept(t.Context(), st, []string{"new", "old"})
		slices.Sort(kept)
		if want := map[bool]string{true: "aaaa", false: "aaaa bbbb"}[died == nil]; err != nil || strings.Join(slices.Compact(kept), " ") != want {
			t.Errorf("killed at step %d: kept are %q, %v", after, kept, err)
		}
		id, err := st.Recognise(t.Context())
		if err != nil || id.PseudonymKey != "new" {
			t.Errorf("killed at step %d: %+v, %v", after, id, err)
		}
		st.Close()
		if died == nil {
			if after < 3 {
				t.Errorf("only %d steps", after)
			}
			return
		}
	}
}
