package pack

import (
	"fmt"
	"slices"
	"time"

	"harmstack/activities/nights/casefile"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// enquiries are what the suspect's case suggests to ask next, in plain words.
func enquiries(s Suspect, all []numbered) (lines []string) {
	rows := tellable(s)
	if len(rows) == 0 {
		return nil
	}
	f := casefile.Of(s.Ranked.SuspectID, rows)
	for _, c := range f.Counters {
		lines = append(lines, counter(c, all))
	}
	for _, g := range byOther(f.Withdrawn) {
		lines = append(lines, fmt.Sprintf(
			"%s does not support the case: %s. Ask a specialist to meet the victim again, with independent support, and to find out why. "+
				"Do not go to the suspect about it before.", victimOf(g.ID), cited(g.Rows, all)))
	}
	if len(f.Witnessed) > 0 {
		lines = append(lines, fmt.Sprintf(
			"A witness reported %s. Go back to the witness: that account does not hang on the victim's.", cited(f.Witnessed, all)))
	}
	for _, g := range f.Victims {
		reports := map[string]bool{}
		for i := range g.Rows {
			reports[value(g.Rows[i].ReportID)] = true
		}
		if len(reports) > 1 {
			lines = append(lines, fmt.Sprintf("%s is described in %s: %s. Read them side by side: one may bear out another.",
				victimOf(g.ID), text.Count(len(reports), "report"), cited(g.Rows, all)))
		}
	}
	return lines
}

// tellable are the rows of the suspect's case that a team may be told of: none of intelligence, and unless the suspect
// is of the restricted desk none of restricted handling, nor any of somebody whom such a row names (contract, section 8).
func tellable(s Suspect) []schemas.Case {
	restricted := map[string]bool{}
	for i := range s.Case {
		if c := &s.Case[i]; c.Restricted() && c.OtherID != nil {
			restricted[*c.OtherID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(s.Case), func(c schemas.Case) bool {
		hidden := c.Restricted() || c.OtherID != nil && restricted[*c.OtherID]
		return c.PersonID != s.Ranked.SuspectID || schemas.Is(c.Source, schemas.SourceIntelligence) || hidden && !s.Ranked.Restricted
	})
}

// counter tells of a victim who is accused by the suspect.
func counter(c casefile.Counter, all []numbered) string {
	var against, by []schemas.Case
	for _, r := range c.Rows {
		if r.Role == schemas.RoleSuspect {
			against = append(against, r)
		} else {
			by = append(by, r)
		}
	}
	first := map[string]string{
		schemas.RoleSuspect: "The allegation against the suspect came first.",
		schemas.RoleVictim:  "The allegation by the suspect came first.",
		"":                  "Both came at once.",
	}[c.First]
	return fmt.Sprintf("Counter-allegation: %s accuses the suspect in %s, and is accused by the suspect in %s. %s "+
		"Read both before you act, and find out who of the two is afraid of whom.",
		victimOf(c.With), cited(against, all), cited(by, all), first)
}

func victimOf(id string) string {
	if id == "" {
		return "A victim who is not recorded"
	}
	return "Victim " + clean(id)
}

// cited names rows: those of the table by their numbers, others by report and date, with why they do not count.
func cited(rows []schemas.Case, all []numbered) string {
	var inTable []numbered
	var parts []string
	for i := range rows {
		c := &rows[i]
		at := slices.IndexFunc(all, func(a numbered) bool { return schemas.Is(c.AllegationID, a.AllegationID) })
		if at >= 0 && c.Role == schemas.RoleSuspect {
			inTable = append(inTable, all[at])
			continue
		}
		part := "report " + orElse(c.ReportID, "not recorded")
		if c.ReportedAt != nil {
			part += " of " + longDate(time.UnixMicro(*c.ReportedAt))
		}
		if c.Role == schemas.RoleSuspect && !c.Counted() {
			part += " (not counted: " + words(c.Disposition) + ")"
		}
		parts = append(parts, part)
	}
	if len(inTable) > 0 {
		slices.SortFunc(inTable, func(a, b numbered) int { return a.no - b.no })
		parts = append([]string{those(inTable)}, parts...)
	}
	return and(parts)
}

// byOther sorts rows by who is named beside the suspect, in the order in which each first appears.
func byOther(rows []schemas.Case) (list []casefile.Shared) {
	for _, r := range rows {
		i := slices.IndexFunc(list, func(g casefile.Shared) bool { return g.ID == value(r.OtherID) })
		if i < 0 {
			i = len(list)
			list = append(list, casefile.Shared{ID: value(r.OtherID)})
		}
		list[i].Rows = append(list[i].Rows, r)
	}
	return list
}
