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
