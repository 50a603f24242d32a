package schemas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TaskingState is where a tasking stands (contract, section 8).
type TaskingState string

// The states. Issued, Transferred and Escalated wait for a team to acknowledge.
const (
	TaskingIssued       TaskingState = "issued"
	TaskingTransferred  TaskingState = "transferred"
	TaskingEscalated    TaskingState = "escalated"
	TaskingAcknowledged TaskingState = "acknowledged"
	TaskingInProgress   TaskingState = "in_progress"
	TaskingClosed       TaskingState = "closed"
	TaskingStoodDown    TaskingState = "stood_down"
)

// Unanswered tells whether the tasking waits for somebody to acknowledge it.
func (s TaskingState) Unanswered() bool {
	return s == TaskingIssued || s == TaskingTransferred || s == TaskingEscalated
}

// Open tells whether there is something to do for the team.
func (s TaskingState) Open() bool {
	return s.Unanswered() || s == TaskingAcknowledged || s == TaskingInProgress
}

// Outcomes are what a tasking can be closed with.
var Outcomes = []string{"arrested", "charged", "remanded", "protective_order", "safeguarding_only", "disrupted",
	OutcomeNoAction, OutcomeOtherForce}

// The outcomes that ask for a reason: why nothing is done, or which force has taken it over.
const (
	OutcomeNoAction   = "no_further_action"
	OutcomeOtherForce = "other_force"
)

// Tasking is one tasking as it stands. Nothing in it names the suspect but the pseudonym.
type Tasking struct {
	Reference string       `json:"reference"` // the pseudonym
	Version   int          `json:"version"`   // how many events made it; the first is 1
	State     TaskingState `json:"state"`
	Since     time.Time    `json:"since"` // when it came to this state
	Team      string       `json:"team"`
	BCU       string       `json:"bcu,omitempty"`
	// Position is where the suspect stood on the stack when something last changed.
	Position int64   `json:"position"`
	Night    NightID `json:"night"` // the last night that changed something
	OnStack  bool    `json:"on_stack"`
	// Placed: a team transferred it here, which stands until the suspect leaves the stack.
	Placed      bool         `json:"placed,omitempty"`
	Outcome     string       `json:"outcome,omitempty"`
	Specialists []string     `json:"specialists,omitempty"`
	Facts       TaskingFacts `json:"facts"`
	// Restricted: the desk for restricted suspects has it and keeps it; nobody else is told that there is such a
	// tasking (contract, section 8).
	Restricted bool `json:"restricted,omitempty"`
	// Watch: the suspect is in custody, and the tasking is a release watch: nobody is chased until the release.
	Watch bool `json:"release_watch,omitempty"`
	// Below: the facts are of a night on which the suspect was below the stack, where allegations are counted and not
	// known one by one.
	Below bool `json:"below,omitempty"`
	// Chase says when somebody is reminded while nobody acknowledges, Chased how many of its steps are done.
	Chase  TaskingDeadlines `json:"chase,omitzero"`
	Chased int              `json:"chased,omitempty"`
	// Seen are the allegations that it was ever about, as keyed hashes, sorted.
	Seen []string `json:"seen,omitempty"`
	// Events are the latest, oldest first; the last has the number Version. Those before them stand in the files of
	// earlier versions.
	Events []TaskingEvent `json:"events"`
}

// Bare takes what only the store needs out of a tasking: the allegations it has seen, and the desk's words.
func (t *Tasking) Bare() *Tasking {
	t.Seen = nil
	for i := range t.Events {
		t.Events[i].Attestation = ""
	}
	return t
}

// Event is the event of a number; ok is false when it is not among the latest.
func (t Tasking) Event(number int) (e TaskingEvent, ok bool) {
	i := number - 1 - (t.Version - len(t.Events))
	if i < 0 || i >= len(t.Events) {
		return e, false
	}
	return t.Events[i], true
}

// TaskingDeadlines are the steps that follow when nobody acknowledges a tasking.
type TaskingDeadlines struct {
	Remind time.Time `json:"remind"` // the team is reminded
	Lead   time.Time `json:"lead"`   // the time is up: the BCU lead is told
	Desk   time.Time `json:"desk"`   // the specialist desk is told
}

// NextChase is when the next step is due; ok is false when nobody is to be chased.
func (t Tasking) NextChase() (at time.Time, ok bool) {
	steps := []time.Time{t.Chase.Remind, t.Chase.Lead, t.Chase.Desk}
	if !t.State.Unanswered() || t.Chased >= len(steps) || t.Chase == (TaskingDeadlines{}) {
		return at, false
	}
	return steps[t.Chased], true
}

// Due is the time by which the tasking is to be acknowledged; ok is false when it does not wait for that.
func (t Tasking) Due() (at time.Time, ok bool) {
	return t.Chase.Lead, t.State.Unanswered() && !t.Chase.Lead.IsZero()
}

// TaskingFacts are what a team must know of the suspect: when one of them changes, so does its tasking.
// The score and the position, which change every night, are not among them.
type TaskingFacts struct {
	Allegations   int64    `json:"allegations"`
	Reports       int64    `json:"reports"`
	Victims       int64    `json:"victims"`
	HarmDays      float64  `json:"harm_days"`
	DomesticAbuse int64    `json:"domestic_abuse,omitempty"`
	NonRecent     int64    `json:"non_recent,omitempty"`
	Charged       int64    `json:"charged,omitempty"` // allegations with the outcome charged or convicted
	AlsoVictim    bool     `json:"also_victim,omitempty"`
	Status        string   `json:"status,omitempty"`
	Boroughs      []string `json:"boroughs,omitempty"`
}

// The kinds of a TaskingEvent.
const (
	EventIssued       = "issued"
	EventReopened     = "reopened"     // came back to the stack, or a closed one has a new allegation
	EventReturned     = "returned"     // came back, closed, with nothing that was not seen
	EventUpdated      = "updated"      // a fact changed
	EventContained    = "contained"    // in custody now: a release watch
	EventReleased     = "released"     // out of custody: to be acknowledged, by a deadline
	EventTransferred  = "transferred"  // From another team
	EventAcknowledged = "acknowledged" // taken on
	EventProgress     = "progress"
	EventClosed       = "closed" // with an outcome
	EventReminded     = "reminded"
	EventLead         = "escalated_to_lead"
	EventDesk         = "escalated_to_desk"
	EventStoodDown    = "stood_down" // left the stack while open
	EventLeft         = "left"       // left the stack when closed
)

// TaskingEvent is one thing that happened to a tasking.
type TaskingEvent struct {
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Team   string    `json:"team"`            // whose the tasking is after it
	From   string    `json:"from,omitempty"`  // of a transfer
	Night  *NightID  `json:"night,omitempty"` // that brought it about
	By     string    `json:"by,omitempty"`    // the person; empty: the system
	// Reason is why it left the stack, or what the person said.
	Reason  string   `json:"reason,omitempty"`
	Outcome string   `json:"outcome,omitempty"`
	News    []string `json:"news,omitempty"` // what changed, in words
	// Key names the request: the same again changes nothing.
	Key string `json:"key"`
	// Attestation is the desk's word on who By is; empty when By is what somebody claims.
	Attestation string `json:"attestation,omitempty"`
}

// What a team asks for.
const (
	DoAcknowledge = "acknowledge"
	DoProgress    = "progress"
	DoClose       = "outcome"
	DoTransfer    = "transfer"
)

// TaskingRequest is what a person of a team says of a tasking.
type TaskingRequest struct {
	Team    string `json:"team"` // the person's
	By      string `json:"by"`
	Note    string `json:"note,omitempty"`
	Outcome string `json:"outcome,omitempty"` // of an outcome
	To      string `json:"to,omitempty"`      // of a transfer
	// Attestation is the desk's word on who asks (trust, section 1).
	Attestation string `json:"attestation,omitempty"`
}

// Claimed is who asks, as they say.
func (r TaskingRequest) Claimed() string { return r.By }

// Validate refuses what nothing can be done with, whatever the tasking's state, and texts that are too long.
func (r TaskingRequest) Validate(do string) error {
	errs := []error{
		CheckText("team", r.Team, MaxWho),
		CheckText("by", r.By, MaxWho),
		CheckText("note", r.Note, MaxNote),
		CheckText("to", r.To, MaxWho),
		CheckText("attestation", r.Attestation, MaxAttestation),
	}
	if TrimSpace(r.Team) == "" {
		errs = append(errs, errors.New("team: say for which team you speak"))
	}
	if TrimSpace(r.By) == "" {
		errs = append(errs, errors.New("by: name who does it"))
	}
	switch do {
	case DoClose:
		if !slices.Contains(Outcomes, r.Outcome) {
			errs = append(errs, fmt.Errorf("outcome: give one of %s", strings.Join(Outcomes, ", ")))
		}
		if r.Outcome == OutcomeNoAction && TrimSpace(r.Note) == "" {
			errs = append(errs, errors.New("note: say why no further action is taken"))
		}
		if r.Outcome == OutcomeOtherForce && TrimSpace(r.Note) == "" {
			errs = append(errs, errors.New("note: say which force has taken it over"))
		}
	case DoTransfer:
		if TrimSpace(r.To) == "" {
			errs = append(errs, errors.New("to: name the borough that takes it over"))
		}
		if TrimSpace(r.Note) == "" {
			errs = append(errs, errors.New("note: say why it is transferred"))
		}
	case DoProgress:
		if TrimSpace(r.Note) == "" {
			errs = append(errs, errors.New("note: say what has been done"))
		}
	}
	return errors.Join(errs...)
}

// TaskingOrder names what a night wants of a tasking: the order itself stays in the store.
type TaskingOrder struct {
	Night NightID `json:"night,omitzero"`
	// Revoked is given instead of Night when the order comes of an approval that was taken back.
	Revoked   NightID `json:"revoked,omitzero"`
	Team      string  `json:"team"` // in whose plan it stands
	Reference string  `json:"reference"`
}

// Key names the order among all that a tasking ever gets.
func (o TaskingOrder) Key() string { return "night-" + Occasion(o.Night, o.Revoked) }
