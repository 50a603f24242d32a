package desk

import (
	"net/http"
	"slices"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
)

// taskingPage is one tasking: where it stands, all that happened to it, and what the person may do about it.
type taskingPage struct {
	*schemas.Tasking
	Stands, Alleged string // in words
	Due             time.Time
	Late            bool
	Story           []digest.Told // the latest first
	// As is, for each thing that may be done now, the team that the person does it for.
	As       map[string]string
	Outcomes []string
	To       []string // whom it can be handed to
	Home     bool     // the team's page is theirs to see
}

func (t taskingPage) title() string { return "Tasking " + t.Reference }

func (d *Desk) taskingOf(r *http.Request, p Person) (any, error) {
	t, err := d.known(r, p)
	if err != nil {
		return nil, err
	}
	page := taskingPage{Tasking: shown(t), Stands: digest.StateText(t), Alleged: digest.FactsText(t.Facts),
		Late: casework.Overdue(t, d.Now()), Story: digest.Story(t), As: map[string]string{}, Outcomes: schemas.Outcomes}
	page.Due, _ = t.Due()
	page.Home = access.Speaks(p.Roles, t.Team) || everything(p) || access.Leads(p.Roles, t.BCU)
	slices.Reverse(page.Story)
	for _, do := range []string{schemas.DoAcknowledge, schemas.DoProgress, schemas.DoClose, schemas.DoTransfer} {
		if team := speaker(p, t, do); team != "" {
			page.As[do] = team
		}
	}
	if page.As[schemas.DoTransfer] != "" {
		who, err := d.Teams()
		if err != nil {
			return nil, err
		}
		for _, party := range who.Owners() {
			if party.Name != t.Team {
				page.To = append(page.To, party.Name)
			}
		}
	}
	return page, d.noteLook(r.Context(), p, "looked at a tasking", object(r))
}

func (d *Desk) answerOnPage(r *http.Request, p Person) (string, error) {
	// Who has handed a tasking over sees it no longer, nor whether a second click did more.
	if team, err := d.handedOver(r, p); err != nil || team != "" {
		return teamPath(team), err
	}
	after, err := d.answeredByForm(r, p)
	if err != nil {
		return "", err
	}
	if !sees(p, after) {
		return teamPath(access.Teams(p.Roles)[0]), nil
	}
	return r.URL.EscapedPath(), nil
}

// handedOver is the team of a person who sends the form again by which they handed the tasking over; else empty.
func (d *Desk) handedOver(r *http.Request, p Person) (team string, err error) {
	if r.PostFormValue("do") != schemas.DoTransfer || !taskingName.MatchString(r.PathValue("tasking")) {
		return "", nil
	}
	t, err := casework.History(r.Context(), d.To.Store, r.PathValue("tasking"))
	if err != nil || t == nil || sees(p, t) {
		return "", err
	}
	for _, e := range slices.Backward(t.Events) {
		if e.Kind == schemas.EventTransferred && e.By == p.Name && access.Speaks(p.Roles, e.From) &&
			teams.Slug(e.Team) == teams.Slug(r.PostFormValue("to")) {
			return e.From, nil
		}
	}
	return "", nil
}

// packPage is the pack of a tasking, which holds ids.
func (d *Desk) packPage(r *http.Request, p Person) (any, error) {
	t, err := d.known(r, p)
	if err != nil {
		return nil, err
	}
	why := d.why(r)
	if why == "" {
		return askWhy{"the pack of tasking " + t.Reference, "/taskings/" + t.Reference}, nil
	}
	pack, err := d.packOf(r, p, why)
	if err != nil {
		return nil, err
	}
	return standalone(pack.HTML), nil
}

func (d *Desk) whyPack(r *http.Request, p Person) (string, error) {
	if _, err := d.known(r, p); err != nil {
		return "", err
	}
	return d.sayWhy(r, p)
}
