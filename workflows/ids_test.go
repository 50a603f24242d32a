package workflows

import (
	"testing"

	"harmstack/schemas"
)

func TestIDs(t *testing.T) {
	night := schemas.NightID{AsOf: asOf, Revision: 2}
	for got, want := range map[string]string{
		DecisionWorkflowID(night):                          "decision-2026-06-30-r2",
		NightWorkflowID(asOf):                              "night-2026-06-30",
		BoroughWorkflowID(night, "Kensington and Chelsea"): "borough-2026-06-30-r2-kensington-and-chelsea",
		BoroughWorkflowID(night, "Central desk"):           "borough-2026-06-30-r2-central-desk",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Each attempt at the same is an update of its own, so that none is answered with the failure of the one before; what
// it is an attempt at can be told.
func TestAttemptsDiffer(t *testing.T) {
	key := schemas.TaskingOrder{Night: schemas.NightID{AsOf: asOf, Revision: 2}, Team: "Hackney", Reference: "k7qd-2m4x-9w3t-c5hn"}.Key()
	first, second := Attempt(key), Attempt(key)
	if first == second || attempted(first) != key || attempted(second) != key {
		t.Errorf("%s, %s of %s", first, second, key)
	}
}
