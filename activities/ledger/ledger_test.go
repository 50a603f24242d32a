package ledger

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"harmstack/activities/store"
)

var (
	errPassing = errors.New("try again")
	errFinal   = errors.New("never")
)

// TestDeliver sends one message again and again; what the other side does is told by outcomes.
func TestDeliver(t *testing.T) {
	for _, c := range []struct {
		scenario string
		outcomes []error
		attempts int
		state    string
		open     int
	}{
		{"sent", []error{nil}, 1, Sent, 0},
		{"sent, and asked for again", []error{nil, nil, nil}, 1, Sent, 0},
		{"sent at the third attempt", []error{errPassing, errPassing, nil, nil}, 3, Sent, 0},
		{"not yet", []error{errPassing}, 1, Begun, 1},
		{"refused", []error{errFinal}, 1, Refused, 1},
		{"refused, until it was mended", []error{errFinal, errFinal, nil, nil}, 3, Sent, 0},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			st, err := store.Open(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			clock := time.Date(2026, 7, 6, 9, 0, 0, 0, time.UTC)
			now := func() time.Time { clock = clock.Add(time.Second); return clock }
			attempts := 0
			for _, outcome := range c.outcomes {
				tried := false
				sent, err := Deliver(t.Context(), st, Entry{ID: "m1", Channel: Mail, Team: "Hackney", Kind: "digest", Subject: "night"}, now,
					func() error { tried = true; attempts++; return outcome }, func(err error) bool { return errors.Is(err, errFinal) })
				if tried && (!errors.Is(err, outcome) || sent != (outcome == nil)) || !tried && (sent || err != nil) {
					t.Errorf("sent %v, %v after %v", sent, err, outcome)
				}
			}
			entries, err := Read(t.Context(), st)
			if err != nil || len(entries) != 1 || attempts != c.attempts {
				t.Fatalf("%+v, %v after %d attempts", entries, err, attempts)
			}
			e := entries[0]
			if e.State != c.state || !e.Begun.Equal(time.Date(2026, 7, 6, 9, 0, 1, 0, time.UTC)) || (e.State != Begun) != e.Ended.After(e.Begun) || (e.State == Refused) != (e.Why == "never") {
				t.Errorf("%+v", e)
			}
			if open, err := Open(t.Context(), st); err != nil || open != c.open {
				t.Errorf("%d open, %v", open, err)
			}
		})
	}
}

func TestTwoAtOnce(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var wg sync.WaitGroup
	for range 8 {
		for _, id := range []string{"m1", "m2"} {
			wg.Go(func() {
				if _, err := Deliver(context.Background(), st, Entry{ID: id}, time.Now, func() error { return nil }, func(error) bool { return false }); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if entries, err := Read(t.Context(), st); err != nil || len(entries) != 2 || entries[0].State != Sent || entries[1].State != Sent {
		t.Errorf("%+v, %v", entries, err)
	}
}

// What was sent is noted until that succeeds, and then no more.
func TestNote(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	noted := 0
	for _, outcome := range []error{errPassing, nil, nil} {
		if err := Note(t.Context(), st, "m1", func() error { noted++; return outcome }); err != nil && !errors.Is(err, outcome) {
			t.Error(err)
		}
	}
	if err := Note(t.Context(), st, "m2", func() error { noted++; return nil }); err != nil || noted != 3 {
		t.Errorf("noted %d times, %v", noted, err)
	}
	if entries, err := Read(t.Context(), st); err != nil || len(entries) != 0 {
		t.Errorf("%+v, %v", entries, err)
	}
}
