package synthetic

import (
	"math/rand/v2"
	"strings"

	"harmstack/schemas"
)

// generator makes the rows of one suspect after another.
type generator struct {
	options  Options
	mix      *mix
	dayStart []int64
	rows     []schemas.Offence
	r        *rand.Rand
	serial   uint64 // of the ids made for this suspect
	number   int
}

const (
	second = int64(1_000_000)
	hour   = 3600 * second
	day    = 24 * hour
	year   = 365 * day
)

// chance is true in so many of a thousand cases.
func (g *generator) chance(thousandths int) bool { return g.r.IntN(1000) < thousandths }

func pick[T any](g *generator, values ...T) *T { return &values[g.r.IntN(len(values))] }

// id makes an opaque id that no other suspect's rows have, but for a chance of one in 2^50.
func (g *generator) id(prefix string) *string {
	g.serial++
	return opaque(prefix, g.options.Seed, uint64(g.number)<<20|g.serial)
}

// person is the id of a suspect by number: victims may be suspects too.
func (g *generator) person(number int) *string {
	return opaque("P", g.options.Seed, uint64(number)<<20)
}

func opaque(prefix string, seed, n uint64) *string {
	const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	r := rand.NewPCG(seed, n)
	bits := r.Uint64()
	var b strings.Builder
	b.WriteString(prefix)
	for range 10 {
		b.WriteByte(letters[bits&31])
		bits >>= 5
	}
	s := b.String()
	return &s
}

// suspect makes the rows of one suspect, and those that any export has beside them.
func (g *generator) suspect(number int) {
	g.number, g.serial = number, 0
	g.r = rand.New(rand.NewPCG(g.options.Seed, uint64(number)))
	home := g.mix.borough(g.r)
	allegations, victims, isGrave := g.career()
	p := profile{id: g.person(number), home: home, age: int32(18 + g.r.IntN(25) + g.r.IntN(25))}
	if g.chance(40) {
		p.status = "in_custody"
	} else {
		p.status = *pick(g, "at_large", "at_large", "on_bail", "unknown", "")
	}
	if g.chance(3) {
		p.status = schemas.StatusDeceased
	}
	for range victims {
		v := g.id("P")
		if g.chance(20) {
			v = g.person(g.r.IntN(g.options.Suspects))
		}
		p.victims = append(p.victims, v)
	}
	var report *string
	for i := range allegations {
		k := g.mix.kind(g.r, home)
		if isGrave {
			k = draw(g.r, grave, func(s struct {
				share int
				kind  kind
			}) int {
				return s.share
			}).kind
		}
		row := g.row(k, p, i)
		if report != nil && g.chance(120) {
			row.ReportID = report // a further offence in the same report
		}
		report = row.ReportID
		g.emit(row)
	}
	g.others(p)
}

// fifteenEvery: one suspect in so many has 15 victims, so that a year of the default size has two whatever
// the seed. Left to chance it would have none to five.
const fifteenEvery = DefaultSuspects / 2

// career draws how many allegations there are, against how many victims, and whether they are grave:
// three quarters of the suspects have one report; some four in a thousand have several grave ones.
func (g *generator) career() (allegations, victims int, isGrave bool) {
	switch n := g.r.IntN(100_000); {
	case g.number%fifteenEvery == int(g.options.Seed%fifteenEvery):
		return 15 + g.r.IntN(3), 15, true
	case n < 400:
		allegations = 3 + g.r.IntN(3)
		for allegations < 9 && g.chance(60) {
			allegations++
		}
		return allegations, 1 + g.r.IntN(3), true
	case n < 73_500:
		return 1, 1, false
	case n < 89_500:
		return 2, 1 + g.r.IntN(2), false
	case n < 97_000:
		return 3, 1 + g.r.IntN(2), false
	default:
		allegations = 4
		for allegations < 40 && g.chance(300) {
			allegations++
		}
		return allegations, 1 + g.r.IntN(2), false
	}
}

// profile is what a suspect's rows share.
type profile struct {
	id      *string
	home    int
	age     int32
	status  string
	victims []*string
}

// row makes one allegation that counts, as a rule.
func (g *generator) row(k kind, p profile, i int) schemas.Offence {
	o := draw(g.r, recorded[k], func(o offence) int { return o.share })
	reported := g.instant(g.r.IntN(365))
	row := schemas.Offence{
		AllegationID: g.id("A"), ReportID: g.id("R"), SuspectID: p.id, SuspectStatus: orNil(p.status), OffenceCode: g.code(o.code),
		OffenceClass: orNil(o.class), OffenceURN: orNil(o.urn), ReportedAt: &reported, Borough: g.place(p.home),
		VictimID: p.victims[i%len(p.victims)], VictimSex: pick(g, schemas.SexFemale), Source: pick(g, "victim", "victim", "victim", "victim", "witness", "third_party"),
		Outcome: pick(
			g,
			"open",
			"open",
			"open",
			"open",
			"no_further_action",
			"no_further_action",
			"no_further_action",
			"no_further_action",
			"charged",
			"convicted",
		),
	}
	committed := reported - g.r.Int64N(3*day)
	if g.chance(60) { // reported years later
		committed = reported - year - g.r.Int64N(20*year)
	}
	if !g.chance(50) {
		row.CommittedAt = &committed
	}
	if !g.chance(80) {
		row.SuspectAge = &p.age
	}
	if g.chance(1) {
		row.SuspectAge = pick(g, int32(-1), 199)
	}
	if !g.chance(150) {
		age := int32(16 + g.r.IntN(60))
		row.VictimAge = &age
	}
	if !g.chance(20) {
		abuse := g.chance(400)
		row.DomesticAbuse = &abuse
	}
	updated := reported + second + g.r.Int64N(min(30*day, max(hour, g.dayStart[daysAhead-1]-reported)))
	row.UpdatedAt = &updated
	return row
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// instant is a time on the London day of that age; negative ages lie after as_of. Evenings are busy,
// and now and then it is the hour around midnight.
func (g *generator) instant(age int) int64 {
	start, end := g.dayStart[age+daysAhead], g.dayStart[age+daysAhead-1]
	switch n := g.r.IntN(1000); {
	case n < 8:
		return start + g.r.Int64N(hour)
	case n < 16:
		return end - 1 - g.r.Int64N(hour)
	case n < 500:
		return start + 15*hour + g.r.Int64N(8*hour)
	}
	return start + g.r.Int64N(end-start)
}

// place is the home borough as a rule, spelt as people spell.
func (g *generator) place(home int) *string {
	name := g.mix.boroughs[home]
	switch n := g.r.IntN(1000); {
	case n < 140:
		name = g.mix.boroughs[g.mix.borough(g.r)]
	case n < 150:
		return pick(g, "City of London", "Hertfordshire", "British Transport Police")
	case n < 155:
		return nil
	}
	switch n := g.r.IntN(1000); {
	case n < 10:
		name = strings.ToUpper(name)
	case n < 15:
		name = strings.ToLower(name) + " "
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

// emit adds a row and, now and then, an earlier version of it, or the same row again.
func (g *generator) emit(row schemas.Offence) {
	g.rows = append(g.rows, row)
	switch n := g.r.IntN(1000); {
	case n < 25: // an earlier version
		earlier := row
		earlier.UpdatedAt = shifted(row.ReportedAt, 1+g.r.Int64N(*row.UpdatedAt-*row.ReportedAt-1))
		switch g.r.IntN(4) {
		case 0:
			earlier.SuspectID = nil
			if n < 12 { // somebody else was suspected
				earlier.SuspectID = g.person((g.number + 1) % g.options.Suspects)
			}
		case 1:
			earlier.Outcome = pick(g, "open", "no_crime")
		case 2:
			earlier.OffenceCode = pick(g, "105/01", "008/06")
		}
		g.rows = append(g.rows, earlier)
	case n < 37: // exported twice
		g.rows = append(g.rows, row)
	case n < 40: // twice, and not alike
		other := row
		other.VictimAge, other.Source = nil, pick(g, "victim", "witness")
		g.rows = append(g.rows, other)
	}
}

func shifted(t *int64, by int64) *int64 {
	at := *t + by
	return &at
}

// others makes rows of the kinds that do not count.
func (g *generator) others(p profile) {
	for more := 0; more < 3 && g.chance([]int{900, 450, 250}[more]); more++ {
		home := g.mix.borough(g.r)
		q := profile{id: g.id("P"), home: home, age: int32(18 + g.r.IntN(45)), victims: []*string{g.id("P")}}
		if g.chance(20) {
			q.victims[0] = g.person(g.r.IntN(g.options.Suspects))
		}
		row := g.row(g.mix.kind(g.r, home), q, 0)
		g.alter(&row, p)
		g.emit(row)
	}
}

// alter makes a row one that does not count against p, mostly.
func (g *generator) alter(row *schemas.Offence, p profile) {
	switch n := g.r.IntN(1000); {
	case n < 430: // nobody named
		row.SuspectID = *pick(g, nil, nil, nil, orNil(" "), orNil("UNKNOWN"), orNil("Not known"), orNil("n/k"), orNil("N/A"), orNil("-"), orNil("0"), orNil("TBC"))
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
		if g.chance(300) {
			row.SuspectID = p.id
		}
	case n < 780:
		row.Source = pick(g, schemas.SourcePoliceDetected)
	case n < 850:
		row.Outcome = pick(g, schemas.OutcomeNoCrime, schemas.OutcomeNoCrime, schemas.OutcomeAcquitted)
		if g.chance(300) {
			row.SuspectID = p.id
		}
	case n < 900: // before the window; the first days beyond it more often
		age := 365 + g.r.IntN(180)
		if g.chance(300) {
			age = 365 + g.r.IntN(2)
		}
		g.report(row, age)
	case n < 915:
		g.report(row, -1-g.r.IntN(2))
	case n < 950: // the code alone does not say
		row.OffenceCode, row.OffenceClass, row.OffenceURN = pick(g, "008/06", "008/01", "019/08", "005/01"), nil, nil
	case n < 996:
		age := int32(12 + g.r.IntN(6))
		row.SuspectAge = &age
	default: // not to be read
		g.spoil(row)
	}
}

// spoil makes a row one that cannot be read.
func (g *generator) spoil(row *schemas.Offence) {
	switch g.r.IntN(5) {
	case 0:
		row.OffenceCode = pick(g, "ABH", "8/6/1", "")
	case 1:
		row.Outcome = pick(g, "pending", "")
	case 2:
		row.ReportedAt = shifted(row.ReportedAt, -226*year)
	case 3:
		row.ReportID = nil
	case 4:
		row.SuspectStatus = pick(g, "In custody")
	}
}

// report moves a row to a day of that age.
func (g *generator) report(row *schemas.Offence, age int) {
	at := g.instant(age)
	updated, committed := at+hour, at-hour
	row.ReportedAt, row.UpdatedAt = &at, &updated
	if row.CommittedAt != nil {
		row.CommittedAt = &committed
	}
}
