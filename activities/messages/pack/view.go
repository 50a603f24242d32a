package pack

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/text"
)

const (
	// oldAge is the age in days above which an allegation is marked old.
	oldAge = 180
	// nonRecent is the time from offence to report, in microseconds, above which an allegation is
	// non-recent (contract, section 6).
	nonRecent = int64(365 * 24 * time.Hour / time.Microsecond)
)

// What both forms of the pack say in the same words.
const (
	protected = "Protected: this attachment names suspects, victims and crime reports by their ids. Handle it as you handle crime reports."
	nobody    = "None of the suspects on the stack is yours."
	legend    = "Largest contribution first; the other parts name an allegation by its number here. Recency is the factor by which age lowers the harm days; share is the part of the score; old: reported more than 180 days before this night."
	admission = "Whether allegations are admissible together (bad character, Criminal Justice Act 2003, section 101) is for investigators and prosecutors to decide. What stands here is only what the records have in common."
)

var closing = []string{
	"Everything here comes from allegations. It is not a finding of guilt and not a prediction.",
	"Nobody is on the stack on police intelligence alone.",
	"Handle this pack as you handle crime reports.",
}

// harmDays says by which edition of the index harm is counted.
func harmDays(edition string) string {
	return "Harm days: Cambridge Crime Harm Index (CCHI), edition " + clean(edition) +
		", the sentencing guideline's starting point without previous convictions, in days of imprisonment."
}

// page is what both forms of the pack show. Every value from an extract is clean.
type page struct {
	Team, Date, Revision, Approved, Summary string
	Protected, Legend, Admission            string
	Closing                                 []string
	Suspects                                []entry
}

// entry is one suspect, in plain words.
type entry struct {
	Position, Reference, Why string
	Who, Flags               []pair
	News, Linked, Together   []string
	Enquiries                []string
	Allegations              []row
}

type pair struct{ Name, Text string }

// row is one allegation of the table.
type row struct {
	No, Reported, Committed, Offence, Code, Borough, Harm, Age, Recency, Share string
	Outcome, Source, Weight, Report, Victim, Allegation                        string
	Old                                                                        bool
}

func newPage(in Input) page {
	p := page{
		Team: clean(in.Team), Date: longDate(in.Night.AsOf.Start()), Revision: strconv.Itoa(in.Night.Revision),
		Approved: longDate(in.Approved) + " at " + in.Approved.In(schemas.London).Format("15:04"),
		Summary:  text.Count(len(in.Suspects), "suspect"), Protected: protected, Legend: legend, Admission: admission,
		Closing: append(slices.Clone(closing), harmDays(in.Edition)),
	}
	if len(in.Suspects) == 0 {
		p.Summary = nobody
	}
	suspects := slices.Clone(in.Suspects)
	slices.SortStableFunc(suspects, func(a, b Suspect) int {
		return cmp.Or(cmp.Compare(a.Ranked.Position, b.Ranked.Position), cmp.Compare(a.Reference, b.Reference))
	})
	for _, s := range suspects {
		p.Suspects = append(p.Suspects, newEntry(s))
	}
	return p
}

func newEntry(s Suspect) entry {
	rows := slices.Clone(s.Contributions)
	slices.SortStableFunc(rows, func(a, b schemas.Contribution) int {
		return cmp.Or(-cmp.Compare(a.Base, b.Base), cmp.Compare(a.AllegationID, b.AllegationID))
	})
	all := make([]numbered, len(rows))
	for i := range rows {
		all[i] = numbered{&rows[i], i + 1}
	}
	e := entry{
		Position: text.Number(s.Ranked.Position), Reference: clean(s.Reference), Who: who(s), Why: why(s, all), Flags: flags(s, all),
		Linked: linked(all), Together: together(all), Enquiries: enquiries(s, all),
	}
	for _, n := range s.News {
		e.News = append(e.News, clean(n))
	}
	for _, a := range all {
		e.Allegations = append(e.Allegations, newRow(a))
	}
	return e
}

func who(s Suspect) []pair {
	owner := orElse(s.Ranked.OwnerBorough, "the central desk")
	if bcu := value(s.Ranked.OwnerBCU); bcu != "" {
		owner += " (" + clean(bcu) + ")"
	}
	place := " on the whole stack"
	if s.Below > 0 {
		place = " in the ranking, below the stack"
	}
	added := "none added"
	if len(s.Specialists) > 0 {
		var names []string
		for _, name := range slices.Sorted(slices.Values(s.Specialists)) {
			names = append(names, clean(name))
		}
		added = and(names)
	}
	return []pair{
		{"Suspect id", clean(s.Ranked.SuspectID)},
		{"Position", text.Number(s.Ranked.Position) + place},
		{"Owner", owner},
		{"State", orElse(&s.State, "not recorded")},
		{"Specialists", added},
	}
}

// why says in one paragraph what put the suspect on the stack.
func why(s Suspect, all []numbered) string {
	if s.Below > 0 {
		return fmt.Sprintf(
			"Not on the stack any more, and tasked still: until below position %s. "+
				"The allegations stand in the last pack from the stack.",
			text.Number(s.Below),
		)
	}
	if len(all) == 0 {
		return "No allegation was handed over with this suspect: ask the central desk."
	}
	first, sum := all[0].ReportedAt, int64(0)
	for _, a := range all {
		first, sum = min(first, a.ReportedAt), sum+tenths(a.HarmDays)
	}
	against, stand, score := ", no victim recorded,", "They stand", "they score"
	if n := len(groups(all, victim)); n > 0 {
		against = " against " + text.Count(n, "victim")
	}
	top := all[0]
	part := fmt.Sprintf("%.0f %%", 100*top.Share)
	switch {
	case len(all) == 1:
		part, stand, score = "All", "It stands", "it scores"
	case top.Share >= 0.995:
		part = "Nearly all"
	case top.Share < 0.005:
		part = "Less than 1 %"
	}
	when := text.Count(top.Age, "day") + " before this night"
	if top.Age == 0 {
		when = "on the day of this night"
	}
	return fmt.Sprintf(
		"%s in %s%s since %s. %s for %s%s in the Cambridge Crime Harm Index; with recency and frequency counted %s %s. "+
			"%s of the score comes from %s, reported %s (allegation 1).",
		text.Count(
			len(all),
			"allegation",
		),
		text.Count(len(groups(all, report)), "report"),
		against,
		longDate(time.UnixMicro(first)),
		stand,
		text.CountDays(float64(sum)/schemas.TenthsPerDay, "harm day"),
		years(sum),
		score,
		text.CountDays(s.Ranked.ScoreDays, "day"),
		part,
		title(top.Offence),
		when,
	)
}

// flags are what to know before anything is done, each with what to do about it.
func flags(s Suspect, all []numbered) (list []pair) {
	add := func(when bool, name, format string, args ...any) {
		if when {
			list = append(list, pair{name, fmt.Sprintf(format, args...)})
		}
	}
	// about flags the allegations that something holds for.
	about := func(name, format string, holds func(numbered) bool) {
		some := slices.DeleteFunc(slices.Clone(all), func(a numbered) bool { return !holds(a) })
		add(len(some) > 0, name, format, those(some))
	}
	add(
		s.Ranked.AlsoVictim,
		"Also recorded as a victim",
		"within the last year. Look for a counter-allegation before you act.",
	)
	switch status := value(s.Ranked.SuspectStatus); status {
	case "in_custody":
		add(true, "In custody", "by the latest record. Find out where and until when before you act.")
	case "on_bail":
		add(
			true,
			"On bail",
			"by the latest record. Check the conditions and the date of return, and that the victims know them.",
		)
	case "at_large":
		add(
			true,
			"At large",
			"by the latest record, neither in custody nor on bail. Check whether an arrest is outstanding.",
		)
	case "", "unknown":
		add(
			true,
			"Custody not known",
			"the records do not say whether in custody, on bail or at large. Find out first.",
		)
	default:
		add(true, "Status", "%s, by the latest record. Check it before you act.", words(status))
	}
	about("Charged already", "for %s. Speak to the officer in the case and the prosecutor before you act.",
		func(a numbered) bool { return a.Outcome == "charged" })
	about("Convicted already", "for %s. Check the sentence and any order made with it.",
		func(a numbered) bool { return a.Outcome == "convicted" })
	var places []string
	elsewhere := groups(all, func(c *schemas.Contribution) string {
		if value(c.Borough) == value(s.Ranked.OwnerBorough) {
			return ""
		}
		return value(c.Borough)
	})
	slices.SortFunc(elsewhere, func(a, b group) int { return cmp.Compare(a.key, b.key) })
	for _, g := range elsewhere {
		places = append(places, clean(g.key)+" ("+those(g.members)+")")
	}
	add(len(places) > 0, "In other boroughs", "%s. Agree with them who leads before anyone acts.", and(places))
	about(
		"Non-recent",
		"%s came to notice more than a year after the alleged offence. Seek early what time removes, such as records, devices and witnesses.",
		func(a numbered) bool { return a.CommittedAt != nil && a.ReportedAt-*a.CommittedAt > nonRecent },
	)
	about(
		"Not reported by a victim",
		"%s came from a witness or third party, without a victim's account on the record. Plan how a trained officer will seek one.",
		func(a numbered) bool { return a.Source == "witness" || a.Source == "third_party" },
	)
	abuse := slices.DeleteFunc(
		slices.Clone(all),
		func(a numbered) bool { return a.DomesticAbuse == nil || !*a.DomesticAbuse },
	)
	add(
		len(abuse) > 0,
		"Domestic abuse",
		"flagged in %s of %s: %s. Check each victim's safety plan, and whether a protection notice or order is needed.",
		text.Number(len(abuse)),
		text.Count(len(all), "allegation"),
		those(abuse),
	)
	add(
		s.InTie,
		"Tie at the edge",
		"the edge of the stack falls inside this tie: somebody with the same score is not on it. Go by the allegations, not by the place.",
	)
	add(
		s.Ranked.TieSize > 1,
		"Tied rank",
		"same score as %s; victims, allegations and the last report settle the order. Read nothing into the place within the tie.",
		text.Count(s.Ranked.TieSize-1, "other suspect"),
	)
	return list
}

func newRow(a numbered) row {
	r := row{
		No: text.Number(a.no), Reported: shortDate(a.ReportedAt), Offence: clean(a.Offence), Code: clean(a.OffenceCode),
		Borough: orElse(a.Borough, "not recorded"), Harm: text.Tenths(tenths(a.HarmDays)), Age: text.Number(a.Age), Old: a.Age > oldAge,
		Recency: fmt.Sprintf("%.3f", float64(a.RecencyPPM)/schemas.PPM), Share: percent(a.Share),
		Outcome: words(a.Outcome), Source: words(a.Source), Report: clean(a.ReportID),
		Victim: orElse(a.VictimID, "not recorded"), Allegation: clean(a.AllegationID),
	}
	if a.CommittedAt != nil {
		r.Committed = shortDate(*a.CommittedAt)
	}
	if class := value(a.OffenceClass); class != "" {
		r.Code += ", class " + clean(class)
	}
	switch a.WeightRule {
	case reference.ByLowest:
		r.Weight = "lowest: the record does not say how serious it was, so the lesser weight counts"
	case reference.BySupplement:
		r.Weight = "supplement: the offence is newer than the index, so its weight comes from the supplement to it"
	}
	return r
}

// linked says which allegations share a report or a victim.
func linked(all []numbered) (lines []string) {
	for _, g := range groups(all, report) {
		if len(g.members) > 1 {
			lines = append(lines, fmt.Sprintf("Same report %s: %s.", clean(g.key), those(g.members)))
		}
	}
	for _, g := range groups(all, victim) {
		if n := len(groups(g.members, report)); n > 1 {
			lines = append(
				lines,
				fmt.Sprintf(
					"Same victim %s: %s. This victim recurs, in %s.",
					clean(g.key),
					those(g.members),
					text.Count(n, "report"),
				),
			)
		} else if len(g.members) > 1 {
			lines = append(lines, fmt.Sprintf("Same victim %s: %s, in one report.", clean(g.key), those(g.members)))
		}
	}
	switch {
	case len(all) == 1:
		lines = append(lines, "There is only one allegation.")
	case len(lines) == 0:
		lines = append(lines, "Each allegation is in a report of its own, and no victim is named twice.")
	}
	unnamed := slices.DeleteFunc(slices.Clone(all), func(a numbered) bool { return victim(a.Contribution) != "" })
	if len(unnamed) > 0 {
		lines = append(lines, fmt.Sprintf("No victim is recorded in %s.", those(unnamed)))
	}
	return lines
}

// together says which allegations may be evidence for one another.
func together(all []numbered) []string {
	if lines := append(alike(all), repeated(all)...); len(lines) > 0 {
		return lines
	}
	return []string{"No class of offence is alleged against two victims, and no offence twice against one."}
}

// alike finds allegations of one class against different victims.
func alike(all []numbered) (lines []string) {
	named := slices.DeleteFunc(slices.Clone(all), func(a numbered) bool { return victim(a.Contribution) == "" })
	find := func(kind string, key func(*schemas.Contribution) string, known func(group) bool) {
		for _, g := range groups(named, key) {
			n := len(groups(g.members, victim))
			if n < 2 || known(g) {
				continue
			}
			same := ""
			titles := groups(g.members, func(c *schemas.Contribution) string { return c.Offence })
			if len(titles) == 1 {
				same = ", " + title(titles[0].key)
			}
			lines = append(
				lines,
				fmt.Sprintf(
					"%s %s%s, against %s: %s.",
					kind,
					clean(g.key),
					same,
					text.Count(n, "victim"),
					those(g.members),
				),
			)
		}
	}
	find("Offence class", class, func(group) bool { return false })
	// One offence class within a Home Office class has just been named.
	find("Home Office class", homeOfficeClass, func(g group) bool {
		first := class(g.members[0].Contribution)
		return first != "" &&
			!slices.ContainsFunc(g.members, func(a numbered) bool { return class(a.Contribution) != first })
	})
	return lines
}

// repeated finds one offence alleged again against one victim.
func repeated(all []numbered) (lines []string) {
	for _, g := range groups(all, func(c *schemas.Contribution) string {
		if victim(c) == "" {
			return ""
		}
		return c.OffenceCode + "\x00" + victim(c)
	}) {
		if a := g.members[0]; len(g.members) > 1 {
			lines = append(lines, fmt.Sprintf("%s (%s) against one victim, %s: %s. This may show a course of conduct.",
				upperFirst(title(a.Offence)), clean(a.OffenceCode), clean(victim(a.Contribution)), those(g.members)))
		}
	}
	return lines
}

// numbered is an allegation and its number in the suspect's table.
type numbered struct {
	*schemas.Contribution
	no int
}

// group is the allegations that share something.
type group struct {
	key     string
	members []numbered
}

// groups sorts allegations by what they share, in the order in which each first appears; an empty key
// shares nothing.
func groups(all []numbered, key func(*schemas.Contribution) string) (list []group) {
	at := map[string]int{}
	for _, a := range all {
		k := key(a.Contribution)
		if k == "" {
			continue
		}
		i, known := at[k]
		if !known {
			i = len(list)
			at[k] = i
			list = append(list, group{key: k})
		}
		list[i].members = append(list[i].members, a)
	}
	return list
}

func report(c *schemas.Contribution) string { return c.ReportID }
func victim(c *schemas.Contribution) string { return value(c.VictimID) }
func class(c *schemas.Contribution) string  { return value(c.OffenceClass) }

// homeOfficeClass is the first three digits of the code.
func homeOfficeClass(c *schemas.Contribution) string {
	class, _, _ := strings.Cut(c.OffenceCode, "/")
	return class
}

// those names allegations by their numbers: allegations 1, 2 and 5 to 9.
func those(list []numbered) string {
	var parts []string
	for i := 0; i < len(list); i++ {
		run := i
		for run+1 < len(list) && list[run+1].no == list[run].no+1 {
			run++
		}
		part := text.Number(list[i].no)
		if run > i+1 {
			part += " to " + text.Number(list[run].no)
			i = run
		}
		parts = append(parts, part)
	}
	if len(list) == 1 {
		return "allegation " + parts[0]
	}
	return "allegations " + and(parts)
}
