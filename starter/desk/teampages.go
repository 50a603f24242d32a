package desk

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// teamPages are the pages of those who are tasked, and of those who see that somebody answers. Whose a page is, is
// checked where the team or the tasking is known.
var teamPages = []page{
	{"/teams", nil, "teams", "Teams", (*Desk).allTeams, nil},
	{"/teams/{team}", nil, "team", "Team", (*Desk).teamOf, (*Desk).answerInList},
	{"/bcus/{bcu}", nil, "lead", "BCU", (*Desk).bcuOf, nil},
	{"/taskings/{tasking}", nil, "tasking", "Tasking", (*Desk).taskingOf, (*Desk).answerOnPage},
	{"/taskings/{tasking}/pack", nil, "why", "Pack", (*Desk).packPage, (*Desk).whyPack},
	{"/meeting", nil, "meeting", "Meeting", (*Desk).meeting, (*Desk).noteInMeeting},
}

// lately is how far back a list shows what is over.
const lately = 30 * 24 * time.Hour

func teamPath(name string) string { return "/teams/" + url.PathEscape(name) }

// oversees refuses whoever may not look at the taskings of all teams.
func (d *Desk) oversees(r *http.Request, p Person, did string) error {
	if everything(p) {
		return nil
	}
	err := fault.New(fault.NotAllowed, "your roles do not allow it: it takes the role analyst, officer or desk")
	d.refused(r, p, did, audit.Object{}, err)
	return err
}

// allTeams is how every team stands: the boroughs, the central desk, the specialist teams, and who else has something.
func (d *Desk) allTeams(r *http.Request, p Person) (any, error) {
	if err := d.oversees(r, p, "looked at all teams"); err != nil {
		return nil, err
	}
	who, err := d.Teams()
	if err != nil {
		return nil, err
	}
	var named []string
	for _, party := range slices.Concat(who.Owners(), who.Specialists(), []teams.Party{who.Desk()}) {
		named = append(named, party.Name)
	}
	return d.standingsOf(r.Context(), p, named, func(*schemas.Tasking) bool { return true })
}

// line is one tasking in a list.
type line struct {
	*schemas.Tasking
	Due  time.Time // by when to acknowledge it; zero: it does not wait for that
	Late bool
	Last digest.Told
	// As is the team for which the person may acknowledge it, Note the one for which they may note progress; empty: none.
	As, Note string
}

func (d *Desk) line(p Person, t *schemas.Tasking) line {
	l := line{Tasking: t, Late: casework.Overdue(t, d.Now())}
	l.As, l.Note = speaker(p, t, schemas.DoAcknowledge), speaker(p, t, schemas.DoProgress)
	l.Due, _ = t.Due()
	if n := len(t.Events); n > 0 {
		l.Last = digest.Tell(t, t.Events[n-1])
	}
	return l
}

// speaker is for which of their teams a person may do something to a tasking as it stands; empty: for none.
func speaker(p Person, t *schemas.Tasking, do string) string {
	for _, team := range access.Teams(p.Roles) {
		if casework.Admit(t, "", do, schemas.TaskingRequest{Team: team}) == nil {
			return team
		}
	}
	return ""
}

// section is a part of a list, under its heading.
type section struct {
	Name, What string
	Lines      []line
}

// teamPage is what one team has to do.
type teamPage struct {
	Name, BCU string
	Mine      bool // the person speaks for it
	Sections  []section
}

func (t teamPage) title() string { return t.Name }

// party is the team that a path names, when the person may know what it does. Whoever may not is told that there is
// none.
func (d *Desk) party(r *http.Request, p Person) (party teams.Party, err error) {
	none := fault.New(unknownCall, "there is no such team, or it is not yours to see: the menu leads to yours")
	who, err := d.Teams()
	if err != nil {
		return party, err
	}
	parties := slices.Concat(who.Owners(), who.Specialists(), []teams.Party{who.Desk()})
	if desk, ok := who.Restricted(); ok {
		parties = append(parties, desk)
	}
	slug := teams.Slug(r.PathValue("team"))
	i := slices.IndexFunc(parties, func(party teams.Party) bool { return party.Slug == slug })
	if i < 0 {
		return party, none
	}
	party = parties[i]
	if party.Name == teams.RestrictedDesk && !access.Speaks(p.Roles, party.Name) ||
		!access.Speaks(p.Roles, party.Name) && !everything(p) && !access.Leads(p.Roles, party.BCU) {
		d.refused(r, p, "looked at a team", audit.Object{Team: party.Name}, none)
		return party, none
	}
	return party, nil
}

func (d *Desk) teamOf(r *http.Request, p Person) (any, error) {
	party, err := d.party(r, p)
	if err != nil {
		return nil, err
	}
	all, err := d.all(r.Context())
	if err != nil {
		return nil, err
	}
	var late, fresh, hand, watch, over []line
	for _, t := range all {
		if !has(party.Name, t) || !sees(p, t) {
			continue
		}
		l := d.line(p, t)
		switch {
		case !t.State.Open():
			if d.Now().Sub(t.Since) <= lately {
				over = append(over, l)
			}
		case t.Watch:
			watch = append(watch, l)
		case l.Late:
			late = append(late, l)
		case t.State.Unanswered():
			fresh = append(fresh, l)
		default:
			hand = append(hand, l)
		}
	}
	for _, lines := range [][]line{late, fresh} {
		slices.SortStableFunc(lines, func(a, b line) int {
			return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Position, b.Position))
		})
	}
	slices.SortStableFunc(hand, func(a, b line) int { return a.Since.Compare(b.Since) })
	slices.SortStableFunc(watch, func(a, b line) int { return cmp.Compare(a.Position, b.Position) })
	slices.SortStableFunc(over, func(a, b line) int { return b.Since.Compare(a.Since) })
	page := teamPage{Name: party.Name, BCU: party.BCU, Mine: access.Speaks(p.Roles, party.Name), Sections: []section{
		{"Overdue", "Nobody acknowledged these in time.", late},
		{"To acknowledge", "", fresh},
		{"In hand", "", hand},
		{"To be watched for release", "In custody: nothing is due until the release, which you are told of.", watch},
		{"Closed or stood down in the last 30 days", "", over},
	}}
	return page, d.noteLook(r.Context(), p, "looked at the taskings of a team", audit.Object{Team: party.Name})
}

func (d *Desk) noteLook(ctx context.Context, p Person, did string, on audit.Object) error {
	return d.note(ctx, p, audit.Consultation, did, on, "", false)
}

// answerInList acknowledges a tasking from the list of a team.
func (d *Desk) answerInList(r *http.Request, p Person) (string, error) {
	party, err := d.party(r, p)
	if err != nil {
		return "", err
	}
	r.SetPathValue("tasking", r.PostFormValue("tasking"))
	if r.PostFormValue("do") != schemas.DoAcknowledge {
		return "", fault.New(fault.BadRequest, "a tasking is acknowledged in the list: open it for more")
	}
	_, err = d.answeredByForm(r, p)
	return teamPath(party.Name), err
}

// answeredByForm does what a form asks of the tasking that it was made for, once, however often it is sent.
func (d *Desk) answeredByForm(r *http.Request, p Person) (*schemas.Tasking, error) {
	do := r.PostFormValue("do")
	if !slices.Contains([]string{schemas.DoAcknowledge, schemas.DoProgress, schemas.DoClose, schemas.DoTransfer}, do) {
		return nil, fault.New(fault.BadRequest, "choose what to do with the tasking")
	}
	version, err := strconv.Atoi(r.PostFormValue("version"))
	if err != nil || version < 1 {
		return nil, fault.New(fault.BadRequest, "the form does not say what it was filled in on: it is shown anew, do it once more")
	}
	defer d.book.forget()
	return d.answered(r, p, do, AnswerCall{Team: r.PostFormValue("team"), Note: r.PostFormValue("note"),
		Outcome: r.PostFormValue("outcome"), To: r.PostFormValue("to"), Version: version})
}

// bcuPage is what the lead of a BCU has to see to.
type bcuPage struct {
	BCU      string
	Teams    []standing
	Sections []section
}

func (b bcuPage) title() string { return b.BCU }

// bcuOf shows a BCU to its lead, and to those who look at everything.
func (d *Desk) bcuOf(r *http.Request, p Person) (any, error) {
	none := fault.New(unknownCall, "there is no such BCU, or it is not yours to see: the menu leads to yours")
	who, err := d.Teams()
	if err != nil {
		return nil, err
	}
	page, slug := bcuPage{}, teams.Slug(r.PathValue("bcu"))
	var named []string
	for _, party := range who.Owners() {
		if party.BCU != "" && teams.Slug(party.BCU) == slug {
			page.BCU, named = party.BCU, append(named, party.Name)
		}
	}
	if page.BCU == "" {
		return nil, none
	}
	if !everything(p) && !access.Leads(p.Roles, page.BCU) {
		d.refused(r, p, "looked at a BCU", audit.Object{Team: page.BCU}, none)
		return nil, none
	}
	if page.Teams, err = d.standingsOf(r.Context(), p, named, func(*schemas.Tasking) bool { return false }); err != nil {
		return nil, err
	}
	all, err := d.all(r.Context())
	if err != nil {
		return nil, err
	}
	var open, since []line
	for _, t := range all {
		if t.BCU != page.BCU || !sees(p, t) {
			continue
		}
		switch told := escalated(t); {
		case t.State.Unanswered() && (casework.Overdue(t, d.Now()) || t.State == schemas.TaskingEscalated):
			open = append(open, d.line(p, t))
		case !told.IsZero() && d.Now().Sub(told) <= lately:
			since = append(since, d.line(p, t))
		}
	}
	slices.SortStableFunc(open, func(a, b line) int { return a.Due.Compare(b.Due) })
	slices.SortStableFunc(since, func(a, b line) int { return b.Since.Compare(a.Since) })
	page.Sections = []section{
		{"Not acknowledged in time", "See that somebody takes these on. The team answers, not its lead.", open},
		{"Escalated in the last 30 days, and answered since", "", since},
	}
	return page, d.noteLook(r.Context(), p, "looked at the escalations of a BCU", audit.Object{Team: page.BCU})
}

// escalated is when a lead was last told of a tasking; zero: never.
func escalated(t *schemas.Tasking) (at time.Time) {
	for _, e := range t.Events {
		if e.Kind == schemas.EventLead {
			at = e.At
		}
	}
	return at
}
