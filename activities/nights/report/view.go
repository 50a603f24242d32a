package report

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// view is the page in the words and figures that the template prints.
type view struct {
	Page
	Style     template.CSS
	StyleHash string

	AsOf, From, Previous string
	HalfLife             string
	CutScore             float64
	Tiles                []tile
	Look                 []string
	Rows                 []row
	Links                []link
	Left                 []departure
	LeftWhy              []share
	Entered, Up, Down    int64

	Histogram, Concentration, Edge chart
	Held                           []held
	Offences, Ages, Reasons        []share
	Owners                         []owned
	Fall                           []fall
	Blind                          []unseen
	InSum                          int64
	Tables                         []schemas.Named
}

// tile is one key figure.
type tile struct{ Figure, What string }

// row is one suspect of the stack.
type row struct {
	schemas.Ranked
	Change, Kind string
	Last, Owner  string
	BCU          string
	Notes        []string
}

// departure is one suspect who left the stack.
type departure struct {
	Position  int64
	SuspectID string
	Days      float64
	Why       string
}

// share is one line of a list with a bar: Width is in hundredths of the longest.
type share struct {
	Name  string
	Count int64
	Of    string
	Width float64
}

// held is the share of harm that the first of the ranking hold.
type held struct {
	Who      string
	Suspects int64
	Share    string
}

// owned is one borough: its suspects on the stack and in the ranking.
type owned struct {
	Name, BCU        string
	Stack, Ranked    int64
	StackBar, AllBar float64
	HarmDays         string
}

// unseen is what is left out for one reason.
type unseen struct {
	Name, What, Field, Codes, Boroughs string
	Rows                               int64
	HarmDays                           string
	Enter                              string // how many would enter the stack; a dash: nobody can, or nobody asked
}

// fall is one step from the rows read to those scored: the bar begins at Start, in hundredths.
type fall struct {
	Name, What   string
	Count        int64
	Of           string
	Start, Width float64
	Total        bool
}

// whys are the reasons for leaving the stack, in plain words.
var whys = map[string]string{
	schemas.LeftOutranked: "still ranked, but others now stand higher",
	schemas.LeftAgedOut:   "every allegation is now older than the window",
	schemas.LeftMerged:    "the id was merged into another, which stands for both now",
	schemas.LeftNoScore:   "the allegations no longer count: cleared, withdrawn, reclassified, or the suspect has died",
}

// rules say in plain words what became of the rows of each disposition.
var rules = [schemas.DispositionCount]string{
	schemas.Quarantined:      "could not be read as the contract asks; kept aside with the reason",
	schemas.Superseded:       "an older version of a row that was updated since",
	schemas.Duplicate:        "the same row again",
	schemas.AfterAsOf:        "reported after this date",
	schemas.OutsideWindow:    "reported before the window",
	schemas.NoNamedSuspect:   "no suspect is named",
	schemas.IntelligenceOnly: "police intelligence alone includes nobody",
	schemas.PoliceDetected:   "found by police activity only, which the index leaves out",
	schemas.Cleared:          "no crime, or acquitted",
	schemas.Transferred:      "passed to another force, whose it is now",
	schemas.VictimSexUnknown: "it would be violence against women and girls if the victim were female; nobody says",
	schemas.NotVAWG:          "not violence against women and girls",
	schemas.UnscoredOffence:  "it is or may be, but no single weight follows from the tables",
	schemas.SuspectUnder18:   "the suspect was under 18",
	schemas.SuspectDeceased:  "the suspect has died",
	schemas.Scored:           "counted for a suspect",
}

func newView(p Page) *view {
	m, d := p.Manifest, p.Distribution
	v := &view{Page: p, AsOf: longDate(m.AsOf), From: longDate(m.AsOf.AddDays(1 - p.Model.WindowDays)),
		HalfLife: text.Count(p.Model.HalfLifeDays, "day"), CutScore: float64(m.Cut.Score) / schemas.ScorePerDay,
		Links: slopes(p.Changes), Histogram: histogram(d.Scores, float64(m.Cut.Score)/schemas.ScorePerDay),
		Concentration: concentration(d), Edge: edge(d, int64(len(p.Stack))),
		Tables: []schemas.Named{m.Edition, m.Rules, m.Supplement, m.Resolutions, m.Model}}
	if m.Previous != nil {
		v.Previous = longDate(m.Previous.AsOf)
	}
	v.addStack()
	v.addLeft()
	v.addHeld()
	v.addOffences()
	v.addOwners()
	v.addFall()
	v.addBlind()
	v.addLook()
	return v
}

func (v *view) addStack() {
	changes := map[string]schemas.Change{}
	for _, c := range v.Changes {
		changes[c.SuspectID] = c
	}
	var allegations int64
	distinct := map[string]bool{}
	for _, c := range v.Contributions {
		if c.VictimID != nil {
			distinct[*c.VictimID] = true
		}
	}
	standing := map[string]string{}
	for _, s := range v.Standings {
		standing[s.SuspectID] = s.Standing
		if s.Standing == schemas.Fringe {
			standing[s.SuspectID] = fmt.Sprintf("%s: %d of %s", schemas.Fringe, s.Models, text.Count(v.Models, "model"))
		}
	}
	for _, r := range v.Stack {
		allegations += r.Allegations
		if r.SumRank <= v.Model.Depth {
			v.InSum++
		}
		if r.Restricted {
			v.moved(changes[r.SuspectID]) // counted, and not shown
			continue
		}
		e := row{Ranked: r, Last: shortDate(r.LastReported)}
		e.Owner, e.BCU = owner(&r)
		e.Change, e.Kind = v.moved(changes[r.SuspectID])
		e.Notes = notes(r)
		if v.Models > 0 {
			e.Notes = append(e.Notes, cmp.Or(standing[r.SuspectID], fmt.Sprintf("%s: 0 of %s", schemas.Fringe, text.Count(v.Models, "model"))))
		}
		v.Rows = append(v.Rows, e)
	}
	on := int64(len(v.Stack)) - v.Manifest.Cut.Contained
	v.Tiles = []tile{
		{text.Number(on), text.Noun(on, "suspect") + " on the stack"},
		{text.Number(v.Manifest.Suspects), text.Noun(v.Manifest.Suspects, "suspect") + " ranked"},
		{text.Number(allegations), text.Noun(allegations, "allegation") + " against those on the stack"},
		{text.Number(len(distinct)), text.Noun(len(distinct), "victim, counted once", "victims, each counted once")},
		{percent(v.stackTenths(), v.Distribution.HarmTenths), "of all alleged harm"},
	}
	if v.Previous != "" {
		v.Tiles = append(v.Tiles, tile{text.Number(v.Entered), "new since " + v.Previous})
	}
}

func (v *view) stackTenths() (n int64) {
	for _, r := range v.Stack {
		n += int64(math.Round(r.SumDays * schemas.TenthsPerDay))
	}
	return n
}

// moved tells the change of one suspect of the stack, and counts it.
func (v *view) moved(c schemas.Change) (text, kind string) {
	switch {
	case v.Previous == "" || c.Position == nil:
		return "–", "stayed"
	case c.Previous == nil:
		v.Entered++
		return "new", "entered"
	case *c.Previous > *c.Position:
		v.Up++
		return fmt.Sprintf("up %d", *c.Previous-*c.Position), "up"
	case *c.Previous < *c.Position:
		v.Down++
		return fmt.Sprintf("down %d", *c.Position-*c.Previous), "down"
	}
	return "same", "stayed"
}

func notes(r schemas.Ranked) (list []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(r.SuspectStatus != nil && *r.SuspectStatus == "in_custody", "in custody")
	add(r.SuspectStatus != nil && *r.SuspectStatus == "on_bail", "on bail")
	add(r.AlsoVictim, "also a victim")
	add(r.AgesDisagree, "ages disagree")
	add(r.Withdrawn > 0, "victim withdrew %d of %d", r.Withdrawn, r.Allegations)
	add(r.DomesticAbuse > 0, "domestic abuse %d of %d", r.DomesticAbuse, r.Allegations)
	add(r.NonRecent > 0, "non-recent %d of %d", r.NonRecent, r.Allegations)
	add(r.TieSize > 1, "tie of %d", r.TieSize)
	others := len(r.Boroughs)
	if r.OwnerBorough != nil {
		others--
	}
	add(others > 0, "%s", text.Count(others, "other borough"))
	return list
}

func (v *view) addLeft() {
	count := map[string]int64{}
	for _, c := range v.Changes {
		if c.Kind != schemas.ChangeLeft || c.Reason == nil || c.Previous == nil || c.PreviousDays == nil {
			continue
		}
		count[*c.Reason]++
		if c.Restricted {
			continue // counted, and not shown
		}
		v.Left = append(v.Left, departure{*c.Previous, c.SuspectID, *c.PreviousDays, words(*c.Reason)})
	}
	for _, reason := range []string{schemas.LeftOutranked, schemas.LeftAgedOut, schemas.LeftNoScore, schemas.LeftMerged} {
		if reason == schemas.LeftMerged && v.Manifest.Facts.Links == nil {
			continue
		}
		v.LeftWhy = append(v.LeftWhy, share{Name: words(reason), Of: whys[reason], Count: count[reason]})
	}
}

func (v *view) addHeld() {
	d := v.Distribution
	stack := int64(len(v.Stack))
	v.Held = []held{{"the stack (" + percent(stack, d.Suspects) + ")", stack, percent(v.stackTenths(), d.HarmTenths)}}
	for _, k := range []int64{10, 50, 100, 200, 500} {
		v.Held = append(
			v.Held,
			held{fmt.Sprintf("the first %d%%", k/10), (k*d.Suspects + 999) / 1000, percent(d.Held[k], d.HarmTenths)},
		)
	}
	for i, name := range []string{"in the last 7 days", "7 to 29 days before", "30 to 89 days before", "90 to 179 days before", "180 days before or more"} {
		v.Ages = append(v.Ages, share{Name: name, Count: d.Ages[i], Of: percent(d.Ages[i], d.Suspects)})
	}
	bars(v.Ages)
}

// bars gives each line its length, the longest 100.
func bars(list []share) {
	var most int64 = 1
	for _, s := range list {
		most = max(most, s.Count)
	}
	for i := range list {
		list[i].Width = round(100 * float64(list[i].Count) / float64(most))
	}
}

func (v *view) addOffences() {
	count, harm := map[string]int64{}, map[string]int64{}
	var all int64
	for _, c := range v.Contributions {
		tenths := int64(math.Round(c.HarmDays * schemas.TenthsPerDay))
		count[c.Offence]++
		harm[c.Offence] += tenths
		all += tenths
	}
	for name, n := range count {
		v.Offences = append(v.Offences, share{Name: name, Count: n, Of: percent(harm[name], all)})
	}
	slices.SortFunc(v.Offences, func(a, b share) int {
		return cmp.Or(
			cmp.Compare(b.Count, a.Count),
			cmp.Compare(harm[b.Name], harm[a.Name]),
			cmp.Compare(a.Name, b.Name),
		)
	})
	bars(v.Offences)
	for _, reason := range slices.Sorted(maps.Keys(v.Manifest.Facts.QuarantineReasons)) {
		v.Reasons = append(v.Reasons, share{Name: reason, Count: v.Manifest.Facts.QuarantineReasons[reason]})
	}
}

func (v *view) addOwners() {
	stack := map[string]int64{}
	for _, r := range v.Rows {
		stack[r.Owner]++
	}
	var mostStack, mostRanked int64 = 1, 1
	for _, o := range v.Distribution.Boroughs {
		mostStack, mostRanked = max(mostStack, stack[o.Name]), max(mostRanked, o.Suspects)
	}
	for _, o := range v.Distribution.Boroughs {
		v.Owners = append(v.Owners, owned{Name: o.Name, BCU: o.BCU, Stack: stack[o.Name], Ranked: o.Suspects,
			StackBar: round(100 * float64(stack[o.Name]) / float64(mostStack)),
			AllBar:   round(100 * float64(o.Suspects) / float64(mostRanked)),
			HarmDays: text.Number(o.HarmTenths / schemas.TenthsPerDay)})
	}
	slices.SortStableFunc(v.Owners, func(a, b owned) int { return cmp.Compare(b.Stack, a.Stack) })
}

func (v *view) addFall() {
	m := v.Manifest
	wide := func(n int64) float64 { return round(100 * float64(n) / float64(max(m.RowsRead, 1))) }
	v.Fall = []fall{{"rows read", "every row of the extract", m.RowsRead, "", 0, 100, true}}
	left := m.RowsRead
	for i, n := range m.Dispositions {
		d := schemas.Disposition(i)
		left -= n
		f := fall{words(d.String()), rules[d], n, percent(n, m.RowsRead), wide(left), wide(n), false}
		if n > 0 {
			f.Width = max(f.Width, 0.4) // A few rows of millions still leave a trace.
		}
		if d == schemas.Scored {
			f.Start, f.Total = 0, true
		}
		v.Fall = append(v.Fall, f)
	}
}

// addBlind tells what the night leaves out for each reason.
func (v *view) addBlind() {
	blind := v.Manifest.Facts.BlindSpot
	for d := range schemas.DispositionCount {
		sum := blind.Sum(d.String())
		if sum.Rows == 0 {
			continue
		}
		harm := text.Days(float64(sum.Tenths) / schemas.TenthsPerDay)
		if d == schemas.UnscoredOffence {
			harm = "–"
		}
		enter := "–"
		if n, ok := blind.WouldEnter(d.String()); ok {
			enter = text.Number(n)
		}
		v.Blind = append(v.Blind, unseen{
			Enter: enter,
			Name:  words(d.String()), What: rules[d], Field: cmp.Or(schemas.MissingField(d.String()), "–"), Rows: sum.Rows, HarmDays: harm,
			Codes:    strings.TrimPrefix(most(blind.ByCode, d, "code"), ": "),
			Boroughs: strings.TrimPrefix(most(blind.ByBorough, d, "place"), ": "),
		})
	}
}

// addLook lists what an officer should look at before deciding.
func (v *view) addLook() {
	if v.Manifest.Identity == schemas.IdentityClaimed {
		v.Look = append(v.Look, "Here people are who they say they are, and nobody verifies it: no real data may be in this.")
	}
	if by := v.Manifest.StartedBy; by.ByHand() {
		v.Look = append(v.Look, fmt.Sprintf("The night was started by hand: by %s.", by))
	}
	for _, c := range v.Manifest.Checks {
		if c.Failed && c.Level == schemas.Block {
			v.Look = append(
				v.Look,
				fmt.Sprintf(
					"The check %s failed: %s. It blocks an approval, unless two officers override it and say why.",
					c.Name,
					c.Found,
				),
			)
		} else if c.Failed {
			v.Look = append(v.Look, fmt.Sprintf("The check %s failed: %s.", c.Name, c.Found))
		}
	}
	m := v.Manifest
	add := func(when bool, format string, args ...any) {
		if when {
			v.Look = append(v.Look, fmt.Sprintf(format, args...))
		}
	}
	where := func(which func(schemas.Ranked) bool) (n int64, list string) {
		var found []int64
		for _, r := range v.Stack {
			if which(r) && !r.Restricted {
				found = append(found, r.Position)
			}
		}
		return int64(len(found)), text.Noun(len(found), "position") + " " + positions(found)
	}
	age := v.Distribution.NewestAge
	add(age > 1, "The newest report that counts is %s old. The extract may not be up to date.", text.Count(age, "day"))
	add(
		m.Cut.InsideTie,
		"The cut falls inside a tie: %s with its score of %s made it onto the stack, %s with the very same score did not. Victims, allegations and the last report settled the order.",
		text.Count(m.Cut.TiedIn, "suspect"),
		text.CountDays(v.CutScore, "day"),
		text.Number(m.Cut.TiedOut),
	)
	var restricted int64
	for _, r := range v.Stack {
		if r.Restricted {
			restricted++
		}
	}
	told := "Nobody is told: the teams’ file names no desk for them (restricted)."
	if v.RestrictedDesk {
		told = "The desk for them alone is told."
	}
	add(restricted > 0, "%s of restricted handling: counted, and not shown here. %s", are(restricted, "suspect"), told)
	n, list := where(func(r schemas.Ranked) bool { return r.AlsoVictim })
	add(n > 0, "%s also recorded as a victim (%s). Look for a counter-allegation.", are(n, "suspect"), list)
	n, list = where(func(r schemas.Ranked) bool { return r.Allegations == 1 })
	add(n > 0, "%s there on one allegation alone (%s).", are(n, "suspect"), list)
	n, list = where(func(r schemas.Ranked) bool { return r.NonRecent == r.Allegations })
	add(
		n > 0,
		"%s there on non-recent allegations only: committed more than a year before they were reported (%s).",
		are(n, "suspect"),
		list,
	)
	n, list = where(func(r schemas.Ranked) bool { return r.OwnerBorough == nil })
	add(n > 0, "%s owned by no borough and will go to the central desk (%s).", are(n, "suspect"), list)
	v.addStanding(add)
	n, list = where(func(r schemas.Ranked) bool { return r.Lane == schemas.LaneContained })
	beside := "They take places on the stack."
	if m.Cut.Contained > 0 {
		beside = "They stand beside the stack, above its last, and take nobody’s place: watch for their release."
	}
	add(n > 0, "%s in custody (%s). %s", are(n, "suspect"), list, beside)
	n, list = where(func(r schemas.Ranked) bool { return r.AgesDisagree })
	add(n > 0, "%s of ages that cannot be one person’s (%s): two people may stand under one id.", are(n, "suspect"), list)
	n, list = where(func(r schemas.Ranked) bool { return r.Withdrawn > 0 })
	add(n > 0, "%s accused by a victim who no longer supports the case (%s).", are(n, "suspect"), list)
	v.addUnclear(add)
	for _, c := range m.Facts.ReadAsNull() {
		v.Look = append(v.Look, c.String())
	}
	v.Look = append(v.Look, m.Blind()...)
	add(
		m.Dispositions[schemas.Quarantined] > 0,
		"%s could not be read and took no part.",
		text.Count(m.Dispositions[schemas.Quarantined], "row"),
	)
	add(
		m.Dispositions[schemas.UnscoredOffence] > 0,
		"%s may describe violence against women and girls, but the tables give no single weight%s. %s to nobody’s score.",
		text.Count(
			m.Dispositions[schemas.UnscoredOffence],
			"row",
		),
		most(m.Facts.BlindSpot.ByCode, schemas.UnscoredOffence, "code"),
		text.Noun(m.Dispositions[schemas.UnscoredOffence], "It adds", "They add"),
	)
	add(
		m.Facts.Conflicting > 0,
		"%s contradicted another version with the same time of update. One of each was kept.",
		text.Count(m.Facts.Conflicting, "duplicate row"),
	)
	add(v.Previous == "", "No stack was approved before, so there is nothing to compare with.")
}

// addStanding tells whose place hangs on the choice of a model.
func (v *view) addStanding(add func(bool, string, ...any)) {
	if v.Models == 0 {
		return
	}
	core := map[string]bool{}
	for _, s := range v.Standings {
		core[s.SuspectID] = s.Standing == schemas.Core
	}
	var fringe []int64
	on := 0
	for _, r := range v.Stack {
		if r.Lane == schemas.LaneContained && v.Manifest.Cut.Contained > 0 {
			continue
		}
		if on++; !core[r.SuspectID] {
			fringe = append(fringe, r.Position)
		}
	}
	add(true, "%s core: among the first %s under all of %s that reasonable people would take.",
		are(int64(on-len(fringe)), "suspect"), text.Number(v.Model.Depth), text.Count(v.Models, "other model"))
	add(len(fringe) > 0, "%s fringe: under some of those models others would stand there (%s).",
		are(int64(len(fringe)), "suspect"), text.Noun(len(fringe), "position")+" "+positions(fringe))
}

// addUnclear tells what could be read in more than one way, or not at all.
func (v *view) addUnclear(add func(bool, string, ...any)) {
	m := v.Manifest
	f, sex := m.Facts, m.Dispositions[schemas.VictimSexUnknown]
	add(sex > 0, "%s would count if the victim were female, and nobody says%s.", text.Count(sex, "row"),
		most(f.BlindSpot.ByCode, schemas.VictimSexUnknown, "code"))
	add(f.OlderStands > 0, "%s latest version, which could not be read and is quarantined.",
		text.Count(f.OlderStands, "row stands as it was before its", "rows stand as they were before their"))
	add(f.URNContradicts > 0, "%s a URN that belongs to another offence code than the one given. The URN stands.",
		text.Count(f.URNContradicts, "scored row has", "scored rows have"))
	add(f.UnknownBoroughs > 0, "%s in a place that is none of the boroughs. %s, and such a place owns nobody.",
		text.Count(f.UnknownBoroughs, "scored row is", "scored rows are"), text.Noun(f.UnknownBoroughs, "It scores", "They score"))
	for _, column := range []int{schemas.SuspectID, schemas.VictimID} {
		name := schemas.Offences[column].Name
		add(f.Placeholders[name] > 0, "%s in %s (such as UNKNOWN) and %s.", text.Count(f.Placeholders[name], "placeholder stands", "placeholders stand"),
			name, text.Noun(f.Placeholders[name], "is nobody", "are nobody"))
	}
}

// most names the codes or places with the most rows that were left out for a reason, as ": 019/08 (12 rows) and 2 other codes".
func most(left []schemas.LeftOut, reason schemas.Disposition, noun string) string {
	left = slices.DeleteFunc(slices.Clone(left), func(l schemas.LeftOut) bool { return l.Reason != reason.String() })
	slices.SortFunc(left, func(a, b schemas.LeftOut) int { return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Of, b.Of)) })
	const first = 3
	said := ""
	for i, l := range left[:min(len(left), first)] {
		said += [...]string{": ", ", ", ", "}[i] + fmt.Sprintf("%s (%s)", l.Of, text.Count(l.Rows, "row"))
	}
	if n := len(left) - first; n > 0 {
		said += " and " + text.Count(n, "other "+noun)
	}
	return said
}

func are(n int64, noun string) string { return text.Count(n, noun) + " " + text.Noun(n, "is", "are") }
