package cli

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/subject"
	"harmstack/schemas"
)

// Two nights, the second of which merges S-OLD into S-01; S-01 is also a victim, and one of their rows cannot be read.
func TestSubject(t *testing.T) {
	dir, key := t.TempDir(), []byte(strings.Repeat("k", 32))
	t.Setenv("HARMSTACK_STORE", dir)
	t.Setenv("HARMSTACK_PSEUDONYM_KEY", base64.StdEncoding.EncodeToString(key))
	first := schemas.MustDate("2026-06-29")
	rows := func(asOf schemas.Date) []schemas.Offence {
		unread := allegation(asOf, "S-01", "A-bad", "019/08", "19C", "", 0)
		unread.Source = new("nobody")
		against := allegation(asOf, "S-02", "A-against", "019/08", "19C", "", 1)
		against.VictimID = new("S-01")
		return append(edgeOfTheStack(asOf), unread, against, allegation(asOf, "S-OLD", "A-old", "019/08", "19C", "", 2))
	}
	publishNight(t, dir, first, rows(first))
	publishNight(t, dir, first.AddDays(1), rows(first.AddDays(1)), schemas.PersonLink{PersonID: "S-OLD", SameAs: "S-01"})
	hide, err := pseudonym.New(key)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, name := range []string{"S-01", "S-02"} {
		tasking := &schemas.Tasking{Reference: hide(name), Version: 1, State: schemas.TaskingIssued, Team: "Hackney", OnStack: true,
			Events: []schemas.TaskingEvent{{Number: 1, Kind: schemas.EventIssued, Team: "Hackney"}}}
		if err := casework.Save(t.Context(), st, tasking); err != nil {
			t.Fatal(err)
		}
		_, err := ledger.Deliver(t.Context(), st, ledger.Entry{ID: "m" + strings.TrimPrefix(name, "S-"), Team: "Hackney", Subject: hide(name)}, now,
			func(func(string) bool) ([]string, error) { return nil, nil }, func(error) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		e := audit.Entry{Operation: audit.Disclosure, Actor: audit.Worker, Did: "sent of " + name, On: audit.Object{Pseudonyms: []string{hide(name)}}}
		if err := audit.Append(t.Context(), st, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, looks := range [][]string{{"explain", "S-01", "--as-of", "2026-06-29", "--why", "a look at S-01"}, {"explain", "S-02", "--as-of", "2026-06-29", "--why", "a look at S-02"}} {
		if _, err := run(t, looks...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := run(t, "subject", "S-01"); err == nil || !strings.Contains(err.Error(), "--why") {
		t.Errorf("without a reason: %v", err)
	}
	for _, id := range []string{"S-01", "S-OLD"} {
		said, err := run(t, "subject", id, "--why", "a request", "--json")
		if err != nil {
			t.Fatal(err)
		}
		var h subject.Held
		if err := json.Unmarshal([]byte(said), &h); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(h.IDs, []string{"S-01", "S-OLD"}) || len(h.Nights) != 2 || len(h.Pseudonyms) != 4 {
			t.Fatalf("%s: %v, %d nights", id, h.IDs, len(h.Nights))
		}
		for i, n := range h.Nights {
			if len(n.Ranked) != 2-i || len(n.Changes) == 0 || !n.OnStack || len(n.AsSuspect) != 3 || len(n.AsVictim) != 1 || n.Quarantined != 1 || n.Contributions < 1 || n.Cases < 2 {
				t.Errorf("%s: %+v", id, n)
			}
		}
		if len(h.Taskings) != 1 || h.Taskings[0].Reference != hide("S-01") || len(h.Messages) != 1 || h.Messages[0].ID != "m01" {
			t.Errorf("%s: %+v, %+v", id, h.Taskings, h.Messages)
		}
		var log []string
		for _, e := range h.Log {
			log = append(log, e.Did+e.Why)
		}
		all := strings.Join(log, "; ")
		if !strings.Contains(all, "sent of S-01") || !strings.Contains(all, "a look at S-01") || strings.Contains(all, "S-02") {
			t.Errorf("%s: the log %s", id, all)
		}
	}
	said, err := run(t, "subject", "S-01", "--why", "a request")
	if err != nil || !strings.Contains(said, "The ids: S-01, S-OLD.") || !strings.Contains(said, "looked at everything about one person") {
		t.Errorf("%v\n%s", err, said)
	}
	said, err = run(t, "subject", "S-NOBODY", "--why", "a request", "--json")
	var nobody subject.Held
	if err != nil || json.Unmarshal([]byte(said), &nobody) != nil || len(nobody.Nights)+len(nobody.Taskings)+len(nobody.Messages)+len(nobody.Log) != 0 {
		t.Errorf("%v\n%s", err, said)
	}
}
