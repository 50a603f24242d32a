package casework

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
)

// A suspect comes back to the stack while somebody still takes the mark of their tasking away, because they had left:
// whatever comes first, the mark is there in the end, or nobody would ever stand the tasking down again.
func TestMarkOfWhoComesBackMeanwhile(t *testing.T) {
	issued := play(t, issue)
	left, err := Apply(issued, Command{Key: "left", At: monday, Order: offStack(1)}, who)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Apply(left, Command{Key: "back", At: monday, Order: onStack(2)}, who)
	if err != nil || !back.OnStack {
		t.Fatal(back, err)
	}
	mark := "/" + OpenFolder + issued.Reference
	for scenario, c := range map[string]struct {
		late func(st *store.Store) error // who is slow
		when func(r *http.Request) bool  // and where
		then func(st *store.Store) error // what comes in between
	}{
		"before the mark goes": {
			func(st *store.Store) error { return Save(t.Context(), st, left) },
			func(r *http.Request) bool {
				return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, mark)
			},
			func(st *store.Store) error { return Save(t.Context(), st, back) },
		},
		"by a plan that read it before": {
			func(st *store.Store) error { return Unmark(t.Context(), st, left) },
			func(r *http.Request) bool {
				return r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, mark)
			},
			func(st *store.Store) error { return Save(t.Context(), st, back) },
		},
		"when the mark was found and the version is not there yet": {
			func(st *store.Store) error { return Save(t.Context(), st, back) },
			func(r *http.Request) bool {
				return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, VersionKey(back.Reference, back.Version))
			},
			func(st *store.Store) error { return Unmark(t.Context(), st, left) },
		},
	} {
		t.Run(scenario, func(t *testing.T) {
			s3 := s3test.New(t)
			openAt := func(url string) *store.Store {
				st, err := store.Open(t.Context(), url)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { st.Close() })
				return st
			}
			other := openAt(s3.URL)
			if err := Save(t.Context(), other, issued); err != nil {
				t.Fatal(err)
			}
			if scenario != "before the mark goes" {
				err := Save(t.Context(), other, left)
				if err == nil { // as of a writer who died before it went
					err = other.CreateOnly(t.Context(), OpenFolder+issued.Reference, nil)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			slow := openAt(s3.Before(t, c.when, func() {
				if err := c.then(other); err != nil {
					t.Error(err)
				}
			}))
			if err := c.late(slow); err != nil {
				t.Error(err)
			}
			if marked, err := Marked(t.Context(), other); err != nil || !slices.Equal(marked, []string{issued.Reference}) {
				t.Errorf("%q, %v", marked, err)
			}
		})
	}
}
