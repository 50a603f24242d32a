package cli

import (
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// Restricted suspects are counted and not listed, neither on the stack nor among the taskings, but for their desk.
func TestRestrictedOnTheTerminal(t *testing.T) {
	if two, none := notShown(2), notShown(0); two != " 2 suspects are restricted and not shown." || none != "" {
		t.Errorf("%q, %q", two, none)
	}
	url := t.TempDir()
	st, err := store.Open(t.Context(), url)
	if err == nil {
		_, _, _, err = st.SetUp(t.Context(), "", "key")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	at := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
	for reference, team := range map[string]string{"k7qd-2m4x-9w3t-c5hn": "Hackney", "zzzz-2m4x-9w3t-c5hn": teams.RestrictedDesk} {
		tasking := &schemas.Tasking{Reference: reference, Version: 1, State: schemas.TaskingIssued, Since: at, Team: team, OnStack: true, Restricted: team != "Hackney",
			Watch: team == "Hackney", Events: []schemas.TaskingEvent{{Number: 1, At: at, Kind: schemas.EventIssued, Team: team, Key: "k"}}}
		if err := casework.Save(t.Context(), st, tasking); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HARMSTACK_STORE", url)
	for line, want := range map[string][]string{
		"tasking list":                                                   {"k7qd", "issued release watch", "1 restricted tasking is not listed."},
		"tasking list --all --json":                                      {"k7qd"},
		"tasking list --team hackney":                                    {"k7qd", "1 restricted tasking is not listed."},
		"tasking list --team professional-standards":                     {"zzzz"},
		"tasking show zzzz-2m4x-9w3t-c5hn":                               {"there is no tasking zzzz-2m4x-9w3t-c5hn"},
		"tasking show zzzz-2m4x-9w3t-c5hn --json":                        {"there is no tasking"},
		"tasking show zzzz-2m4x-9w3t-c5hn --team Hackney":                {"there is no tasking"},
		"tasking show zzzz-2m4x-9w3t-c5hn --pack text":                   {"there is no tasking"},
		"tasking show zzzz-2m4x-9w3t-c5hn --team professional-standards": {"with Professional standards. Issued"},
	} {
		text, err := run(t, strings.Fields(line)...)
		if err != nil {
			text += err.Error()
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q:\n%s", line, w, text)
			}
		}
		if ours := strings.Contains(line, "professional"); !ours && !strings.Contains(line, "show") && strings.Contains(text, "zzzz") || !ours && strings.Contains(text, "Professional") {
			t.Errorf("%s tells of the restricted tasking:\n%s", line, text)
		}
	}
}
