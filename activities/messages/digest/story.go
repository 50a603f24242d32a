package digest

import (
	"slices"
	"strings"

	"harmstack/schemas"
)

// Told is one event of a tasking in words.
type Told struct {
	schemas.TaskingEvent
	What string // without a full stop
	// Who brought it about: a person, or a night.
	Who string
	// Why is what they said, and what changed.
	Why []string
}

// Tell says in words what an event was.
func Tell(t *schemas.Tasking, e schemas.TaskingEvent) Told {
	told := Told{TaskingEvent: e, Who: e.By}
	told.Why = slices.DeleteFunc(append(slices.Clone(e.News), e.Reason), func(s string) bool { return s == "" })
	if e.By == "" && e.Night != nil {
		told.Who = "night " + e.Night.String()
	}
	switch e.Kind {
	case schemas.EventIssued:
		told.What = "Issued to " + e.Team
	case schemas.EventReopened:
		told.What = "Reopened: something new is known, or it came back to the stack"
	case schemas.EventReturned:
		told.What = "Came back to the stack with nothing new: it stays closed"
	case schemas.EventUpdated:
		told.What = "What is known changed"
	case schemas.EventContained:
		told.What = "In custody now: a release watch"
	case schemas.EventReleased:
		told.What = "Out of custody: to be acknowledged"
	case schemas.EventTransferred:
		told.What = "Transferred from " + e.From + " to " + e.Team
	case schemas.EventProgress:
		told.What = "Progress noted"
	case schemas.EventClosed:
		told.What = "Closed: " + strings.ReplaceAll(e.Outcome, "_", " ")
	case schemas.EventReminded:
		told.What = "Reminded: nobody had acknowledged it"
	case schemas.EventLead:
		told.What = "Not acknowledged in time: the lead was told"
	case schemas.EventDesk:
		told.What = "Still not acknowledged: the specialist desk was told"
	case schemas.EventStoodDown:
		told.What = "Stood down: it left the stack"
	case schemas.EventLeft:
		told.What = "Left the stack; it was closed"
	default:
		kind := strings.ReplaceAll(e.Kind, "_", " ")
		told.What = strings.ToUpper(kind[:min(1, len(kind))]) + kind[min(1, len(kind)):]
	}
	if t.Restricted && (e.Kind == schemas.EventLead || e.Kind == schemas.EventDesk) { // it goes no further
		told.What = "Not acknowledged in time: its desk was told again"
	}
	return told
}

// Story is all that happened to a tasking, oldest first.
func Story(t *schemas.Tasking) (story []Told) {
	for _, e := range t.Events {
		story = append(story, Tell(t, e))
	}
	return story
}
