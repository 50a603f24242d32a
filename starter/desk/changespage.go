package desk

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/nights/report"
	"harmstack/activities/pipeline/compare"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// changesView is the page of what changed between two nights.
type changesView struct {
	Night   schemas.NightID
	Against string // the other, as chosen; empty: the one approved before
	Before  *schemas.NightID
	Others  []string
	Counts  schemas.ChangeCount
	// Groups are those who entered, left and moved.
	Groups     []changeGroup
	Restricted int
	// Unexplained are those of whom one night's allegations are not known.
	Unexplained int
	Lacking     string
	Why, Query  string
}

type changeGroup struct {
	Name string
	Rows []changeRow
}

// changeRow is one suspect. Page is that of the person in the night where they are ranked, Label what it is called;
// empty: in neither.
type changeRow struct {
	Suspect     string
	From, To    *int64
	Words       string
	Page, Label string
}

// compared is what changed between a night and another.
type compared struct {
	before *schemas.NightID // nil: none was approved before
	list   []compare.Change
	// lacking: the other night is gone, and only what the night itself wrote is known.
	lacking string
}

// since names the other night.
func (c *compared) since() string {
	if c.before == nil {
		return "the beginning"
	}
	return c.before.String()
}

// words say why a suspect's place changed.
func (c *compared) words(one compare.Change, ids bool) string {
	why := one.Words(ids)
	if c.lacking != "" || one.Before == nil && one.After == nil {
		why = ""
	}
	if one.Reason != nil {
		reason := report.WhyLeft(*one.Reason)
		if why == "" {
			return reason
		}
		return reason + "; " + why
	}
	return why
}

// changesOf compares a night with the one that the address names, or with the stack approved before it.
func (d *Desk) changesOf(r *http.Request, m schemas.Manifest) (*compared, error) {
	ctx := r.Context()
	n := compare.Nights{Basis: func(m schemas.Manifest) (*reference.Tables, schemas.Model, error) {
		night, err := d.Night(d.To.Store, m)
		return night.Tables, night.Model, err
	}}
	c := &compared{}
	against := r.URL.Query().Get("against")
	if against != "" {
		id, err := d.publishedAs(ctx, against)
		if err != nil {
			return nil, err
		}
		c.before = &id
	} else {
		own, err := d.ownChanges(ctx, m)
		if err != nil {
			return nil, err
		}
		n.List = append([]schemas.Change{}, own...)
		if m.Previous != nil {
			c.before = &m.Previous.NightID
		}
	}
	plain := func(why string) *compared {
		c.lacking = why
		for _, one := range n.List {
			c.list = append(c.list, compare.Change{Change: one})
		}
		return c
	}
	if c.before == nil {
		return plain("No stack was approved before this night, so that everybody on it is new."), nil
	}
	was, _, err := nights.LoadManifest(ctx, d.To.Store, *c.before)
	if err == nil {
		n.Before, err = compare.Load(ctx, d.To.Store, was)
	}
	if err == nil {
		n.After, err = compare.Load(ctx, d.To.Store, m)
	}
	if err != nil {
		if against != "" || !gone(err) {
			return nil, err
		}
		return plain("The night before is disposed of, so that no reasons of a suspect's own can be told."), nil
	}
	c.list, err = n.Changes(ctx)
	return c, err
}

// publishedAs is a published night by its name.
func (d *Desk) publishedAs(ctx context.Context, name string) (schemas.NightID, error) {
	all, err := d.allNights(ctx)
	if err != nil {
		return schemas.NightID{}, err
	}
	for _, n := range all {
		if n.ID.String() == name {
			return n.ID, nil
		}
	}
	return schemas.NightID{}, errOther
}

func (d *Desk) changesPage(r *http.Request, p Person) (any, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	c, err := d.changesOf(r, m)
	if err != nil {
		return nil, err
	}
	v := changesView{Night: m.NightID, Against: r.URL.Query().Get("against"), Before: c.before, Lacking: c.lacking,
		Why: d.why(r)}
	if v.Against != "" {
		v.Query = "?" + url.Values{"against": {v.Against}}.Encode()
	}
	all, err := d.allNights(r.Context())
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.ID != m.NightID && !n.Disposed {
			v.Others = append(v.Others, n.ID.String())
		}
	}
	hide := !access.Speaks(p.Roles, teams.RestrictedDesk)
	kinds := map[string]*changeGroup{}
	v.Groups = []changeGroup{{Name: "Entered"}, {Name: "Left"}, {Name: "Moved"}}
	for i, kind := range []string{schemas.ChangeEntered, schemas.ChangeLeft, schemas.ChangeMoved} {
		kinds[kind] = &v.Groups[i]
	}
	var shown []schemas.Change
	for _, one := range c.list {
		if one.Restricted && hide {
			v.Restricted++
			continue
		}
		shown = append(shown, one.Change)
		group := kinds[one.Kind]
		if group == nil {
			continue
		}
		if c.lacking == "" && !one.Explained {
			v.Unexplained++
		}
		group.Rows = append(group.Rows, c.row(one, m.NightID, v.Why != ""))
	}
	v.Counts = nights.CountChanges(shown)
	did := "looked at the changes since " + c.since()
	return v, d.note(r.Context(), p, audit.Consultation, did+unnamed(v.Why), object(r), v.Why, false)
}

func (c *compared) row(one compare.Change, night schemas.NightID, ids bool) changeRow {
	row := changeRow{From: one.Previous, To: one.Position, Words: c.words(one, ids)}
	if ids {
		row.Suspect = one.SuspectID
	}
	page := func(id schemas.NightID, position int64) {
		row.Page, row.Label = personPath(id, position), fmt.Sprintf("position %d of %s", position, id)
	}
	switch {
	case one.Position != nil:
		page(night, *one.Position)
	case one.After != nil:
		page(night, one.After.Position)
	case c.before != nil && one.Previous != nil:
		page(*c.before, *one.Previous)
	}
	row.Words = cmp.Or(row.Words, "–")
	return row
}
