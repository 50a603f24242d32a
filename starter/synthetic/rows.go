package synthetic

import (
	"slices"
	"strings"

	"harmstack/schemas"
)

// record is one allegation, and all that will be written about it.
type record struct {
	row     schemas.Offence // but for its status, outcome and updated_at, which are those of the last event
	created int64
	events  []event
	status  string           // instead of the suspect's; empty: theirs
	earlier *schemas.Offence // a version that an export may still have
	twice   int
	spoilt  int // how it cannot be read; 0: it can
	broken  int // how a later version cannot be read; 0: there is none
	breaks  int64
	plants  []string
}

func (rec *record) unplant(kind string) {
	rec.plants = slices.DeleteFunc(rec.plants, func(k string) bool { return k == kind })
}

// What twice may be.
const (
	once = iota
	exportedTwice
	notAlike // twice, with other values
)

// event is a change of a row in the source.
type event struct {
	at      int64
	outcome string // empty: as before
}

// row makes one allegation that counts, as a rule, reported at an instant.
func (g *generator) row(k kind, p *person, i int, reported int64) record {
	o := draw(g.r, recorded[k], func(o offence) int { return o.share })
	on := g.dayOf(reported)
	v := p.victims[i%len(p.victims)]
	rec := record{created: reported + minute + g.within(2*hour)}
	rec.row = schemas.Offence{
		AllegationID: g.id("A"), ReportID: g.id("R"), SuspectID: p.id, OffenceCode: g.code(o.code),
		OffenceClass: orNil(o.class), OffenceURN: orNil(o.urn), ReportedAt: &reported, Borough: g.place(&rec, p.home),
		VictimID: v.id, VictimSex: pick(g, schemas.SexFemale),
		Source:   pick(g, "victim", "victim", "victim", "victim", "witness", "third_party"),
		Handling: *pick(g, orNil(schemas.HandlingNormal), orNil(schemas.HandlingNormal), nil),
	}
	if p.restricted {
		rec.plants = append(rec.plants, RestrictedSuspect)
	}
	if v.restricted {
		rec.plants = append(rec.plants, RestrictedVictim)
	}
	if p.restricted || v.restricted {
		rec.row.Handling = orNil(schemas.HandlingRestricted)
	}
	rec.events = g.outcomes(k, rec.created)
	committed := reported - g.within(3*day)
	if g.chance(60) { // reported years later
		committed = reported - year - g.within(20*year)
	}
	if !g.chance(50) {
		rec.row.CommittedAt = &committed
	}
	if !g.chance(80) {
		age := ageOn(p.born, on)
		rec.row.SuspectAge = &age
	}
	if !g.chance(150) {
		age := ageOn(v.born, on)
		rec.row.VictimAge = &age
	}
	if !g.chance(20) {
		abuse := g.chance(400)
		rec.row.DomesticAbuse = &abuse
	}
	if g.chance(10) { // somebody was hurt, and nobody knows who
		rec.row.VictimID = g.placeholder()
		rec.plants = append(rec.plants, PlaceholderVictim)
	}
	if g.chance(2) { // what a column cannot hold must not lose the row
		switch g.r.IntN(3) {
		case 0:
			rec.row.SuspectAge = pick(g, int32(-1), 199)
		case 1:
			rec.row.VictimAge = pick(g, int32(-1), 999)
		case 2:
			rec.row.CommittedAt = pick(g, yearOne, year9999)
		}
	}
	return rec
}

// What stands for "not known" where a date is asked for: the first instant of year 1, the last second of 9999.
const (
	yearOne  = -62_135_596_800 * second
	year9999 = 253_402_300_799 * second
)

// withdrawn is how often the victim does not support the case, in thousandths: Home Office, crime outcomes of April to
// December 2020 (violence against the person 45 %, rape 43 %, sexual offences 34 %), as told by the Victims'
// Commissioner on 13 May 2021. It is soon known, mostly.
var withdrawn = [kinds]int{homicide: 0, withInjury: 450, withoutInjury: 450, stalking: 450, rape: 430, otherSexual: 340}

// outcomes are what becomes of a case, and when; at first it is open. But for those of withdrawn the shares are ours.
func (g *generator) outcomes(k kind, created int64) []event {
	all := []event{{created, "open"}}
	soon, late := created+hour+g.within(30*day), created+30*day+g.within(150*day)
	n, later := g.r.IntN(1000), g.within(180*day)
	n -= withdrawn[k]
	switch {
	case n < 0:
		return append(all, event{soon, schemas.OutcomeWithdrawn})
	case n < 300:
		return append(all, event{late, "no_further_action"})
	case n < 310:
		return append(all, event{late, schemas.OutcomeNoCrime})
	case n < 320:
		return append(all, event{soon, schemas.OutcomeTransferred})
	case n < 420:
		all = append(all, event{late, "charged"})
		if later < 100*day {
			all = append(all, event{late + 20*day + later, *pick(g, "convicted", "convicted", "convicted", schemas.OutcomeAcquitted)})
		}
	}
	return all
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// instant is a time on a day in London. Evenings are busy, and now and then it is the hour around midnight.
func (g *generator) instant(on int) int64 {
	start, end := g.start(on), g.start(on+1)
	switch n := g.r.IntN(1000); {
	case n < 8:
		return start + g.within(hour)
	case n < 16:
		return end - 1 - g.within(hour)
	case n < 500:
		return start + 15*hour + g.within(8*hour)
	}
	return start + g.within(end-start)
}

// place is the home borough as a rule, spelt as people spell.
func (g *generator) place(rec *record, home int) *string {
	switch n := g.r.IntN(1000); {
	case n < 140:
		home = g.mix.borough(g.r)
	case n < 150:
		rec.plants = append(rec.plants, BoroughUnknown)
		return pick(g, "City of London", "Hertfordshire", "British Transport Police", "Unknown borough")
	case n < 155:
		return nil
	}
	name := g.mix.boroughs[home]
	switch n := g.r.IntN(1000); {
	case n < 10:
		name = strings.ToUpper(name)
	case n < 15:
		name = strings.ToLower(name) + " "
	case n < 115 && len(g.mix.aliases[name]) > 0:
		rec.plants = append(rec.plants, BoroughAlias)
		name = *pick(g, g.mix.aliases[name]...)
	}
	return &name
}

// code writes a Home Office code in one of its three forms.
func (g *generator) code(code string) *string {
	switch n := g.r.IntN(100); {
	case n < 5:
		code = strings.Replace(code, "/", "", 1)
	case n < 10:
		class, sub, _ := strings.Cut(code, "/")
		code = strings.TrimLeft(class, "0") + "/" + strings.TrimPrefix(sub, "0")
	}
	return &code
}

// placeholder is one of the ways in which people write that somebody is not known.
func (g *generator) placeholder() *string {
	s := *pick(g, g.mix.nobody...)
	if before, ok := strings.CutSuffix(s, "*"); ok {
		s = before + *pick(g, "", " male", " 1", "/ not given")
	}
	switch g.r.IntN(5) {
	case 0:
		s = strings.ToUpper(s)
	case 1:
		s = strings.ToUpper(s[:1]) + s[1:]
	case 2:
		s = " " + strings.ReplaceAll(s, " ", "  ") + " "
	}
	return &s
}

// repeat has a row exported in an earlier version too, now and then, or twice, or with a later version that cannot be
// read.
func (g *generator) repeat(rec *record, seat, turn int) {
	switch n := g.r.IntN(1000); {
	case n < 25:
		earlier := rec.row
		earlier.Outcome = pick(g, "open")
		earlier.UpdatedAt = shifted(earlier.ReportedAt, 1+g.within(rec.created-*rec.row.ReportedAt-1))
		switch g.r.IntN(4) {
		case 0:
			earlier.SuspectID = nil
			if n < 12 { // somebody else was suspected
				earlier.SuspectID = g.sitter((seat+1)%g.seats, turn)
			}
		case 1:
			earlier.Outcome = pick(g, schemas.OutcomeNoCrime)
		case 2:
			earlier.OffenceCode = pick(g, "105/01", "008/06")
		}
		rec.earlier = &earlier
	case n < 37:
		rec.twice = exportedTwice
	case n < 40:
		rec.twice = notAlike
	case n < 43:
		rec.broken, rec.breaks = 1+g.r.IntN(spoils), rec.created+hour+g.within(60*day)
	}
}

func shifted(t *int64, by int64) *int64 {
	at := *t + by
	return &at
}

// emit adds the row as the export sees it, and what else it has of it. It is false for one that the export does not have.
func (g *generator) emit(p *person, rec *record) bool {
	row := rec.row
	if *row.ReportedAt < g.from || rec.created > g.cut {
		return false
	}
	updated, outcome, outcomeAt := int64(0), "", int64(0)
	for _, e := range rec.events {
		if e.at > g.cut {
			continue
		}
		updated = max(updated, e.at)
		if e.outcome != "" && e.at >= outcomeAt {
			outcome, outcomeAt = e.outcome, e.at
		}
	}
	row.UpdatedAt, row.Outcome = &updated, &outcome
	row.SuspectStatus = orNil(rec.status)
	if rec.status == "" {
		row.SuspectStatus = orNil(p.statusAt(updated))
	}
	if rec.spoilt != 0 {
		spoil(&row, rec.spoilt)
		g.planted[QuarantinedRow]++
		g.rows = append(g.rows, row)
		return true
	}
	g.rows = append(g.rows, row)
	for _, kind := range rec.plants {
		g.planted[kind]++
	}
	g.planted[OutOfRange] += outOfRange(&row)
	g.count(Withdrawn, outcome == schemas.OutcomeWithdrawn)
	g.count(Transferred, outcome == schemas.OutcomeTransferred)
	g.count(ClassMissing, row.OffenceClass == nil && row.OffenceURN == nil && ambiguous(*row.OffenceCode))
	if rec.earlier != nil {
		g.planted[EarlierVersion]++
		g.rows = append(g.rows, *rec.earlier)
	}
	if rec.twice != once {
		other := row
		if rec.twice == notAlike {
			other.VictimAge, other.Source = nil, orNil("third_party")
		}
		g.planted[Repeated]++
		g.rows = append(g.rows, other)
	}
	if rec.broken != 0 && rec.breaks <= g.cut && rec.breaks > updated {
		later := row
		later.UpdatedAt = &rec.breaks
		spoil(&later, rec.broken)
		g.planted[QuarantinedRow]++
		g.planted[OlderStands]++
		g.rows = append(g.rows, later)
	}
	return true
}

// outOfRange counts ages and dates that cannot be held, of those made here.
func outOfRange(row *schemas.Offence) (n int64) {
	for _, age := range []*int32{row.SuspectAge, row.VictimAge} {
		if age != nil && (*age < 0 || *age > schemas.MaxAge) {
			n++
		}
	}
	if row.CommittedAt != nil && (*row.CommittedAt == yearOne || *row.CommittedAt == year9999) {
		n++
	}
	return n
}

// ambiguous tells whether a code alone does not say which offence it is, of those made here.
func ambiguous(code string) bool {
	switch code, _ := schemas.NormaliseOffenceCode(code); code {
	case "008/06", "008/01", "019/08", "005/01":
		return true
	}
	return false
}

// others makes rows of the kinds that do not count, in the year from a day on.
func (g *generator) others(p *person, from, turn int) {
	for more := 0; more < 3 && g.chance([]int{900, 450, 250}[more]); more++ {
		home := g.mix.borough(g.r)
		v := victim{id: g.id("P"), born: from - (17+g.r.IntN(60))*turnDays}
		if g.chance(20) {
			v.id = g.sitter(g.r.IntN(g.seats), turn)
		}
		q := person{id: g.id("P"), home: home, born: from - (19+g.r.IntN(45))*turnDays, victims: []victim{v}}
		q.status = *pick(g, "at_large", "at_large", "unknown", "")
		on := from + g.r.IntN(turnDays)
		rec := g.row(g.mix.kind(g.r, home), &q, 0, g.instant(on))
		g.emit(g.alter(&rec, p, &q, on), &rec)
	}
}

// alter makes a row of q one that does not count, mostly. It tells whose it is then: some are p's.
func (g *generator) alter(rec *record, p, q *person, on int) *person {
	row := &rec.row
	whose := func() *person {
		if !g.chance(300) {
			return q
		}
		row.SuspectID, row.SuspectAge = p.id, nil
		return p
	}
	switch n := g.r.IntN(1000); {
	case n < 220 || n >= 954: // nobody named
		row.SuspectID = *pick(g, nil, nil, nil, orNil(" "))
	case n < 430:
		row.SuspectID = g.placeholder()
		rec.plants = append(rec.plants, PlaceholderSuspect)
	case n < 560: // a man is the victim
		row.VictimSex = pick(g, "M", "M", "M", "M", "M", "X", "U")
		row.OffenceCode, row.OffenceClass, row.OffenceURN = g.code("008/06"), orNil("8N"), nil
		if g.chance(100) {
			row.VictimSex = nil
		}
	case n < 660: // no violence against women and girls
		row.OffenceCode, row.OffenceClass, row.OffenceURN = pick(g, "028/03", "030/01", "092/59", "045/10", "999/99"), nil, nil
	case n < 730:
		row.Source = pick(g, schemas.SourceIntelligence)
		return whose()
	case n < 780:
		row.Source = pick(g, schemas.SourcePoliceDetected)
	case n < 850:
		rec.events = []event{{rec.created, *pick(g, schemas.OutcomeNoCrime, schemas.OutcomeNoCrime, schemas.OutcomeAcquitted)}}
		return whose()
	case n < 865: // the code alone does not say
		row.OffenceCode, row.OffenceClass, row.OffenceURN = pick(g, "008/06", "008/01", "019/08", "005/01"), nil, nil
	case n < 872: // what stands for nothing in a column that has values of its own
		rec.plants = append(rec.plants, OutOfRange)
		switch g.r.IntN(3) {
		case 0:
			rec.status = *pick(g, "In custody", "AT LARGE", "wanted")
		case 1:
			row.VictimSex = pick(g, "Female", "f", "Not stated")
		case 2:
			row.Handling = pick(g, "Confidential", "RESTRICTED", "official-sensitive")
			rec.plants = append(rec.plants, UnknownHandling)
		}
	case n < 877: // a child, of whom one row says so and the other does not
		q.born = on - 14*turnDays - g.r.IntN(2*turnDays)
		other := g.row(withoutInjury, q, 0, g.instant(on+g.r.IntN(30)))
		age := ageOn(q.born, on)
		row.SuspectAge, other.row.SuspectAge = &age, nil
		if g.emit(q, &other) {
			rec.plants = append(rec.plants, ChildElsewhere)
		}
	case n < 950:
		age := int32(12 + g.r.IntN(6))
		row.SuspectAge = &age
	default:
		rec.spoilt = 1 + g.r.IntN(spoils)
	}
	return q
}

// spoils is how many ways there are to make a row one that cannot be read.
const spoils = 5

func spoil(row *schemas.Offence, how int) {
	switch how {
	case 1:
		row.OffenceCode = orNil("ABH")
	case 2:
		row.Outcome = orNil("pending")
	case 3:
		row.ReportedAt = shifted(row.ReportedAt, -226*year)
	case 4:
		row.ReportID = nil
	case 5:
		row.Source = orNil("999 call")
	}
}
