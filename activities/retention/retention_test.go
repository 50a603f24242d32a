package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

var files = []string{"extract/part-000.parquet", "quarantine.parquet", "ranking.parquet", "stack.parquet", "stack.csv", "contributions.parquet", "cases.parquet", "changes.parquet", "report.html"}

// later is when a night of 2 July 2096 is so many days old.
func later(days int) time.Time {
	return time.Date(2096, 7, 2, 12, 0, 0, 0, schemas.London).AddDate(0, 0, days)
}

// seed publishes a night of July 2096 and decides it. Its files are more than a week old by then.
func seed(t *testing.T, st *store.Store, day int, decision string) schemas.NightID {
	t.Helper()
	ctx := t.Context()
	id, err := nights.Claim(ctx, st, schemas.MustDate(fmt.Sprintf("2096-07-%02d", day)), "run")
	if err != nil {
		t.Fatal(err)
	}
	m := schemas.Manifest{NightID: id, RowsRead: 1, Suspects: 1}
	m.Dispositions[schemas.Scored] = 1
	line, err := nights.Look(ctx, st)
	if err != nil {
		t.Fatal(err)
	}
	if m.Previous, _, err = line.Baseline(ctx, id); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		ref, err := st.Write(ctx, id.Path()+"/"+file, "", func(w io.Writer) (int64, error) {
			_, err := io.WriteString(w, "S-1 did this")
			return 7, err
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Outputs = append(m.Outputs, ref)
	}
	if err := st.Replace(ctx, id.WorkPath()+"/rows", []byte("S-1")); err != nil {
		t.Fatal(err)
	}
	ref, err := nights.Publish(ctx, st, m)
	if err == nil && decision != nights.Pending {
		err = nights.Decide(ctx, st, schemas.Decision{Decision: decision, Manifest: ref, By: "DCI Example", Reason: "looked at", At: later(0)})
	}
	if err == nil && decision == schemas.Approved {
		err = nights.SwapCurrent(ctx, st, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// left are the files of a night, by their names below its folder.
func left(t *testing.T, st *store.Store, id schemas.NightID) string {
	t.Helper()
	var names []string
	for _, root := range []string{id.Path(), id.WorkPath()} {
		keys, err := st.List(t.Context(), root+"/")
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			names = append(names, strings.TrimPrefix(key, id.Path()+"/"))
		}
	}
	return strings.Join(names, " ")
}

const (
	whole      = "cases.parquet changes.parquet claim.json contributions.parquet decision.json extract/part-000.parquet manifest.json quarantine.parquet ranking.parquet report.html stack.csv stack.parquet work/"
	records    = "claim.json decision.json disposal.json manifest.json"
	withoutRow = "changes.parquet claim.json contributions.parquet decision.json disposal-extract.json manifest.json ranking.parquet report.html stack.csv stack.parquet"
)

func TestDispose(t *testing.T) {
	for kind, url := range map[string]string{"folder": t.TempDir(), "S3": s3test.New(t).URL} {
		t.Run(kind, func(t *testing.T) {
			st, err := store.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			held, old, base, current := seed(t, st, 1, schemas.Held), seed(t, st, 2, schemas.Approved), seed(t, st, 3, schemas.Approved), seed(t, st, 4, schemas.Approved)
			pending := seed(t, st, 5, nights.Pending)
			dispose := func(rules Rules, at time.Time, dry bool) []Gone {
				t.Helper()
				gone, err := Dispose(t.Context(), st, rules, at, dry)
				if err != nil {
					t.Fatal(err)
				}
				return gone
			}
			if gone := dispose(Rules{}, later(9999), false); len(gone) != 0 {
				t.Errorf("without rules went %+v", gone)
			}
			if gone := dispose(Rules{Night: 100}, later(100), true); len(gone) != 1 || gone[0].Night != held || gone[0].Files != 10 || gone[0].Bytes != 108 {
				t.Errorf("of the age of 101 days went %+v", gone)
			}
			if got := left(t, st, held); !strings.HasPrefix(got, whole) {
				t.Errorf("a dry run deleted: %s", got)
			}
			// The rows as read first.
			if gone := dispose(Rules{Extract: 60, Night: 100}, later(100), false); len(gone) != 2 || gone[1].Night != old || gone[1].Files != 4 {
				t.Errorf("went %+v", gone)
			}
			for id, want := range map[schemas.NightID]string{held: records, old: withoutRow} {
				if got := left(t, st, id); got != want {
					t.Errorf("%s has %s", id, got)
				}
			}
			// However old: what the current and the pending night need stays.
			if gone := dispose(Rules{Extract: 60, Night: 100}, later(5000), false); len(gone) != 1 || gone[0].Night != old {
				t.Errorf("went %+v", gone)
			}
			for _, id := range []schemas.NightID{base, current, pending} {
				if got := left(t, st, id); !strings.Contains(got, "extract/part-000.parquet") || !strings.Contains(got, "stack.parquet") {
					t.Errorf("%s has %s", id, got)
				}
			}
			// The record.
			data, err := st.Read(t.Context(), old.Path()+"/"+schemas.DisposalFile)
			var d schemas.Disposal
			if err := errors.Join(err, json.Unmarshal(data, &d)); err != nil {
				t.Fatal(err)
			}
			_, ref, err := nights.LoadManifest(t.Context(), st, old)
			if err != nil || d.Manifest != ref.SHA256 || d.Rule != "nights are kept for 100 days" || len(d.Files) != 6 || d.Files[0].SHA256 == "" || d.Files[0].Rows != 7 || strings.Contains(string(data), "S-1") {
				t.Errorf("%v, %s", err, data)
			}
			log, err := audit.Read(t.Context(), st)
			log = slices.DeleteFunc(log, func(e audit.Entry) bool { return e.Operation != audit.Erasure })
			if err != nil || len(log) != 3 || log[2].On.Night != old.String() || len(log[2].Files) != 1 || log[2].Files[0].Name != old.Path()+"/"+schemas.DisposalFile || log[2].Did != "disposed of 6 files" {
				t.Errorf("%v, %+v", err, log)
			}
			if _, err := st.Open(t.Context(), schemas.ArtifactRef{URI: old.Path() + "/stack.parquet"}); true {
				err = nights.WhyMissing(t.Context(), st, old, err)
				if !errors.Is(err, nights.ErrDisposed) || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "nights are kept for 100 days") {
					t.Errorf("error %v", err)
				}
			}
			all, err := nights.List(t.Context(), st)
			if err != nil || len(all) != 5 || !all[0].Disposed || !all[1].Disposed || all[2].Disposed || all[1].Status != schemas.Approved {
				t.Errorf("%v, %+v", err, all)
			}
		})
	}
}

// A run that never published leaves rows behind as well. One that has just begun is left alone, whatever its date.
func TestUnpublishedNights(t *testing.T) {
	st, err := store.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	id, err := nights.Claim(t.Context(), st, schemas.MustDate("2020-01-01"), "run")
	if err == nil {
		err = st.Replace(t.Context(), id.Path()+"/extract/part-000.parquet", []byte("S-1"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{{time.Now(), "claim.json extract/part-000.parquet"}, {time.Now().Add(resting + time.Hour), "claim.json disposal.json"}} {
		if _, err := Dispose(t.Context(), st, Rules{Night: 100}, c.at, false); err != nil {
			t.Fatal(err)
		}
		if got := left(t, st, id); got != c.want {
			t.Errorf("at %s it has %s", c.at, got)
		}
	}
}

// A process that dies after any number of deletes is completed by the next, under the record of the first.
func TestDisposeAfterAKill(t *testing.T) {
	for deletes := range 10 {
		s3 := s3test.New(t)
		st, err := store.Open(t.Context(), s3.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		id := seed(t, st, 1, schemas.Held)
		seed(t, st, 2, schemas.Approved)
		ctx, kill := context.WithCancel(t.Context())
		seen := 0
		s3.Inject(func(_ int, r *http.Request) s3test.Fault {
			if r.Method == http.MethodDelete {
				if seen++; seen > deletes {
					kill()
					return s3test.Cut
				}
			}
			return s3test.None
		})
		if _, err := Dispose(ctx, st, Rules{Night: 100}, later(100), false); err == nil && deletes < 9 {
			t.Error("it was not killed")
		}
		kill()
		s3.Inject(nil)
		first, err := st.Read(t.Context(), id.Path()+"/"+schemas.DisposalFile)
		if err != nil {
			t.Fatal(err)
		}
		// The rule was taken back meanwhile: what was begun is ended.
		if _, err := Dispose(t.Context(), st, Rules{}, later(101), false); err != nil {
			t.Fatal(err)
		}
		again, err := st.Read(t.Context(), id.Path()+"/"+schemas.DisposalFile)
		if got := left(t, st, id); got != records || err != nil || !slices.Equal(first, again) {
			t.Errorf("after %d deletes: %s, %v", deletes, got, err)
		}
	}
}

// Person links hold ids of people as the rows do, and serve for nothing but them.
func TestLinksGoWithTheRowsAsRead(t *testing.T) {
	id := schemas.NightID{AsOf: schemas.MustDate("2096-07-01"), Revision: 1}
	rows, links := id.Path()+"/extract/part-000.parquet", id.Path()+"/links.parquet"
	n := &night{id: id, keys: []string{rows, links, id.Path() + "/ranking.parquet", id.Path() + "/extract.links.parquet"}}
	if got := rowsAsRead(n); !slices.Equal(got, []string{rows, links}) {
		t.Errorf("%q", got)
	}
}
