package digest_test

import (
	"slices"
	"strings"
	"testing"

	"harmstack/activities/messages/digest"
	"harmstack/schemas"
)

// Every kind of event is told in words of its own; of a restricted one nobody reads that somebody else was told.
func TestStory(t *testing.T) {
	night := schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}
	tasking := &schemas.Tasking{}
	for _, kind := range []string{
		schemas.EventIssued, schemas.EventReopened, schemas.EventReturned, schemas.EventUpdated, schemas.EventContained, schemas.EventReleased,
		schemas.EventTransferred, schemas.EventAcknowledged, schemas.EventProgress, schemas.EventClosed, schemas.EventReminded, schemas.EventLead,
		schemas.EventDesk, schemas.EventStoodDown, schemas.EventLeft, "something_new", "",
	} {
		tasking.Events = append(tasking.Events, schemas.TaskingEvent{Kind: kind, Team: "Barnet", From: "Hackney", Outcome: "no_further_action", Night: &night})
	}
	tasking.Events[0].By, tasking.Events[0].News, tasking.Events[0].Reason = "PS Example", []string{"one new allegation"}, "seen"
	var said []string
	for _, told := range digest.Story(tasking) {
		if strings.Contains(told.What, "_") || slices.Contains(said, told.What) {
			t.Errorf("%s is told as %q", told.Kind, told.What)
		}
		said = append(said, told.What)
	}
	first := digest.Story(tasking)[0]
	if first.What != "Issued to Barnet" || first.Who != "PS Example" || !slices.Equal(first.Why, []string{"one new allegation", "seen"}) {
		t.Errorf("%+v", first)
	}
	if second := digest.Story(tasking)[1]; second.Who != "night 2026-06-30-r1" || len(second.Why) > 0 {
		t.Errorf("%+v", second)
	}
	tasking.Restricted = true
	for _, told := range digest.Story(tasking) {
		if strings.Contains(told.What, "lead") || strings.Contains(told.What, "specialist desk") {
			t.Errorf("%s of a restricted tasking: %q", told.Kind, told.What)
		}
	}
}
