// Package teams declares who works where and by when: the borough teams, the BCU leads, the two desks,
// the specialist teams and the offences that go to them, the deadlines and the hours in which these
// count. All of it stands in one YAML file; Example is one, with a comment on every part.
//
// It must know neither Temporal nor the store, and not how a message is sent.
package teams

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rickar/cal/v2"

	"harmstack/schemas"
)

// The two desks. The central desk owns the suspects no borough owns; the specialist desk is told last
// when nobody acknowledges a tasking.
const (
	CentralDesk    = "Central desk"
	SpecialistDesk = "Specialist desk"
)

// RestrictedDesk alone gets the suspects whose allegations say `restricted`: officers, staff and protected persons
// (contract, section 8).
const RestrictedDesk = "Professional standards"

// Operations are those who keep the system running: they are told when a source or a night does not come.
const Operations = "Operations"

// Auditor keeps the signed checkpoints of the audit log (trust, section 4).
const Auditor = "Auditor"

// Party is somebody who can be told something: a borough team, a BCU lead, a desk or a specialist team.
type Party struct {
	Name string
	// Slug is the name for ids and paths. No two parties share one.
	Slug string
	// BCU is the command unit of a borough; empty for every other party.
	BCU string
	// Mail are one or more addresses that ParseAddress can read, such as "Hackney VAWG <vawg@example.police.uk>".
	Mail    []string
	Webhook *Webhook // nil: mail only
}

// Webhook is where a party's own system listens.
type Webhook struct {
	URL string
	// Secret is the key that signs what is sent (Standard Webhooks), 24 to 64 bytes; none where the receiver cannot check
	// it, as Teams and Slack.
	Secret []byte
	// Format is how it is told: cloudevents, teams or slack.
	Format string
}

// Teams is one validated file. It does not change and may be shared between goroutines.
type Teams struct {
	owners      []Party
	specialists []specialist
	packDomains []string // whose addresses get packs
	desk        Party
	operations  Party
	restricted  *Party // nil: nobody is told of restricted suspects
	auditor     *Party // nil: nobody is sent checkpoints
	bySlug      map[string]Party

	standDownAfter int64 // 0: not given
	cadence        Cadence

	remind, lead, tell time.Duration
	calendar           *cal.BusinessCalendar // nil: every hour counts
}

type specialist struct {
	Party
	offences      []string // classes such as 019 and codes such as 020/03
	domesticAbuse bool
}

// Slug keeps the letters and digits of a name, in lower case: kensington-and-chelsea.
func Slug(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}

// Owners are the 32 boroughs in the order of the reference table, then the central desk.
func (t *Teams) Owners() []Party { return t.owners }

// Specialists are the specialist teams, in the order of the file.
func (t *Teams) Specialists() (list []Party) {
	for _, s := range t.specialists {
		list = append(list, s.Party)
	}
	return list
}

// Find finds an owner, a specialist team, the specialist desk or a BCU lead ("Central East lead") by its
// name in any letter case, or by its slug.
func (t *Teams) Find(name string) (Party, bool) {
	p, ok := t.bySlug[Slug(name)]
	return p, ok
}

// Lead is the lead of a BCU. Who has none, as the central desk, gets the specialist desk.
func (t *Teams) Lead(bcu string) Party {
	if p, ok := t.Find(leadName(bcu)); ok && bcu != "" {
		return p
	}
	return t.desk
}

func leadName(bcu string) string { return bcu + " lead" }

// Desk is the specialist desk.
func (t *Teams) Desk() Party { return t.desk }

// Operations are told of what does not run; where the file has none, at the addresses of the central desk.
func (t *Teams) Operations() Party { return t.operations }

// Restricted is the desk for restricted suspects; ok is false where the file has none, and nobody may be told of them.
func (t *Teams) Restricted() (p Party, ok bool) {
	if t.restricted == nil {
		return p, false
	}
	return *t.restricted, true
}

// Auditor is who keeps checkpoints of the audit log; ok is false where the file has none.
func (t *Teams) Auditor() (p Party, ok bool) {
	if t.auditor == nil {
		return p, false
	}
	return *t.auditor, true
}

// StandDownAfter is the position in the ranking down to which whoever is tasked stays tasked: never less than the depth
// of the night's stack (contract, section 8).
func (t *Teams) StandDownAfter(depth int64) int64 { return max(t.standDownAfter, depth) }

// Cadence is how often new taskings are issued.
func (t *Teams) Cadence() Cadence { return t.cadence }

// Cadence is nightly, weekly or monthly.
type Cadence string

// The cadences.
const (
	Nightly Cadence = "nightly"
	Weekly  Cadence = "weekly"
	Monthly Cadence = "monthly"
)

// Since is the first date of the period that a night's date belongs to: itself, the Monday of its week, or the first of
// its month.
func (c Cadence) Since(asOf schemas.Date) schemas.Date {
	switch day := asOf.Start(); c {
	case Weekly:
		return asOf.AddDays(-((int(day.Weekday()) + 6) % 7))
	case Monthly:
		return asOf.AddDays(1 - day.Day())
	default:
		return asOf
	}
}

// Everybody are all parties: the owners, the specialist teams, the leads, the desks and the operations, by name.
func (t *Teams) Everybody() []Party {
	all := append(slices.Collect(maps.Values(t.bySlug)), t.operations)
	slices.SortFunc(all, func(a, b Party) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b Party) bool { return a.Name == b.Name })
}

// Route names the specialist teams that an allegation concerns, in the order of the file; often none.
// code is a Home Office code in the form 019/08.
func (t *Teams) Route(code string, domesticAbuse bool) (names []string) {
	class, _, _ := strings.Cut(code, "/")
	for _, s := range t.specialists {
		if domesticAbuse && s.domesticAbuse || slices.Contains(s.offences, class) || slices.Contains(s.offences, code) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Deadlines are the instants, in UTC, of what follows when nobody acknowledges a tasking: its team is
// reminded, the BCU lead is told, the specialist desk is told.
type Deadlines struct{ Remind, Lead, Desk time.Time }

// Deadlines counts from the instant at which a tasking is issued. Outside working hours the count begins
// at the next opening; one that runs out exactly at closing time is due then, not the next morning.
func (t *Teams) Deadlines(from time.Time) Deadlines {
	after := func(d time.Duration) time.Time {
		if t.calendar == nil {
			return from.Add(d).UTC()
		}
		return t.calendar.AddWorkHours(from.In(schemas.London), d).UTC()
	}
	return Deadlines{after(t.remind), after(t.lead), after(t.tell)}
}

// PackDomains are the domains whose addresses get packs, and with them ids, attached to their mails, in lower case; none:
// nobody does.
func (t *Teams) PackDomains() []string { return t.packDomains }
