package nights

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas"
)

func TestDecide(t *testing.T) {
	id := night("2026-06-30-r1")
	for _, c := range []struct {
		scenario      string
		first, second string // what is decided; empty is nothing
		change        func(d *schemas.Decision)
		want          error
		says          string
		ends          string
	}{
		{"approved", "", schemas.Approved, nil, nil, "", schemas.Approved},
		{"held", "", schemas.Held, nil, nil, "", schemas.Held},
		{"approved twice, a second later", schemas.Approved, schemas.Approved, func(d *schemas.Decision) { d.At = d.At.Add(time.Second) }, nil, "", schemas.Approved},
		{"held, then approved: hold is final", schemas.Held, schemas.Approved, nil, ErrDecided, "held by DCI Example on 1 July 2026 at 13:00", schemas.Held},
		{"approved, then held", schemas.Approved, schemas.Held, nil, ErrDecided, "approved by DCI Example", schemas.Approved},
		{"approved by another", schemas.Approved, schemas.Approved, func(d *schemas.Decision) { d.By = "DS Other" }, ErrDecided, "approved by DCI Example", schemas.Approved},
		{"for another reason", schemas.Approved, schemas.Approved, func(d *schemas.Decision) { d.Reason = "another" }, ErrDecided, "approved by DCI Example", schemas.Approved},
		{"on another manifest", "", schemas.Approved, func(d *schemas.Decision) { d.Manifest.SHA256 = strings.Repeat("0", 64) }, ErrOtherManifest, "2026-06-30-r1", Pending},
		{"on another revision", "", schemas.Approved, func(d *schemas.Decision) { d.Manifest.Revision = 2 }, store.ErrNotFound, "2026-06-30-r2 is not published", Pending},
		{"an officer cannot supersede", "", schemas.SupersededBy, nil, nil, "a decision is approved or held", Pending},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			st := open(t, "mem://")
			ref := mustPublish(t, st, id)
			if c.first != "" {
				if err := decide(st, ref, c.first); err != nil {
					t.Fatal(err)
				}
			}
			d := schemas.Decision{Decision: c.second, Manifest: ref, By: "DCI Example", Reason: "looked at", At: noon}
			if c.change != nil {
				c.change(&d)
			}
			err := Decide(t.Context(), st, d)
			if c.want != nil && !errors.Is(err, c.want) || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v", err)
			}
			if got := statuses(t, st)[id.String()]; got != c.ends {
				t.Errorf("the night is %s", got)
			}
			if standing, err := LoadDecision(t.Context(), st, id); err != nil || standing != nil && (!standing.At.Equal(noon) || standing.Manifest != ref) {
				t.Errorf("%+v, %v", standing, err)
			}
		})
	}
}

func TestApproveSuperseded(t *testing.T) {
	st := open(t, "mem://")
	older := mustPublish(t, st, night("2026-06-29-r1"))
	newer := mustPublish(t, st, night("2026-06-30-r1"))
	for _, decision := range []string{schemas.Approved, schemas.Approved, schemas.Held} {
		err := decide(st, older, decision) // the newer one is pending, though its run has not settled it yet
		if decision == schemas.Approved && (!errors.Is(err, ErrDecided) || !strings.Contains(err.Error(), "superseded by night 2026-06-30-r1")) {
			t.Errorf("%s: %v", decision, err)
		}
	}
	if err := decide(st, newer, schemas.Approved); err != nil {
		t.Error(err)
	}
	want := map[string]string{"2026-06-29-r1": "superseded", "2026-06-30-r1": "approved"}
	if got := statuses(t, st); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

// The run of the second night read its baseline before the first was approved: its changes are wrong.
func TestApproveStale(t *testing.T) {
	st := open(t, "mem://")
	stale := manifest(t, st, night("2026-06-30-r1"), nil)
	first := mustPublish(t, st, night("2026-06-29-r1"))
	if err := decide(st, first, schemas.Approved); err != nil {
		t.Fatal(err)
	}
	ref, err := Publish(t.Context(), st, stale)
	if err != nil {
		t.Fatal(err)
	}
	if err := decide(st, ref, schemas.Approved); !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "run the night again") {
		t.Errorf("%v", err)
	}
	if got := statuses(t, st)["2026-06-30-r1"]; got != Pending {
		t.Errorf("the night is %s", got)
	}
	if err := decide(st, mustPublish(t, st, night("2026-06-30-r2")), schemas.Approved); err != nil {
		t.Errorf("run again: %v", err)
	}
}

func TestSupersede(t *testing.T) {
	for _, c := range []struct {
		scenario, older, newer string // statuses before the night of 30 June settles
		superseded             bool
		olderEnds              string
	}{
		{"nothing newer", Pending, "", false, schemas.SupersededBy},
		{"a newer one is pending", Pending, Pending, true, Pending},
		{"a newer one is approved", Pending, schemas.Approved, true, schemas.SupersededBy},
		{"a newer one was held", Pending, schemas.Held, false, schemas.SupersededBy},
		{"the older one is approved", schemas.Approved, "", false, schemas.Approved},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			st := open(t, "mem://")
			id := night("2026-06-30-r1")
			for s, status := range map[string]string{"2026-07-01-r1": c.newer, "2026-06-29-r1": c.older} {
				if status == "" {
					continue
				}
				ref := mustPublish(t, st, night(s))
				if status != Pending {
					if _, err := record(t.Context(), st, schemas.Decision{Decision: status, Manifest: ref, By: "DCI Example", At: noon}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if c.newer == schemas.Approved {
				if _, err := SupersedeOlder(t.Context(), st, night("2026-07-01-r1"), noon); err != nil {
					t.Fatal(err)
				}
			}
			mustPublish(t, st, id)
			for range 2 {
				if superseded, err := Supersede(t.Context(), st, id, noon); err != nil || superseded != c.superseded {
					t.Errorf("%v, %v", superseded, err)
				}
			}
			if got := statuses(t, st)["2026-06-29-r1"]; got != c.olderEnds {
				t.Errorf("the older night is %s", got)
			}
		})
	}
}

func TestSwapCurrent(t *testing.T) {
	st := open(t, t.TempDir())
	current := func() string {
		c, err := LoadCurrent(t.Context(), st)
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			return ""
		}
		if c.Stack.URI != c.Manifest.Path()+"/stack.parquet" || c.By != "DCI Example" || !c.At.Equal(noon) {
			t.Errorf("%+v", c)
		}
		return c.Manifest.NightID.String()
	}
	first, held, second := night("2026-06-28-r1"), night("2026-06-29-r1"), night("2026-06-30-r1")
	approve := func(id schemas.NightID, decision string) {
		if err := decide(st, mustPublish(t, st, id), decision); err != nil {
			t.Fatal(err)
		}
	}
	approve(first, schemas.Approved)
	approve(held, schemas.Held)
	for _, id := range []schemas.NightID{held, second} {
		if err := SwapCurrent(t.Context(), st, id); err == nil || current() != "" {
			t.Errorf("%s: %v, current is %q", id, err, current())
		}
	}
	for range 2 { // a retry after a crash changes nothing
		if err := SwapCurrent(t.Context(), st, first); err != nil || current() != "2026-06-28-r1" {
			t.Errorf("%v, current is %q", err, current())
		}
	}
	approve(second, schemas.Approved)
	if err := SwapCurrent(t.Context(), st, second); err != nil || current() != "2026-06-30-r1" {
		t.Errorf("%v, current is %q", err, current())
	}
	if err := SwapCurrent(t.Context(), st, first); !errors.Is(err, ErrOvertaken) || current() != "2026-06-30-r1" {
		t.Errorf("backwards: %v, current is %q", err, current())
	}
}

// The first approval's worker died before the swap, and the next night was approved meanwhile.
func TestSwapAfterCrash(t *testing.T) {
	st := open(t, "mem://")
	first, second := night("2026-06-29-r1"), night("2026-06-30-r1")
	for _, id := range []schemas.NightID{first, second} {
		if err := decide(st, mustPublish(t, st, id), schemas.Approved); err != nil {
			t.Fatal(err)
		}
	}
	if err := SwapCurrent(t.Context(), st, first); !errors.Is(err, ErrOvertaken) {
		t.Errorf("the first, late: %v", err)
	}
	if err := SwapCurrent(t.Context(), st, second); err != nil {
		t.Error(err)
	}
	if c, err := LoadCurrent(t.Context(), st); err != nil || c.Manifest.NightID != second {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSwapRefusesDamage(t *testing.T) {
	for _, file := range []string{"stack.parquet", "manifest.json"} {
		t.Run(file, func(t *testing.T) {
			st := open(t, "mem://")
			id := night("2026-06-30-r1")
			if err := decide(st, mustPublish(t, st, id), schemas.Approved); err != nil {
				t.Fatal(err)
			}
			data, err := st.Read(t.Context(), id.Path()+"/"+file)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)-1]++
			if err := st.Replace(t.Context(), id.Path()+"/"+file, data); err != nil {
				t.Fatal(err)
			}
			if err := SwapCurrent(t.Context(), st, id); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("%v", err)
			}
			if c, err := LoadCurrent(t.Context(), st); c != nil || err != nil {
				t.Errorf("current is %+v, %v", c, err)
			}
		})
	}
}
