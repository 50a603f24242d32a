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

// The log is read back from its end or from a number, and an entry that was changed is not passed over.
func TestBack(t *testing.T) {
	st := open(t)
	for i := range 7 {
		if err := Append(t.Context(), st, Entry{At: time.Now(), Operation: Consultation, Actor: Worker, Did: fmt.Sprint(i + 1), On: Object{Thing: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		before, most, oldest int
		did                  string
	}{
		{0, 3, 5, "765"}, {5, 3, 2, "432"}, {2, 3, 1, "1"}, {1, 3, 1, ""}, {99, 100, 1, "7654321"},
	} {
		entries, oldest, err := Back(t.Context(), st, c.before, c.most)
		did := ""
		for _, e := range entries {
			did += e.Did
		}
		if err != nil || did != c.did || oldest != c.oldest {
			t.Errorf("%+v: %q, %d, %v", c, did, oldest, err)
		}
	}
	data, err := st.Read(t.Context(), key(4))
	if err == nil {
		err = st.Replace(t.Context(), key(4), bytes.Replace(data, []byte(`"did":"4"`), []byte(`"did":"5"`), 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Back(t.Context(), st, 0, 7); err == nil || !strings.Contains(err.Error(), key(4)) {
		t.Errorf("a changed entry: %v", err)
	}
	if entries, _, err := Back(t.Context(), st, 0, 3); err != nil || len(entries) != 3 {
		t.Errorf("those after it: %v", err)
	}
}
