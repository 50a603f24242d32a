// Package casework is the life of a tasking: its states, what a night and a team may ask of it in which,
// and what follows when nobody answers (contract, section 8). Its taskings are kept in the artefact store,
// one file a version, so that they outlast every server.
//
// It must not know Temporal, nor how anybody is told. It is given the time and never asks for it.
package casework

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

var (
	// ErrOtherTeam: the request speaks for a team whose tasking this is not.
	ErrOtherTeam = errors.New("not your tasking")
	// ErrWrongState: the tasking is in no state for the request, somebody else may have come first.
	ErrWrongState = errors.New("not possible now")
	// ErrBadRequest: the request can be done to no tasking.
	ErrBadRequest = errors.New("the request cannot be carried out")
	// ErrNone: there is no tasking of that reference.
	ErrNone = errors.New("there is no such tasking")
)

// Order is what an approved night wants of a tasking.
type Order struct {
	Reference string          `json:"reference"`
	Night     schemas.NightID `json:"night"`
	// OnStack: the suspect is on the night's stack, or stays tasked below it, and the fields below are filled in.
	OnStack bool `json:"on_stack"`
	// Below is the position below which the suspect, who is not on the stack any more, is stood down; 0: on the stack.
	// Such an order issues no tasking. Its Specialists, its Allegations and how many are charged are not known.
	Below int64 `json:"below,omitempty"`
	// Reason says why the suspect is not on the stack, or that the stack is the approved one again because a later
	// approval was taken back.
	Reason      string               `json:"reason,omitempty"`
	Owner       string               `json:"owner,omitempty"` // the team of the owner borough
	Position    int64                `json:"position,omitempty"`
	Facts       schemas.TaskingFacts `json:"facts,omitzero"`
	Specialists []string             `json:"specialists,omitempty"`
	Allegations []string             `json:"allegations,omitempty"` // keyed hashes, sorted
	// Restricted: the tasking is for the desk of restricted suspects alone, its Owner.
	Restricted bool `json:"restricted,omitempty"`
	// Watch: the suspect is in custody, so that the tasking is a release watch without a deadline.
	Watch bool `json:"release_watch,omitempty"`
	// Chase is by when it is to be acknowledged, should the order hand it to a team: worked out once, for the digest
	// and for the tasking. A plan from before has none; the teams tell then.
	Chase schemas.TaskingDeadlines `json:"chase,omitzero"`
}

// Command is one thing that is asked of a tasking: exactly one of Order, Request and Chase.
type Command struct {
	// Key names the request; a tasking that has done it already stays as it is.
	Key     string
	At      time.Time
	Order   *Order
	Do      string // what the Request asks for, one of schemas.Do…
	Request *schemas.TaskingRequest
	Chase   bool // the next step of the chase, if it is due
	// Revoked are the nights whose approval was taken back: an order stands though one of them has spoken since.
	Revoked []schemas.NightID
}

// Apply does a command to a tasking, nil for none, and returns it as it is then. A command that changes
// nothing returns the tasking itself; its version tells. The errors say in one line why the command is refused.
func Apply(t *schemas.Tasking, c Command, who *teams.Teams) (*schemas.Tasking, error) {
	if t != nil && done(t, c.Key) {
		return t, nil
	}
	switch {
	case c.Order != nil:
		return order(t, c, who), nil
	case t == nil:
		return nil, ErrNone
	case c.Request != nil:
		return request(t, c, who)
	default:
		return chase(t, c), nil
	}
}

// Admit refuses a request that a tasking as it stands does not allow: by another team, or in another state. One that it
// has done already it allows.
func Admit(t *schemas.Tasking, key, do string, r schemas.TaskingRequest) error {
	// The desk that a tasking was escalated to may act for the team that did not answer.
	team := teams.Slug(r.Team)
	switch {
	case done(t, key):
		return nil
	case t.Restricted && team != teams.Slug(t.Team):
		return ErrNone // that there is one is nobody else's to know
	case t.Restricted && do == schemas.DoTransfer:
		return fmt.Errorf("%w: a restricted tasking stays with %s", ErrBadRequest, t.Team)
	case team != teams.Slug(t.Team) && !(t.State == schemas.TaskingEscalated && t.Chased == 3 && team == teams.Slug(teams.SpecialistDesk)):
		return fmt.Errorf("%w: it is with %s, not with %s", ErrOtherTeam, t.Team, schemas.TrimSpace(r.Team))
	case !allowed(do, t.State):
		return fmt.Errorf("%w: %s", ErrWrongState, standing(t, do))
	}
	return nil
}

// done tells whether the request of a key is among the latest events. One from before them is judged like any other:
// the state it wanted is there, or it comes too late.
func done(t *schemas.Tasking, key string) bool {
	return slices.ContainsFunc(t.Events, func(e schemas.TaskingEvent) bool { return e.Key == key })
}

// change copies the tasking and adds an event to the copy; the caller fills in the rest of both.
func change(t *schemas.Tasking, c Command, e schemas.TaskingEvent) *schemas.Tasking {
	next := *t
	e.Number, e.At, e.Key = t.Version+1, c.At, c.Key
	if c.Request != nil {
		e.By, e.Reason = schemas.TrimSpace(c.Request.By), schemas.TrimSpace(c.Request.Note)
		e.Attestation = c.Request.Attestation
	}
	if c.Order != nil {
		e.Reason = c.Order.Reason
		if c.Order.Night != (schemas.NightID{}) { // else no stack is approved any more
			e.Night = &c.Order.Night
			next.Night = c.Order.Night
		}
	}
	if c.Order != nil && c.Order.OnStack {
		next.Watch, next.Restricted = c.Order.Watch, c.Order.Restricted
	}
	next.Version = e.Number
	next.Events = append(slices.Clip(t.Events), e)
	return &next
}

func enter(t *schemas.Tasking, state schemas.TaskingState, at time.Time) {
	t.State, t.Since = state, at
	if !state.Unanswered() {
		t.Chase, t.Chased = schemas.TaskingDeadlines{}, 0
	}
}

// give hands the tasking to a team, which has the whole time to acknowledge it: as the order says, or else as the teams
// do. A release watch has no deadline.
func give(t *schemas.Tasking, team string, state schemas.TaskingState, c Command, who *teams.Teams) {
	enter(t, state, c.At)
	t.Team, t.BCU = team, ""
	if p, ok := who.Find(team); ok {
		t.BCU = p.BCU
	}
	t.Chase, t.Chased = schemas.TaskingDeadlines{}, 0
	if t.Watch {
		return
	}
	if c.Order != nil && c.Order.Chase != (schemas.TaskingDeadlines{}) {
		t.Chase = c.Order.Chase
		return
	}
	t.Chase = schemas.TaskingDeadlines(who.Deadlines(c.At))
}

// order brings a tasking up to date with an approved night.
func order(t *schemas.Tasking, c Command, who *teams.Teams) *schemas.Tasking {
	o := c.Order
	if t == nil {
		if !o.OnStack || o.Below > 0 {
			return nil
		}
		t = change(
			&schemas.Tasking{Reference: o.Reference},
			c,
			schemas.TaskingEvent{Kind: schemas.EventIssued, Team: o.Owner},
		)
		give(t, o.Owner, schemas.TaskingIssued, c, who)
		return know(t, o)
	}
	if o.Night.Before(t.Night) && !slices.Contains(c.Revoked, t.Night) {
		return t // a newer night has spoken
	}
	if !o.OnStack {
		return leave(t, c)
	}
	if o.Below > 0 { // what is not known stays as it was
		known := *o
		known.Specialists, known.Facts.Charged = t.Specialists, t.Facts.Charged
		o = &known
	}
	news := news(t, o)
	unseen := slices.ContainsFunc(o.Allegations, func(a string) bool { return !seen(t, a) })
	switch {
	case t.State == schemas.TaskingClosed && !unseen:
		if t.OnStack && len(news) == 0 {
			return t
		}
		kind := schemas.EventUpdated
		if !t.OnStack {
			kind = schemas.EventReturned
		}
		return know(change(t, c, schemas.TaskingEvent{Kind: kind, Team: t.Team, News: news}), o)
	case !t.OnStack || t.State == schemas.TaskingClosed:
		team := o.Owner
		if t.Placed {
			team = t.Team
		}
		next := change(t, c, schemas.TaskingEvent{Kind: schemas.EventReopened, Team: team, News: news})
		next.Outcome = ""
		give(next, team, schemas.TaskingIssued, c, who)
		return know(next, o)
	case !t.Placed && t.Team != o.Owner:
		next := change(
			t,
			c,
			schemas.TaskingEvent{Kind: schemas.EventTransferred, Team: o.Owner, From: t.Team, News: news},
		)
		give(next, o.Owner, schemas.TaskingTransferred, c, who)
		return know(next, o)
	case t.Watch && !o.Watch: // whoever has taken the watch on takes the suspect on now
		next := change(t, c, schemas.TaskingEvent{Kind: schemas.EventReleased, Team: t.Team, News: news})
		give(next, t.Team, schemas.TaskingIssued, c, who)
		return know(next, o)
	case !t.Watch && o.Watch:
		next := change(t, c, schemas.TaskingEvent{Kind: schemas.EventContained, Team: t.Team, News: news})
		if next.Chase, next.Chased = (schemas.TaskingDeadlines{}), 0; t.State == schemas.TaskingEscalated {
			enter(next, schemas.TaskingIssued, c.At) // nobody is late any more
		}
		return know(next, o)
	case len(news) > 0:
		return know(change(t, c, schemas.TaskingEvent{Kind: schemas.EventUpdated, Team: t.Team, News: news}), o)
	}
	return t
}

// know writes into a tasking what the night's order says of the suspect.
func know(t *schemas.Tasking, o *Order) *schemas.Tasking {
	t.OnStack, t.Position, t.Facts, t.Specialists, t.Below = true, o.Position, o.Facts, o.Specialists, o.Below > 0
	t.Seen = slices.Compact(slices.Sorted(slices.Values(slices.Concat(t.Seen, o.Allegations))))
	return t
}

func leave(t *schemas.Tasking, c Command) *schemas.Tasking {
	if !t.OnStack {
		return t
	}
	kind := schemas.EventStoodDown
	if t.State == schemas.TaskingClosed {
		kind = schemas.EventLeft
	}
	next := change(t, c, schemas.TaskingEvent{Kind: kind, Team: t.Team})
	next.OnStack, next.Placed = false, false
	if t.State != schemas.TaskingClosed {
		enter(next, schemas.TaskingStoodDown, c.At)
	}
	return next
}

func seen(t *schemas.Tasking, allegation string) bool {
	_, ok := slices.BinarySearch(t.Seen, allegation)
	return ok
}

// news says in words what the team does not know yet.
func news(t *schemas.Tasking, o *Order) (lines []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	fresh := int64(0)
	for _, a := range o.Allegations {
		if !seen(t, a) {
			fresh++
		}
	}
	was, is := t.Facts, o.Facts
	add(fresh == 1, "one new allegation")
	add(fresh > 1, "%s", text.Count(fresh, "new allegation"))
	// What is known again after it was gone is neither new nor gone. Below the stack allegations are only counted.
	gone, counted := was.Allegations+fresh-is.Allegations, t.Below || o.Below > 0
	if counted {
		add(was.Allegations != is.Allegations, "allegations: %d, was %d", is.Allegations, was.Allegations)
		add(
			was.Allegations == is.Allegations && was.HarmDays != is.HarmDays,
			"%s, was %s",
			text.CountDays(is.HarmDays, "harm day"),
			text.Days(was.HarmDays),
		)
		gone = 0
	}
	add(gone == 1, "one allegation counts no longer: cleared, withdrawn or older than a year")
	add(gone > 1, "%s count no longer: cleared, withdrawn or older than a year", text.Count(gone, "allegation"))
	add(gone < 0, "%s again", text.Count(-gone, "allegation counts", "allegations count"))
	add(was.Victims != is.Victims, "victims: %d, was %d", is.Victims, was.Victims)
	add(was.Charged != is.Charged, "allegations charged or convicted: %d, was %d", is.Charged, was.Charged)
	add(was.Status != is.Status, "the suspect's status: %s, was %s", words(is.Status), words(was.Status))
	add(!was.AlsoVictim && is.AlsoVictim, "the suspect is also recorded as a victim: look for a counter-allegation")
	add(was.AlsoVictim && !is.AlsoVictim, "the suspect is no longer recorded as a victim")
	add(
		!counted && fresh == 0 && gone == 0 && was.HarmDays != is.HarmDays,
		"an allegation was classified anew: %s, was %s",
		text.CountDays(is.HarmDays, "harm day"),
		text.Days(was.HarmDays),
	)
	add(
		fresh == 0 && gone == 0 && was.Allegations+fresh == is.Allegations &&
			(was.DomesticAbuse != is.DomesticAbuse || was.NonRecent != is.NonRecent || was.Reports != is.Reports),
		"domestic abuse, dates or report numbers were corrected",
	)
	for _, b := range is.Boroughs {
		add(!slices.Contains(was.Boroughs, b), "now also alleged in %s", b)
	}
	for _, s := range o.Specialists {
		add(!slices.Contains(t.Specialists, s), "added: the specialist team %s", s)
	}
	for _, s := range t.Specialists {
		add(!slices.Contains(o.Specialists, s), "no longer with the specialist team %s", s)
	}
	return lines
}

func words(status string) string {
	if status == "" {
		return "not known"
	}
	return strings.ReplaceAll(status, "_", " ")
}

// request does what a person of a team asks for.
func request(t *schemas.Tasking, c Command, who *teams.Teams) (*schemas.Tasking, error) {
	r := *c.Request
	if err := r.Validate(c.Do); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if _, ok := who.Find(r.Team); !ok {
		return nil, fmt.Errorf("%w: %q is no team", ErrBadRequest, r.Team)
	}
	if err := Admit(t, c.Key, c.Do, r); err != nil {
		return nil, err
	}
	switch c.Do {
	case schemas.DoAcknowledge:
		next := change(t, c, schemas.TaskingEvent{Kind: schemas.EventAcknowledged, Team: t.Team})
		enter(next, schemas.TaskingAcknowledged, c.At)
		return next, nil
	case schemas.DoProgress:
		next := change(t, c, schemas.TaskingEvent{Kind: schemas.EventProgress, Team: t.Team})
		enter(next, schemas.TaskingInProgress, c.At)
		return next, nil
	case schemas.DoClose:
		next := change(t, c, schemas.TaskingEvent{Kind: schemas.EventClosed, Team: t.Team, Outcome: r.Outcome})
		next.Outcome = r.Outcome
		enter(next, schemas.TaskingClosed, c.At)
		return next, nil
	default:
		return transfer(t, c, who)
	}
}

func transfer(t *schemas.Tasking, c Command, who *teams.Teams) (*schemas.Tasking, error) {
	to, ok := who.Find(c.Request.To)
	if !ok || !slices.ContainsFunc(who.Owners(), func(p teams.Party) bool { return p.Name == to.Name }) {
		return nil, fmt.Errorf("%w: to: %q is neither a borough nor the central desk", ErrBadRequest, c.Request.To)
	}
	if to.Name == t.Team {
		return nil, fmt.Errorf("%w: it is with %s already", ErrWrongState, t.Team)
	}
	next := change(t, c, schemas.TaskingEvent{Kind: schemas.EventTransferred, Team: to.Name, From: t.Team})
	give(next, to.Name, schemas.TaskingTransferred, c, who)
	next.Placed = true
	return next, nil
}

// allowed tells what can be asked of a tasking in which state.
func allowed(do string, s schemas.TaskingState) bool {
	switch do {
	case schemas.DoAcknowledge:
		return s.Unanswered()
	case schemas.DoProgress, schemas.DoClose:
		return s == schemas.TaskingAcknowledged || s == schemas.TaskingInProgress
	case schemas.DoTransfer:
		return s.Open()
	}
	return false
}

// standing says why a request comes too late or too early. It names no person.
func standing(t *schemas.Tasking, do string) string {
	when := t.Since.In(schemas.London).Format("2 January 2006 at 15:04")
	switch {
	case t.State.Unanswered():
		return "nobody has acknowledged it yet: acknowledge it first"
	case t.State == schemas.TaskingStoodDown:
		return "it was stood down on " + when
	case t.State == schemas.TaskingClosed:
		return fmt.Sprintf("it was closed on %s: %s", when, words(t.Outcome))
	default:
		return fmt.Sprintf("it has been %s since %s", words(string(t.State)), when)
	}
}

// chase takes the next step when nobody has acknowledged in time.
func chase(t *schemas.Tasking, c Command) *schemas.Tasking {
	due, ok := t.NextChase()
	if !ok || c.At.Before(due) {
		return t
	}
	next := change(
		t,
		c,
		schemas.TaskingEvent{
			Kind: []string{schemas.EventReminded, schemas.EventLead, schemas.EventDesk}[t.Chased],
			Team: t.Team,
		},
	)
	if next.Chased++; next.Chased > 1 && t.State != schemas.TaskingEscalated {
		enter(next, schemas.TaskingEscalated, c.At)
	}
	return next
}
