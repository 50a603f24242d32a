package synthetic

import (
	"math/rand/v2"
	"slices"
	"strings"

	"harmstack/schemas"
)

// generator makes the people of one seat after another, and what the export of one morning sees of them.
type generator struct {
	options Options
	mix     *mix
	seats   int
	today   int     // as_of, in days since 1970
	first   int     // the day of dayStart[0]
	starts  []int64 // the first instants of the days in London
	from    int64   // what was reported before is not exported
	cut     int64   // the export ran then: what came later is not known yet
	rows    []schemas.Offence
	planted Planted
	links   []Link

	// Of the person being made. Nothing that is drawn may depend on the date of the export.
	r      *rand.Rand
	key    uint64
	serial uint64 // of the ids made
}

const (
	second = int64(1_000_000)
	minute = 60 * second
	hour   = 3600 * second
	day    = 24 * hour
	year   = 365 * day

	turnDays   = 365 // how long a seat is one person's
	exportDays = 375 // how far an export reaches back: some days more than the window
	lastDays   = 60  // how long after the end of a turn the last is reported
)

var epoch = schemas.MustDate("1970-01-01")

func newGenerator(o Options, m *mix) *generator {
	today := o.AsOf.DaysSince(epoch)
	g := &generator{
		options: o,
		mix:     m,
		seats:   max(1, o.Suspects*seatShare/1000),
		today:   today,
		first:   today - exportDays - 2*turnDays - lastDays,
		planted: Planted{},
	}
	for d := g.first; d < today+2*turnDays+lastDays; d++ {
		g.starts = append(g.starts, epoch.AddDays(d).Start().UnixMicro())
	}
	g.from, g.cut = g.start(today-exportDays+1), g.start(today+1)+3*hour
	return g
}

// start is the first instant of a day in London.
func (g *generator) start(day int) int64 { return g.starts[day-g.first] }

// chance is true in so many of a thousand cases.
func (g *generator) chance(thousandths int) bool { return g.r.IntN(1000) < thousandths }

func pick[T any](g *generator, values ...T) *T { return &values[g.r.IntN(len(values))] }

// within is a length of time below limit.
func (g *generator) within(limit int64) int64 { return g.r.Int64N(limit) }

// id makes an opaque id that nobody else's rows have, but for a chance of one in 2^50.
func (g *generator) id(prefix string) *string {
	g.serial++
	return opaque(prefix, g.options.Seed, g.key<<20|g.serial)
}

// sitter is the id of whoever has a seat in a turn: victims may be suspects too.
func (g *generator) sitter(seat, turn int) *string {
	return opaque("P", g.options.Seed, keyOf(seat, turn)<<20)
}

func keyOf(seat, turn int) uint64 { return uint64(seat)<<8 | uint64(uint8(turn)) }

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

// seat makes everybody who has a seat in turns that the export sees.
func (g *generator) seat(number int) {
	phase := int(rand.NewPCG(g.options.Seed+1, uint64(number)).Uint64() % turnDays)
	if g.isFifteen(number) { // half a year apart, so that one of two is always seen as a whole
		phase = (60 + number/fifteenEvery*turnDays/2) % turnDays
	}
	turn := (g.today+1-phase)/turnDays + 1
	for ; turn*turnDays+phase > g.today+1; turn-- {
	}
	for ; turn*turnDays+phase+turnDays+lastDays > g.today-exportDays; turn-- {
		g.key, g.serial = keyOf(number, turn), 0
		g.r = rand.New(rand.NewPCG(g.options.Seed, g.key))
		g.live(number, turn, turn*turnDays+phase)
	}
}

// fifteenEvery: one seat in so many has a suspect with 15 victims, so that a year of the default size has two whatever
// the seed. Left to chance it would have none to five.
const fifteenEvery = DefaultSuspects * seatShare / 1000 / 2

func (g *generator) isFifteen(number int) bool {
	return number%fifteenEvery == int(g.options.Seed%uint64(fifteenEvery))
}

const fifteen = 15

// graveEvery: one seat in so many has a suspect with several grave allegations. To draw them would make the first
// hundred scatter more from seed to seed.
const graveEvery = 240

// seatShare is how many seats there are for a thousand suspects in a window: some of those with several reports are
// seen at the end of one turn, and others in the same seat at the beginning of the next.
const seatShare = 950

// career draws how many allegations there are, against how many victims, within how many days, and whether they are
// grave: three quarters of the suspects of a window have one report; some four in a thousand have several grave ones, as
// many as make the offences of the first hundred those that are published, by rule set vawg-v2 and model rfs-v2.
func (g *generator) career(number int) (allegations, victims, days int, isGrave bool) {
	switch n := g.r.IntN(100_000); {
	case g.isFifteen(number):
		return fifteen + g.r.IntN(3), fifteen, 60, true
	case uint64(number)%graveEvery == g.options.Seed%graveEvery:
		return 4 + g.r.IntN(3), 1 + g.r.IntN(3), 120, true
	case n < 67_500:
		return 1, 1, 1, false
	case n < 86_500:
		return 2, 1 + g.r.IntN(2), 120, false
	case n < 96_000:
		return 3, 1 + g.r.IntN(2), 120, false
	default:
		allegations = 4
		for allegations < 40 && g.chance(300) {
			allegations++
		}
		return allegations, 1 + g.r.IntN(2), 120, false
	}
}

// person is what somebody's rows share.
type person struct {
	id         *string
	home       int
	born       int    // the day, in days since 1970
	status     string // as long as nothing has happened
	moves      []move // in order
	victims    []victim
	restricted bool
}

type victim struct {
	id         *string
	born       int
	restricted bool
}

// move is what happened to somebody, and when.
type move struct {
	at     int64
	status string
}

// statusAt is somebody's status at an instant.
func (p *person) statusAt(t int64) string {
	status := p.status
	for _, m := range p.moves {
		if m.at <= t {
			status = m.status
		}
	}
	return status
}

// ageOn is how old somebody is on a day, in years.
func ageOn(born, day int) int32 { return int32(4 * (day - born) / (4*turnDays + 1)) }

// live makes the rows of one person, from a day on, and those that any export has beside them.
func (g *generator) live(seat, turn, from int) {
	home := g.mix.borough(g.r)
	allegations, victims, days, isGrave := g.career(seat)
	p := person{id: g.sitter(seat, turn), home: home, born: from - (18+g.r.IntN(25)+g.r.IntN(25))*turnDays - turnDays/2}
	p.status = *pick(g, "at_large", "at_large", "at_large", "unknown", "")
	p.restricted = g.chance(2) || isGrave && g.chance(20)
	for range victims {
		v := victim{id: g.id("P"), born: from - (17+g.r.IntN(60))*turnDays, restricted: g.chance(2)}
		if g.chance(20) {
			v.id = g.sitter(g.r.IntN(g.seats), turn)
		}
		p.victims = append(p.victims, v)
	}
	reported := make([]int64, allegations)
	for i := range reported {
		reported[i] = g.instant(from)
		if i > 0 {
			reported[i] = g.instant(from + g.r.IntN(days))
		}
	}
	slices.Sort(reported)
	records := make([]record, allegations)
	remand := remanded // in thousandths
	if isGrave {
		remand = remandedGrave
	}
	for i := range records {
		k := g.mix.kind(g.r, home)
		if isGrave {
			k = draw(g.r, grave, func(s graveKind) int { return s.share }).kind
		}
		if k == homicide {
			remand = remandedHomicide
		}
		same := i > 0 && g.chance(120) // a further offence in the same report
		if same {
			reported[i] = reported[i-1]
		}
		records[i] = g.row(k, &p, i, reported[i])
		if same {
			records[i].row.ReportID = records[i-1].row.ReportID
		}
		if victims == fifteen { // it is one case, open, and of one kind, so that each of them is seen
			rec := &records[i]
			rec.events = rec.events[:1]
			rec.row.OffenceCode, rec.row.OffenceClass, rec.row.OffenceURN = orNil("019/08"), orNil("19C"), nil
			rec.row.VictimID = p.victims[i%fifteen].id
			rec.unplant(PlaceholderVictim)
		}
		g.contradict(&records[i])
		g.repeat(&records[i], seat, turn)
	}
	second := g.twoAges(&p, records)
	links := g.twoNominals(&p, records, isGrave)
	counter, hasCounter := g.counter(&p, &records[0], isGrave)
	elsewhere, isDead := g.fate(&p, records, remand)

	seen := make([]bool, len(records))
	for i := range records {
		seen[i] = g.emit(&p, &records[i])
	}
	shown := 0 // in order of time, so that two of them are of both ages
	for _, is := range seen {
		if is {
			shown++
		}
	}
	g.count(AgesDisagree, second && shown > 1)
	for _, l := range links {
		if seen[l.row] && l.at <= g.cut {
			g.links = append(g.links, l.Link)
		}
	}
	if hasCounter {
		g.count(Counter, g.emit(&person{}, &counter) && seen[0])
	}
	if isDead {
		g.count(DeadElsewhere, g.emit(&p, &elsewhere) && seen[0])
	}
	if seen[len(seen)-1] { // on which it is written
		now := p.statusAt(g.cut)
		g.count(InCustody, now == schemas.StatusInCustody)
		g.count(OnBail, now == schemas.StatusOnBail)
		g.count(Released, now != schemas.StatusInCustody && len(p.moves) > 1 && p.moves[1].at <= g.cut)
	}
	g.others(&p, from, turn)
}

func (g *generator) count(kind string, is bool) {
	if is {
		g.planted[kind]++
	}
}

// contradict gives a few rows that name an exact row of the index another code.
func (g *generator) contradict(rec *record) {
	if !g.chance(20) || rec.row.OffenceURN == nil {
		return
	}
	rec.row.OffenceCode = pick(g, "019/07", "008/06", "020/05")
	rec.plants = append(rec.plants, URNContradicts)
}

// twoAges gives a few the ages of two people: perhaps they are two, under one id.
func (g *generator) twoAges(p *person, records []record) bool {
	older := p.born - (8+g.r.IntN(12))*turnDays
	if len(records) < 2 || !g.chance(6) {
		return false
	}
	for i := range records {
		born := p.born
		if i%2 == 1 {
			born = older
		}
		age := ageOn(born, g.dayOf(*records[i].row.ReportedAt))
		records[i].row.SuspectAge = &age
	}
	return true
}

// link is a Link, the row that needs it, and when the nominals were merged.
type link struct {
	Link
	row int
	at  int64
}

// twoNominals records a few people under a second id, and some of them under a third, until somebody notices; a few
// victims too.
func (g *generator) twoNominals(p *person, records []record, isGrave bool) (links []link) {
	n, isThree, after := g.r.IntN(1000), g.chance(400), g.within(60*day)
	if len(records) < 2 || len(p.victims) == fifteen {
		return nil
	}
	last := len(records) - 1
	at := records[last].created + after
	switch {
	case n < 15 || isGrave && n < 80:
		second := g.id("P")
		records[last].row.SuspectID = second
		links = append(links, link{Link{*second, *p.id}, last, at})
		if isThree && last > 1 {
			third := g.id("P")
			records[1].row.SuspectID = third
			links = append(links, link{Link{*third, *second}, 1, at})
		}
	case n >= 990 && len(p.victims) == 1 && records[last].row.VictimID == p.victims[0].id:
		second := g.id("P")
		records[last].row.VictimID = second
		links = append(links, link{Link{*second, *p.victims[0].id}, last, at})
	}
	return links
}

// counter makes, for a few, the same two people the other way round, reported some days before or after.
func (g *generator) counter(p *person, of *record, isGrave bool) (rec record, ok bool) {
	n := g.r.IntN(1000)
	v := p.victims[0]
	if n >= 5 && !(isGrave && n < 50) || of.row.VictimID != v.id {
		return rec, false
	}
	back := person{id: v.id, home: p.home, born: min(v.born, p.born), status: "at_large", victims: []victim{{p.id, p.born, p.restricted}}}
	rec = g.row(withInjury, &back, 0, g.instant(g.dayOf(*of.row.ReportedAt)-5+g.r.IntN(11)))
	rec.row.SuspectAge = nil // who is a victim here may have a seat of their own, and another age
	rec.row.VictimID, rec.row.VictimSex = p.id, pick(g, "M", "M", "M", "M", "F")
	rec.row.OffenceCode, rec.row.OffenceClass, rec.row.OffenceURN = pick(g, "008/06"), orNil("8N"), nil
	rec.unplant(PlaceholderVictim)
	rec.status = back.status
	return rec, true
}

// How many of a thousand suspects are remanded in custody: shares of our own, which keep about 4 % of a window's in custody.
const (
	remanded         = 85
	remandedGrave    = 200
	remandedHomicide = 900
)

// fate draws what happens to somebody: an arrest, remand or bail, a release; or their death, of which a row of another
// case may be the only one to tell. What happens is written on one row, so that its updated_at moves; the others
// say what was true when they were written.
func (g *generator) fate(p *person, records []record, remand int) (elsewhere record, isDead bool) {
	last := &records[len(records)-1]
	at := last.created + hour + g.within(10*day)
	happens := func(after int64, status string) {
		at += after
		p.moves = append(p.moves, move{at, status})
		last.events = append(last.events, event{at: at})
	}
	switch n := g.r.IntN(1000); {
	case n < remand:
		happens(0, schemas.StatusInCustody)
		if !g.chance(max(250, remand-50)) { // the others stay
			happens(20*day+g.within(180*day), *pick(g, schemas.StatusOnBail, schemas.StatusOnBail, "at_large"))
		}
	case n < remand+365: // a night in the cells
		happens(0, schemas.StatusInCustody)
		happens(hour+g.within(23*hour), schemas.StatusOnBail)
		happens(28*day+g.within(180*day), "at_large")
	}
	if !g.chance(3) {
		return elsewhere, false
	}
	at += g.within(200 * day)
	if g.chance(500) {
		p.moves = append(p.moves, move{at, schemas.StatusDeceased})
		last.events = append(last.events, event{at: at})
		return elsewhere, false
	}
	elsewhere = g.row(withoutInjury, p, 0, g.instant(g.dayOf(last.created)+1+g.r.IntN(20)))
	elsewhere.row.SuspectAge = nil
	elsewhere.status, elsewhere.events = schemas.StatusDeceased, []event{{elsewhere.created, schemas.OutcomeNoCrime}}
	return elsewhere, true
}

// dayOf is the day of an instant in London.
func (g *generator) dayOf(t int64) int {
	at, isStart := slices.BinarySearch(g.starts, t)
	if !isStart {
		at--
	}
	return g.first + at
}
