package nightly

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// A night of the future would supersede every real one: it is refused before it has a revision.
func TestANightOfTheFutureIsNotClaimed(t *testing.T) {
	for _, c := range []struct {
		scenario, asOf, now string
		refused             bool
	}{
		{"yesterday", "2026-06-30", "2026-07-01T03:30:00Z", false},
		{"long past", "2025-01-01", "2026-07-01T03:30:00Z", false},
		{"today", "2026-07-01", "2026-07-01T03:30:00Z", true},
		{"next year", "2027-06-30", "2026-07-01T03:30:00Z", true},
		{"yesterday in London, which is an hour ahead of UTC", "2026-06-30", "2026-06-30T23:30:00Z", false},
		{"today in London, half an hour before midnight", "2026-06-30", "2026-06-30T22:30:00Z", true},
		{"today by UTC in winter", "2026-12-31", "2026-12-31T23:30:00Z", true},
		{"by the worker's own clock, for an older workflow", "2036-01-01", "", true},
		{"long past by the worker's own clock", "2020-01-01", "", false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			st, err := store.Open(t.Context(), "mem://")
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			acts := &Activities{Store: st, Sources: map[string]string{DefaultSource: "extract.parquet"}}
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestActivityEnvironment()
			env.RegisterActivity(acts)
			p := ClaimParams{AsOf: schemas.MustDate(c.asOf)}
			if c.now != "" {
				if p.Now, err = time.Parse(time.RFC3339, c.now); err != nil {
					t.Fatal(err)
				}
			}
			_, err = env.ExecuteActivity(acts.Claim, p)
			keys, listErr := st.List(t.Context(), "")
			if listErr != nil {
				t.Fatal(listErr)
			}
			switch {
			case !c.refused && (err != nil || len(keys) != 2): // the claim, and the log's entry
				t.Errorf("%v, %q", err, keys)
			case c.refused && (!task.Is(err, fault.FutureNight) || !strings.Contains(err.Error(), "the night of "+c.asOf+" is of the future: the last full day in London is ") ||
				!slices.Equal(keys, []string{"audit/0000000001.json"})): // the log tells of it, and nothing is claimed
				t.Errorf("%v, %q", err, keys)
			}
		})
	}
}
