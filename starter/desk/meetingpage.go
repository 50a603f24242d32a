package desk

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/nights"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// old is from when on a tasking that is still open is to be talked about.
const old = 60 * 24 * time.Hour

// meetingPage is the briefing of a month: positions and pseudonyms, nobody's id, and nobody who is restricted.
type meetingPage struct {
	Month         string // 2026-06
	Name          string // June 2026
	Before, After string // the months beside it; After is empty in the last
	Now           time.Time
	Night         *schemas.NightID // the stack of the month: the last that was approved in or before it
	Earlier       *schemas.NightID // the one that it is compared with: the last before the month
	Boroughs      []boroughStack
	Stack         int
	Restricted    int
	Entered, Left []moved
	Overdue       []line
	Outcomes      []monthOutcome
	Closed        []line
	// What there is to decide.
	Pending            []schemas.NightID
	Escalated, Watched []line
	Old                []line
	// Speaks are the teams for which the person may note something.
	Speaks []string
}

func (m meetingPage) title() string { return "Meeting, " + m.Name }

// boroughStack are those of the stack whom one team owns.
type boroughStack struct {
	Team string
	Rows []briefed
}

// briefed is one of the stack, by position. The ranking's id of the suspect stays where it is.
type briefed struct {
	Position, Allegations, Victims int64
	HarmDays                       float64
	Lane                           string
	Tasking                        *line // nil: not tasked yet, or not by the plans that are known
}

// moved is one who entered the stack, or left it.
type moved struct {
	Position  int64 // where they stand, or stood
	Team      string
	Reference string // empty: not tasked
	Why       string
}

// monthOutcome is how many taskings were closed with an outcome.
type monthOutcome struct {
	Name  string
	Count int
}

const notTold = "not known"

func (d *Desk) meeting(r *http.Request, p Person) (any, error) {
	if err := d.oversees(r, p, "looked at the monthly briefing"); err != nil {
		return nil, err
	}
	first, err := d.month(r.URL.Query().Get("month"))
	if err != nil {
		return nil, err
	}
	next := first.AddDate(0, 1, 0)
	m := meetingPage{Month: first.Format("2006-01"), Name: first.Format("January 2006"),
		Before: first.AddDate(0, -1, 0).Format("2006-01"), Now: d.Now(), Speaks: access.Teams(p.Roles)}
	if !next.After(d.Now()) {
		m.After = next.Format("2006-01")
	}
	all, err := d.all(r.Context())
	if err != nil {
		return nil, err
	}
	by := map[string]*schemas.Tasking{}
	for _, t := range all {
		if t.Restricted || !sees(p, t) {
			continue
		}
		by[t.Reference] = t
		m.talk(d.line(p, t), first, next)
	}
	slices.SortStableFunc(m.Overdue, func(a, b line) int { return a.Due.Compare(b.Due) })
	slices.SortStableFunc(m.Old, func(a, b line) int { return opened(a.Tasking).Compare(opened(b.Tasking)) })
	slices.SortFunc(m.Outcomes, func(a, b monthOutcome) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Name, b.Name)) })
	published, err := d.allNights(r.Context())
	if err != nil {
		return nil, err
	}
	for _, n := range published {
		if n.Status == nights.Pending {
			m.Pending = append(m.Pending, n.ID)
		}
	}
	if err := d.compare(r.Context(), p, &m, published, first, next, by); err != nil {
		return nil, err
	}
	on := audit.Object{}
	if m.Night != nil {
		on.Night = m.Night.String()
	}
	return m, d.noteLook(r.Context(), p, "looked at the monthly briefing", on)
}

// month is the first instant of a month of London; of the one under way, when none is given.
func (d *Desk) month(given string) (first time.Time, err error) {
	now := d.Now().In(schemas.London)
	if given == "" {
		given = now.Format("2006-01")
	}
	first, err = time.ParseInLocation("2006-01", given, schemas.London)
	if err != nil || first.After(now) || first.Year() < 2000 {
		return first, fault.New(fault.BadRequest, "month: give one that has begun, as 2026-06")
	}
	return first, nil
}

// talk sorts a tasking into what the meeting talks about.
func (m *meetingPage) talk(l line, first, next time.Time) {
	for _, e := range l.Events {
		if e.Kind != schemas.EventClosed || e.At.Before(first) || !e.At.Before(next) {
			continue
		}
		i := slices.IndexFunc(m.Outcomes, func(o monthOutcome) bool { return o.Name == e.Outcome })
		if i < 0 {
			i, m.Outcomes = len(m.Outcomes), append(m.Outcomes, monthOutcome{Name: e.Outcome})
		}
		m.Outcomes[i].Count++
	}
	switch {
	case !l.State.Open():
		return
	case l.Watch:
		m.Watched = append(m.Watched, l)
	case l.State == schemas.TaskingEscalated:
		m.Escalated = append(m.Escalated, l)
	}
	if l.Late {
		m.Overdue = append(m.Overdue, l)
	}
	if m.Now.Sub(opened(l.Tasking)) > old {
		m.Old = append(m.Old, l)
	}
}

// opened is since when there is something to do about a tasking, whoever has it.
func opened(t *schemas.Tasking) (at time.Time) {
	for _, e := range t.Events {
		if e.Kind == schemas.EventIssued || e.Kind == schemas.EventReopened {
			at = e.At
		}
	}
	return at
}

// compare fills in the stack of the month, and who entered and left since the month before.
func (d *Desk) compare(
	ctx context.Context, p Person, m *meetingPage, published []nights.Night, first, next time.Time, by map[string]*schemas.Tasking,
) error {
	for _, n := range published { // oldest first
		if n.Status != schemas.Approved || n.Disposed {
			continue
		}
		if at := n.ID.AsOf.Start(); at.Before(first) {
			m.Earlier = &n.ID
		} else if at.Before(next) {
			m.Night = &n.ID
		}
	}
	if m.Night == nil { // nothing was approved in the month: the stack of before is still the one
		m.Night, m.Earlier = m.Earlier, nil
	}
	if m.Night == nil {
		return nil
	}
	now, err := d.stackBy(ctx, *m.Night)
	if err != nil {
		return err
	}
	var before stack
	if m.Earlier != nil {
		if before, err = d.stackBy(ctx, *m.Earlier); err != nil {
			return err
		}
	}
	m.fill(now, before, func(reference string) *line {
		if t := by[reference]; t != nil {
			return new(d.line(p, t))
		}
		return nil
	})
	return nil
}

// stack is that of a night, and the pseudonyms of its suspects by position.
type stack struct {
	rows       []schemas.Ranked
	references map[int64]string
}

// fill sorts a stack by borough, and says who entered and left it since the one before.
func (m *meetingPage) fill(now, before stack, tasking func(reference string) *line) {
	was, is := map[string]bool{}, map[string]bool{}
	for _, row := range before.rows {
		was[row.SuspectID] = true
	}
	stacks := map[string]*boroughStack{}
	for _, row := range now.rows {
		is[row.SuspectID] = true
		if row.Restricted {
			m.Restricted++
			continue
		}
		m.Stack++
		l, team := tasking(now.references[row.Position]), owner(row)
		if m.Earlier != nil && !was[row.SuspectID] {
			m.Entered = append(m.Entered, moved{Position: row.Position, Team: team, Reference: l.reference()})
		}
		s := stacks[team]
		if s == nil {
			s = &boroughStack{Team: team}
			stacks[team] = s
		}
		s.Rows = append(s.Rows, briefed{row.Position, row.Allegations, row.Victims, row.SumDays, row.Lane, l})
	}
	for _, team := range slices.Sorted(maps.Keys(stacks)) {
		m.Boroughs = append(m.Boroughs, *stacks[team])
	}
	for _, row := range before.rows {
		if !row.Restricted && !is[row.SuspectID] {
			l := tasking(before.references[row.Position])
			m.Left = append(m.Left, moved{row.Position, owner(row), l.reference(), whyLeft(l)})
		}
	}
}

// stackBy is the stack of an approved night.
func (d *Desk) stackBy(ctx context.Context, id schemas.NightID) (s stack, err error) {
	manifest, _, err := nights.LoadManifest(ctx, d.To.Store, id)
	if err != nil {
		return s, err
	}
	if s.rows, err = nights.ReadFile[schemas.Ranked](ctx, d.To.Store, manifest, schemas.StackFile); err != nil {
		return s, nights.WhyMissing(ctx, d.To.Store, id, err)
	}
	occasion := schemas.Occasion(id, schemas.NightID{})
	current, err := nights.LoadCurrent(ctx, d.To.Store)
	if err != nil {
		return s, err
	}
	if current != nil && current.Manifest.NightID == id { // it may be so again, after a later approval was taken back
		occasion = current.Occasion()
	}
	s.references, err = tasking.Planned(ctx, d.To.Store, occasion)
	return s, err
}

func owner(row schemas.Ranked) string {
	if row.OwnerBorough == nil {
		return teams.CentralDesk
	}
	return *row.OwnerBorough
}

func (l *line) reference() string {
	if l == nil {
		return ""
	}
	return l.Reference
}

// whyLeft is why a suspect was last taken off the stack, as the tasking says.
func whyLeft(l *line) string {
	if l == nil {
		return notTold
	}
	for _, e := range slices.Backward(l.Events) {
		if e.Kind == schemas.EventStoodDown || e.Kind == schemas.EventLeft {
			return cmp.Or(strings.Join(digest.Tell(l.Tasking, e).Why, "; "), notTold)
		}
	}
	if l.OnStack {
		return "below the stack, and still tasked"
	}
	return notTold
}

// noteInMeeting makes a note that was taken in a meeting a progress note of its tasking.
func (d *Desk) noteInMeeting(r *http.Request, p Person) (string, error) {
	if err := d.oversees(r, p, schemas.DoProgress); err != nil {
		return "", err
	}
	if r.PostFormValue("do") != schemas.DoProgress {
		return "", fault.New(fault.BadRequest, "a meeting takes notes: open the tasking for more")
	}
	r.SetPathValue("tasking", r.PostFormValue("tasking"))
	t, err := d.answeredByForm(r, p)
	if err != nil {
		return "", err
	}
	return "/meeting?month=" + url.QueryEscape(r.URL.Query().Get("month")) + "#" + t.Reference, nil
}
