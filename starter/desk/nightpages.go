package desk

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"harmstack/activities/nights"
	"harmstack/activities/nights/report"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// nightPages are the pages about nights.
var nightPages = []page{
	{"/{$}", nil, "tonight", "Tonight", (*Desk).tonight, nil},
	{"/nights", []string{access.Look, access.Audit, access.Operate}, "nights", "Nights", (*Desk).calendar, (*Desk).runNight},
	{"/nights/{as_of}/{revision}", []string{access.Look, access.Audit, access.Operate}, "night", "Night", (*Desk).decision, (*Desk).decideNight},
	{"/nights/{as_of}/{revision}/report", []string{access.Look}, "why", "Report", (*Desk).reportPage, (*Desk).sayWhy},
}

// decisionPage is what an officer sees before deciding: everything that the night says of itself, without anybody's id.
type decisionPage struct {
	Night
	Manifest schemas.Manifest
	// Look is what to look at before deciding.
	Look         []string
	Blocked      bool
	Dispositions []counted
	Revocation   *schemas.Revocation
	Override     *schemas.Decision // an officer asked for one; a second is waited for
	Current      bool
	// MayDecide and MayRevoke: the person's role, and the state of the night, allow it.
	MayDecide, MayRevoke bool
	MayLook              bool // at the people of it
	Own                  bool // the person started it by hand
	UI                   string
}

// counted is a count by its name in the contract, and what it means.
type counted struct {
	Name, What string
	Count      int64
}

// nightOf is a published night as the API shows it.
func (d *Desk) nightOf(ctx context.Context, id schemas.NightID) (*Night, error) {
	m, ref, err := nights.LoadManifest(ctx, d.To.Store, id)
	if err != nil {
		return nil, err
	}
	return d.describe(ctx, m, ref)
}

func (d *Desk) decision(r *http.Request, p Person) (any, error) {
	m, ref, err := d.find(r)
	if err != nil {
		return nil, err
	}
	n, err := d.describe(r.Context(), m, ref)
	if err != nil {
		return nil, err
	}
	v := decisionPage{Night: *n, Manifest: m, Blocked: len(m.Blocked()) > 0, UI: d.inUI("workflows", d.To.DecisionID(m.NightID))}
	v.Own = m.StartedBy.ByHand() && m.StartedBy.Subject != "" && m.StartedBy.Subject == p.Subject
	for i, c := range m.Dispositions {
		v.Dispositions = append(v.Dispositions, counted{schemas.Disposition(i).String(), report.Meaning(schemas.Disposition(i)), c})
	}
	last, err := nights.LastRecord(r.Context(), d.To.Store)
	if err != nil {
		return nil, err
	}
	if last != nil {
		v.Current = last.Manifest.NightID == m.NightID
		for _, taken := range last.Revocations {
			if taken.Manifest.NightID == m.NightID {
				v.Revocation, v.Status = &taken, schemas.Revoked
			}
		}
	}
	if v.Override, err = nights.LoadOverride(r.Context(), d.To.Store, m.NightID); err != nil {
		return nil, err
	}
	bare(v.Override)
	in := report.Page{Manifest: m}
	if m.Profile != nil && !m.Profile.NewestReport.IsZero() {
		in.Distribution.NewestAge = m.AsOf.DaysSince(m.Profile.NewestReport)
	}
	if who, err := d.Teams(); err == nil {
		_, in.RestrictedDesk = who.Restricted()
	}
	officer := allowed(p, []string{access.Approve}) == nil
	v.MayDecide = officer && v.Status == nights.Pending
	v.MayRevoke = officer && v.Current
	if v.MayLook = allowed(p, []string{access.Look}) == nil; v.MayLook {
		// Who they are stands in the report alone; where they stand says nothing to anybody else.
		in.Stack, err = nights.ReadFile[schemas.Ranked](r.Context(), d.To.Store, m, schemas.StackFile)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if models, rows, err := nights.Standings(r.Context(), d.To.Store, m); err == nil {
			in.Models, in.Standings = len(models), rows
		}
	}
	v.Look = report.Look(in)
	return v, nil
}

func (d *Desk) decideNight(r *http.Request, p Person) (next string, err error) {
	defer d.published.forget()
	switch do := r.PostFormValue("do"); do {
	case access.Approve, access.Hold:
		err = access.Allows(p.Roles, do, "")
		if err == nil {
			_, err = d.decided(r, p, DecisionCall{do, r.PostFormValue("manifest_sha256"), r.PostFormValue("reason"), r.PostFormValue("override")})
		}
	case access.Revoke:
		err = access.Allows(p.Roles, do, "")
		if err == nil {
			_, err = d.revoked(r, p, RevocationCall{r.PostFormValue("reason")})
		}
	default:
		err = fault.New(fault.BadRequest, "choose whether to approve or to hold")
	}
	if fault.Kind(err) == fault.NotAllowed {
		d.refused(r, p, r.PostFormValue("do"), object(r), err)
	}
	return r.URL.Path, err
}

// askWhy is the page that asks why somebody looks at people by their ids.
type askWhy struct {
	What, Back string
}

// reportPage is the report of a night, which holds ids.
func (d *Desk) reportPage(r *http.Request, p Person) (any, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	why := d.why(r)
	if why == "" {
		return askWhy{"the report of " + m.AsOf.String(), nightPath(m.NightID)}, nil
	}
	ref, ok := m.Output(schemas.ReportFile)
	if !ok {
		return nil, fault.Errorf(fault.DisposedOf, "night %s has no report", m.NightID)
	}
	page, err := d.To.Store.ReadArtifact(r.Context(), ref)
	if err != nil {
		return nil, nights.WhyMissing(r.Context(), d.To.Store, m.NightID, err)
	}
	return standalone(page), d.note(r.Context(), p, audit.Consultation, "read the report", object(r), why, false)
}

// sayWhy notes why somebody looks at the ids of a page, for as long as the sign-in remembers it.
func (d *Desk) sayWhy(r *http.Request, _ Person) (string, error) {
	asked := Reason{strings.TrimSpace(r.PostFormValue("why"))}
	if err := asked.check(); err != nil {
		return "", err
	}
	cookie, err := r.Cookie(d.cookieName())
	if err != nil {
		return "", err
	}
	d.sessions.justify(cookie.Value, r.URL.Path, asked.Why)
	return r.URL.RequestURI(), nil
}

// why is what the person said, not long ago, of why they look at the ids of this page; empty: nothing.
func (d *Desk) why(r *http.Request) string {
	cookie, err := r.Cookie(d.cookieName())
	if err != nil {
		return ""
	}
	return d.sessions.justified(cookie.Value, r.URL.Path)
}
