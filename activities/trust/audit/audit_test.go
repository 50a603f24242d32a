package audit

import (
	"bytes"
	"context"
	"fmt"
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
				if err := Append(context.Background(), st, Entry{At: time.Unix(0, 0).UTC(), Operation: Consultation, Actor: Claims("A. Officer"), Did: "looked at the stack"}); err != nil {
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
				if err := Append(t.Context(), st, Entry{Operation: Alteration, Actor: Claims("B. Officer"), Did: "approved", On: Object{Night: "2026-06-30-r1"}}); err != nil {
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

// What was written before operations were told apart is read, and the chain goes on from it.
func TestOldEntriesStayReadable(t *testing.T) {
	st := open(t)
	for i, line := range []string{
		`{"number":1,"at":"2026-07-01T03:30:00Z","who":"A. Officer","did":"approved","on":"night 2026-06-30-r1","why":"looked at it","previous":""}`,
		`{"number":2,"at":"2026-07-01T03:31:00Z","who":"harmstack","did":"sent the digest","previous":"%s"}`,
	} {
		if i > 0 {
			before, err := st.Read(t.Context(), key(i))
			if err != nil {
				t.Fatal(err)
			}
			line = fmt.Sprintf(line, hash(before))
		}
		if err := st.CreateOnly(t.Context(), key(i+1), []byte(line+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	now := Entry{Operation: Alteration, Actor: Claims("A. Officer"), Did: "revoked", On: Object{Night: "2026-06-30-r1"}}
	if err := Append(t.Context(), st, now); err != nil {
		t.Fatal(err)
	}
	log, err := Read(t.Context(), st)
	if err != nil || len(log) != 3 {
		t.Fatalf("%d entries, %v", len(log), err)
	}
	if e := log[0]; e.Actor != Claims("A. Officer") || e.On.Thing != "night 2026-06-30-r1" || e.Why != "looked at it" || e.Outcome != Done {
		t.Errorf("%+v", e)
	}
	if log[1].Actor != Worker || log[2].On.Night != "2026-06-30-r1" || log[2].Outcome != Done {
		t.Errorf("%+v, %+v", log[1], log[2])
	}
}

func TestAppendRefusesWhatSaysTooLittle(t *testing.T) {
	for _, e := range []Entry{
		{Actor: Claims("A. Officer"), Did: "approved"},
		{Operation: Alteration, Did: "approved"},
		{Operation: Alteration, Actor: Actor{Name: "A. Officer"}, Did: "approved"},
		{Operation: Alteration, Actor: Claims("A. Officer")},
		{Operation: Alteration, Actor: Claims("A. Officer"), Did: "approved", Outcome: "perhaps"},
	} {
		if err := Append(t.Context(), open(t), e); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}

// A log that was cut off behind the writer's back goes on from where it ends, for a checkpoint to tell.
func TestAppendAfterTheEndWasCutOff(t *testing.T) {
	st := open(t)
	write := func(n int) {
		t.Helper()
		for range n {
			if err := Append(t.Context(), st, Entry{Operation: Alteration, Actor: Worker, Did: "something"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(9)
	for n := 9; n > 4; n-- {
		if err := st.Delete(t.Context(), key(n)); err != nil {
			t.Fatal(err)
		}
	}
	write(2)
	if log, err := Read(t.Context(), st); err != nil || len(log) != 6 {
		t.Errorf("%d entries, %v", len(log), err)
	}
}
