package audit

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"harmstack/activities/store"
)

func open(t *testing.T) *store.Store {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func TestAppendFromManyAtOnce(t *testing.T) {
	st := open(t)
	const writers, each = 4, 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := Append(context.Background(), st, Entry{At: time.Unix(0, 0).UTC(), Who: "A. Officer", Did: "looked at the stack"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries, err := Read(t.Context(), st)
	if err != nil || len(entries) != writers*each {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestReadSeesTampering(t *testing.T) {
	for _, c := range []struct {
		scenario string
		tamper   func(t *testing.T, st *store.Store)
		want     string
	}{
		{"a record changed", func(t *testing.T, st *store.Store) {
			data, err := st.Read(t.Context(), key(2))
			if err == nil {
				err = st.Replace(t.Context(), key(2), bytes.Replace(data, []byte("B. Officer"), []byte("C. Officer"), 1))
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "before number 3 was changed"},
		{"a record removed", func(t *testing.T, st *store.Store) {
			if err := st.Delete(t.Context(), key(2)); err != nil {
				t.Fatal(err)
			}
		}, "record 2 is missing"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			st := open(t)
			for range 3 {
				if err := Append(t.Context(), st, Entry{Who: "B. Officer", Did: "approved", On: "2026-06-30-r1"}); err != nil {
					t.Fatal(err)
				}
			}
			c.tamper(t, st)
			if _, err := Read(t.Context(), st); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}
