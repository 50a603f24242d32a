package desk

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights/casefile"
	"harmstack/activities/nights/report"
	"harmstack/activities/pipeline"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// personView is the page of one suspect of a night: why they stand there.
type personView struct {
	*pipeline.Explanation
	Night schemas.NightID
	// Timeline are the scored allegations, newest first.
	Timeline []allegationView
	// Aside are the rows that name the suspect and did not count.
	Aside    []asideView
	Shared   []string
	Withdrew string
	Tasking  *schemas.Tasking
}

// allegationView is one scored allegation, with words for what a figure means.
type allegationView struct {
	pipeline.Explained
	Recency   string
	Frequency string
	Percent   string
	Without   string
}

// asideView is a row that did not count.
type asideView struct {
	schemas.Case
	Whose, Why string
}

func (d *Desk) personPage(r *http.Request, p Person) (any, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	at, ok := position(r)
	if !ok {
		return nil, fault.New(unknownCall, "a person's page is called by their position in the ranking, from 1 on")
	}
	why := d.why(r)
	if why == "" {
		return askWhy{fmt.Sprintf("position %d of %s", at, m.AsOf), nightPath(m.NightID) + "/stack"}, nil
	}
	e, err := d.explained(r, p, Question{fmt.Sprintf("#%d", at), Reason{why}})
	if fault.Kind(err) == fault.BadRequest {
		// Whoever is restricted is not there for anybody but their desk.
		return nil, fault.New(unknownCall, "nobody stands there, or it is not yours to see")
	}
	if err != nil {
		return nil, err
	}
	v := personView{Explanation: e, Night: m.NightID}
	for _, c := range e.Contributions {
		v.Timeline = append(v.Timeline, viewAllegation(c))
	}
	slices.SortStableFunc(v.Timeline, func(a, b allegationView) int { return cmp.Compare(b.ReportedAt, a.ReportedAt) })
	for _, c := range e.Case.Rows {
		if c.Role == schemas.RoleSuspect && !c.Counted() {
			v.Aside = append(v.Aside, asideView{c, casefile.Direction(c.Role), meaning(c.Disposition)})
		}
	}
	v.Shared = e.Case.SharedWords()
	v.Withdrew = strings.Join(casefile.Allegations(e.Case.Withdrawn), ", ")
	changes, err := d.ownChanges(r.Context(), m)
	if err != nil {
		return nil, err
	}
	taskings, err := d.taskingsAt(r.Context(), m, changes)
	if t := taskings[e.Suspect.Position]; t != nil && sees(p, t) {
		v.Tasking = t
	}
	return v, err
}

func viewAllegation(c pipeline.Explained) allegationView {
	v := allegationView{Explained: c, Percent: fmt.Sprintf("%.1f %%", 100*c.Share)}
	v.Recency = fmt.Sprintf("%s old: counts %.1f %%", text.Count(c.Age, "day"), 100*float64(c.RecencyPPM)/schemas.PPM)
	if c.Age == 0 {
		v.Recency = "of that day: counts in full"
	}
	switch {
	case c.FrequencyPPM == 0:
		v.Frequency = "set aside by the model: it adds nothing"
	case c.FrequencyPPM != schemas.PPM:
		v.Frequency = fmt.Sprintf("times %.1f, for there are others", float64(c.FrequencyPPM)/schemas.PPM)
	}
	if v.Without = "not known"; c.Without != nil {
		v.Without = fmt.Sprintf("position %s", text.Number(*c.Without))
	}
	return v
}

// meaning says what a disposition means.
func meaning(name string) string {
	for i := range schemas.DispositionCount {
		if d := schemas.Disposition(i); d.String() == name {
			return report.Meaning(d)
		}
	}
	return name
}

// searchPage is where somebody is looked for.
func (d *Desk) searchPage(_ *http.Request, _ Person) (any, error) { return nil, nil }

// search leads to a tasking, or to a person of the current stack's night. Who was sought by id stands in no address and
// no log.
func (d *Desk) search(r *http.Request, p Person) (next string, err error) {
	switch r.PostFormValue("by") {
	case "reference":
		r.SetPathValue("tasking", strings.ToLower(schemas.TrimSpace(r.PostFormValue("reference"))))
		t, err := d.known(r, p)
		if err != nil {
			return "", err
		}
		return "/taskings/" + t.Reference, nil
	case "position":
		r.SetPathValue("position", strings.TrimPrefix(schemas.TrimSpace(r.PostFormValue("position")), "#"))
		at, ok := position(r)
		if !ok {
			return "", fault.New(fault.BadRequest, "position: give a whole number from 1 on")
		}
		m, err := d.currentNight(r)
		return personPath(m.NightID, at), err
	case "id":
		return d.searchByID(r, p)
	}
	return "", fault.New(fault.BadRequest, "choose what to search by")
}

// currentNight is the night of the stack that teams work on.
func (d *Desk) currentNight(r *http.Request) (schemas.Manifest, error) {
	if err := d.takeCurrent(r); err != nil {
		return schemas.Manifest{}, err
	}
	m, _, err := d.find(r)
	return m, err
}

func (d *Desk) searchByID(r *http.Request, p Person) (next string, err error) {
	asked := Question{schemas.TrimSpace(r.PostFormValue("suspect")), Reason{schemas.TrimSpace(r.PostFormValue("why"))}}
	if err := asked.check(); err != nil {
		return "", err
	}
	if asked.Suspect == "" {
		return "", fault.New(fault.BadRequest, "suspect: give the id")
	}
	m, err := d.currentNight(r)
	if err != nil {
		return "", err
	}
	n, err := d.Night(d.To.Store, m)
	if err != nil {
		return "", err
	}
	row, err := n.Find(r.Context(), m, asked.Suspect)
	if err == nil && row.Restricted && !access.Speaks(p.Roles, teams.RestrictedDesk) {
		err = fault.Errorf(fault.BadRequest, "nobody of that name is in the ranking of %s, revision %d", m.AsOf, m.Revision)
	}
	if fault.Kind(err) == fault.BadRequest { // that somebody is not there is an answer too
		d.refused(r, p, access.Ask, object(r), err)
	}
	if err != nil {
		return "", err
	}
	next = personPath(m.NightID, row.Position)
	cookie, err := r.Cookie(d.cookieName())
	if err != nil {
		return "", err
	}
	d.sessions.justify(cookie.Value, next, asked.Why)
	did := fmt.Sprintf("found position %d by id", row.Position)
	return next, d.note(r.Context(), p, audit.Consultation, did, object(r), asked.Why, false)
}
