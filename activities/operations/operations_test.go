package operations

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

var day = schemas.MustDate("2026-07-10")

func TestInspect(t *testing.T) {
	night := func(asOf string, revision int, status string) nights.Night {
		return nights.Night{ID: schemas.NightID{AsOf: schemas.MustDate(asOf), Revision: revision}, Status: status}
	}
	all := func(list ...nights.Night) []nights.Night { return list }
	current := func(asOf string) *schemas.Current {
		return &schemas.Current{Manifest: schemas.ManifestRef{NightID: schemas.NightID{AsOf: schemas.MustDate(asOf), Revision: 1}}}
	}
	for _, c := range []struct {
		scenario string
		all      []nights.Night
		current  *schemas.Current
		known    *Scheduling
		want     string
	}{
		{"as it should be", all(night("2026-07-08", 1, "approved"), night("2026-07-09", 1, "pending")), current("2026-07-08"), &Scheduling{}, ""},
		{"a second revision is as good", all(night("2026-07-09", 2, "held")), current("2026-07-07"), nil, ""},
		{"nothing was ever published", nil, nil, nil, "night_missing 2026-07-09"},
		{"the last night is missing", all(night("2026-07-08", 1, "approved")), current("2026-07-08"), nil, "night_missing 2026-07-09"},
		{"and the one before is undecided", all(night("2026-07-08", 1, "pending")), current("2026-07-07"), nil, "night_missing 2026-07-09, decision_pending 2026-07-08"},
		{"an older one was decided", all(night("2026-07-08", 1, "held")), current("2026-07-07"), nil, "night_missing 2026-07-09"},
		{"nobody approves", all(night("2026-07-06", 1, "approved"), night("2026-07-09", 1, "pending")), current("2026-07-06"), nil, "current_old 2026-07-06"},
		{"three days are not yet old", all(night("2026-07-07", 1, "approved"), night("2026-07-09", 1, "pending")), current("2026-07-07"), nil, ""},
		{"nobody ever approved", all(night("2026-07-06", 1, "superseded"), night("2026-07-09", 1, "pending")), nil, nil, "current_old 2026-07-06"},
		{"a new deployment", all(night("2026-07-09", 1, "pending")), nil, nil, ""},
		{"paused", all(night("2026-07-09", 1, "pending")), current("2026-07-08"), &Scheduling{Paused: true}, "schedule_paused 2026-07-09"},
		{"deleted", nil, nil, &Scheduling{Missing: true}, "night_missing 2026-07-09, schedule_missing 2026-07-09"},
		{"failed", nil, nil, &Scheduling{Ended: "failed: SchemaMismatch: no column."}, "night_missing 2026-07-09"},
		{"still running", nil, nil, &Scheduling{Stage: "source"}, "night_missing 2026-07-09"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			var got []string
			for _, f := range inspect(day, c.all, c.current, c.known, quality.Standard().Watch, "https://desk.example") {
				got = append(got, f.Kind+" "+f.About.String())
				if f.Kind == KindDecisionPending && f.Do != "An officer looks at it and approves or holds it: https://desk.example/nights/2026-07-08/r1." {
					t.Error(f.Do)
				}
				if f.Text == "" || f.Do == "" || !f.At.Equal(time.Date(2026, 7, 9, 23, 0, 0, 0, time.UTC)) {
					t.Errorf("%+v", f)
				}
				if c.known != nil && c.known.Ended != "" && !strings.HasSuffix(f.Text, "Its last run failed: SchemaMismatch: no column.") {
					t.Error(f.Text)
				}
				if c.known != nil && c.known.Stage != "" && !strings.Contains(f.Text, "still running: source") {
					t.Error(f.Text)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// The same finding of the same day is one message; of another day, or another night, it is another.
func TestAlert(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	mailer, err := digest.NewOutbox(filepath.Join(dir, "outbox"), "harmstack@example.police.uk")
	if err != nil {
		t.Fatal(err)
	}
	a := Activities{Store: st, Mailer: mailer, Teams: func() (*teams.Teams, error) { return teams.Parse(teams.Example(), os.Getenv, reference.Default()) }}
	until := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
	for i, f := range []Finding{
		SourceLate(schemas.MustDate("2026-06-30"), until, "there is no file"),
		SourceLate(schemas.MustDate("2026-06-30"), until.Add(time.Minute), "another reason, of a second run"),
		SourceLate(schemas.MustDate("2026-06-30"), until.Add(24*time.Hour), "there is no file"),
		SourceLate(schemas.MustDate("2026-06-29"), until, "there is no file"),
	} {
		if err := a.alert(t.Context(), f); err != nil {
			t.Fatal(i, err)
		}
	}
	entries, err := ledger.Read(t.Context(), st)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %+v", err, entries)
	}
	for _, e := range entries {
		if e.Team != teams.Operations || e.Kind != KindSourceLate || e.State != ledger.Sent {
			t.Errorf("%+v", e)
		}
	}
	mail, err := os.ReadFile(filepath.Join(dir, "outbox", entries[0].ID+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"To: \"Harmstack operations\" <harmstack.operations@example.police.uk>", "Subject: Harmstack: the source is late, 2026-06-30",
		"Message-ID: <" + entries[0].ID + "@example.police.uk>", "The night of 2026-06-30 has no source: by 09:00 on 1 July 2026, there is no file.", "What to do: Have the export mended, then start the night by hand: starter run --as-of 2026-06-30"} {
		if !strings.Contains(strings.ReplaceAll(string(mail), "=\r\n", ""), part) {
			t.Errorf("%q is not in\n%s", part, mail)
		}
	}
	if log, err := audit.Read(t.Context(), st); err != nil || len(log) != 3 || !strings.HasPrefix(log[0].Did, fmt.Sprintf("sent the alert source_late %s to Operations", entries[0].ID)) {
		t.Errorf("%v, %+v", err, log)
	}
}

// A sender that dies after the mail server took the alert, and before the log was written, leaves it to the next
// attempt to write the log.
func TestAlertIsLoggedWhateverDies(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	mailer, err := digest.NewOutbox(filepath.Join(dir, "outbox"), "harmstack@example.police.uk")
	if err != nil {
		t.Fatal(err)
	}
	a := Activities{Store: st, Mailer: mailer, Teams: func() (*teams.Teams, error) { return teams.Parse(teams.Example(), os.Getenv, reference.Default()) }}
	f := SourceLate(schemas.MustDate("2026-06-30"), time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC), "there is no file")
	if err := a.alert(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	// What it did last, undone: that is what the death leaves.
	for _, folder := range []string{"audit/", "deliveries/noted/"} {
		keys, err := st.List(t.Context(), folder)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: %q, %v", folder, keys, err)
		}
		if err := st.Delete(t.Context(), keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := a.alert(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	log, err := audit.Read(t.Context(), st)
	if err != nil || len(log) != 1 || !strings.HasPrefix(log[0].Did, "sent the alert source_late ") {
		t.Errorf("%+v, %v", log, err)
	}
	if mails, err := os.ReadDir(filepath.Join(dir, "outbox")); err != nil || len(mails) != 1 {
		t.Errorf("%d mails, %v", len(mails), err)
	}
}

// Each trouble of the teams is one finding with something to do, and none leaves nothing. Two of the same kind and day
// that name other teams are two messages.
func TestTroubled(t *testing.T) {
	asOf := day.AddDays(-1)
	if got := troubled(day, asOf, casework.Trouble{}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	got := troubled(day, asOf, casework.Trouble{Untold: []string{"Hackney", "Barnet"}, Unmet: []string{"Camden (recipient 2 of 3)"}, Refused: []string{"reminded to Brent (550)"},
		LateOrders: []string{"k7qd of Bexley (damaged)"}})
	want := []string{"team_untold: Not told yet of the decision on the stack of 2026-07-09: Barnet, Hackney.",
		"address_unmet: Some addresses of teams did not take a message that the others of the team have: Camden (recipient 2 of 3).",
		"message_refused: Nobody took these messages: reminded to Brent (550).",
		"orders_late: Taskings that could not be brought up to date with the approved stack: k7qd of Bexley (damaged)."}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, f := range got {
		if f.Kind+": "+f.Text != want[i] || f.Do == "" || f.About != asOf || title(f) == ", "+asOf.String() {
			t.Errorf("%+v", f)
		}
	}
}
