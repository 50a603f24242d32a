// Package casefile tells what the rows that name one person say together: which did not count, who alleges the same of
// them the other way round, what allegations share a victim or a report, and whose victims have withdrawn (contract,
// section 7).
//
// It must not know the store, nor how a row came to what it is: it is handed the rows of cases.parquet.
package casefile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"harmstack/schemas"
)

// File is the case of one person. Rows are in time order, those of one instant by allegation, then by row.
type File struct {
	// Rows are all that name the person.
	Rows []schemas.Case `json:"rows"`
	// Counters are people whom the person is alleged to have harmed and who are alleged to have harmed the person, by who
	// is in the first row.
	Counters []Counter `json:"counter_allegations"`
	// Reports and Victims are what several allegations against the person share, or one of theirs with others of the
	// stack, by the first row.
	Reports []Shared `json:"shared_reports"`
	Victims []Shared `json:"shared_victims"`
	// Withdrawn are the allegations against the person whose victim does not support the case, Witnessed those that came
	// from a witness.
	Withdrawn []schemas.Case `json:"withdrawn"`
	Witnessed []schemas.Case `json:"witnessed"`
}

// Counter is what two people allege of each other, or others of the two.
type Counter struct {
	With string         `json:"with"`
	Rows []schemas.Case `json:"rows"`
	// First is what the person is in the first row: the suspect, when the allegation against them came first; empty when
	// both came at one instant.
	First string `json:"first,omitempty"`
}

// Sequence says which of the two allegations came first.
func (c Counter) Sequence() string {
	switch c.First {
	case schemas.RoleSuspect:
		return "the allegation against the suspect came first"
	case schemas.RoleVictim:
		return "the allegation by the suspect came first"
	}
	return "both came at once"
}

// Direction says whose allegation a row is, by what the person is in it.
func Direction(role string) string {
	if role == schemas.RoleVictim {
		return "by the suspect"
	}
	return "against the suspect"
}

// Shared is a report, or a victim, of several allegations.
type Shared struct {
	ID   string         `json:"id"`
	Rows []schemas.Case `json:"rows"` // of the person
	// Others are further people of whom the same is alleged, sorted: as far as their rows are at hand.
	Others []string `json:"others,omitempty"`
}

// Allegations are the ids of rows, a dash for one without.
func Allegations(rows []schemas.Case) (list []string) {
	for _, c := range rows {
		if c.AllegationID == nil {
			list = append(list, "-")
			continue
		}
		list = append(list, *c.AllegationID)
	}
	return list
}

// SharedWords say which reports and victims several allegations share, each without a full stop.
func (f File) SharedWords() (list []string) {
	for _, kind := range []struct {
		name string
		all  []Shared
	}{{"Report", f.Reports}, {"Victim", f.Victims}} {
		for _, s := range kind.all {
			line := fmt.Sprintf("%s %s: %s", kind.name, s.ID, strings.Join(Allegations(s.Rows), ", "))
			if len(s.Others) > 0 {
				line += "; also alleged of others of the stack: " + strings.Join(s.Others, ", ")
			}
			list = append(list, line)
		}
	}
	return list
}

// Of is the case of a person, among the rows of any people. Versions of an allegation that do not stand, and rows that
// cannot be read, are in Rows alone.
func Of(person string, all []schemas.Case) File {
	f := File{}
	var against, by, others []schemas.Case
	for _, c := range all {
		switch {
		case c.PersonID == person:
			f.Rows = append(f.Rows, c)
		case c.Role == schemas.RoleSuspect && Stands(&c):
			others = append(others, c)
		}
	}
	slices.SortFunc(f.Rows, inTime)
	for _, c := range f.Rows {
		switch {
		case !Stands(&c):
		case c.Role == schemas.RoleSuspect:
			against = append(against, c)
		default:
			by = append(by, c)
		}
	}
	f.Counters = counters(person, against, by)
	f.Reports = shared(against, others, report)
	f.Victims = shared(against, others, other)
	for _, c := range against {
		if schemas.Is(c.Outcome, schemas.OutcomeWithdrawn) {
			f.Withdrawn = append(f.Withdrawn, c)
		}
		if schemas.Is(c.Source, schemas.SourceWitness) {
			f.Witnessed = append(f.Witnessed, c)
		}
	}
	return f
}

// Stands tells whether a row is the version of its allegation that stays, and can be read.
func Stands(c *schemas.Case) bool {
	return c.Disposition != schemas.Quarantined.String() && c.Disposition != schemas.Superseded.String() &&
		c.Disposition != schemas.Duplicate.String()
}

func inTime(a, b schemas.Case) int {
	return cmp.Or(
		cmp.Compare(value(a.ReportedAt), value(b.ReportedAt)),
		cmp.Compare(value(a.AllegationID), value(b.AllegationID)),
		cmp.Compare(a.Row, b.Row),
		cmp.Compare(a.Role, b.Role),
	)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func report(c *schemas.Case) string { return schemas.TrimSpace(value(c.ReportID)) }
func other(c *schemas.Case) string  { return value(c.OtherID) }

// counters finds who is a victim in the one list and a suspect in the other.
func counters(person string, against, by []schemas.Case) (list []Counter) {
	for _, g := range group(against, other) {
		back := slices.DeleteFunc(slices.Clone(by), func(c schemas.Case) bool { return other(&c) != g.ID })
		if len(back) == 0 || g.ID == person {
			continue
		}
		c := Counter{With: g.ID, Rows: append(slices.Clone(g.Rows), back...)}
		slices.SortFunc(c.Rows, inTime)
		switch cmp.Compare(value(g.Rows[0].ReportedAt), value(back[0].ReportedAt)) {
		case -1:
			c.First = schemas.RoleSuspect
		case 1:
			c.First = schemas.RoleVictim
		}
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b Counter) int { return inTime(a.Rows[0], b.Rows[0]) })
	return list
}

// shared finds what several rows have in common, or one with those of others.
func shared(own, others []schemas.Case, key func(*schemas.Case) string) (list []Shared) {
	for _, g := range group(own, key) {
		for i := range others {
			if key(&others[i]) == g.ID {
				g.Others = append(g.Others, others[i].PersonID)
			}
		}
		slices.Sort(g.Others)
		g.Others = slices.Compact(g.Others)
		if len(g.Rows) > 1 || len(g.Others) > 0 {
			list = append(list, g)
		}
	}
	return list
}

// group sorts rows by what they share, in the order in which each first appears; an empty key shares nothing.
func group(rows []schemas.Case, key func(*schemas.Case) string) (list []Shared) {
	at := map[string]int{}
	for i := range rows {
		k := key(&rows[i])
		if k == "" {
			continue
		}
		n, known := at[k]
		if !known {
			n = len(list)
			at[k] = n
			list = append(list, Shared{ID: k})
		}
		list[n].Rows = append(list[n].Rows, rows[i])
	}
	return list
}
