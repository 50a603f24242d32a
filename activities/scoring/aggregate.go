package scoring

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// aggregation is the scratch space in which one goroutine works through a bucket.
type aggregation struct {
	parts  []scorePart // of one suspect
	table  table
	starts []int

	firsts  []int32 // the first record of each suspect
	next    []int32 // the suspect's next record + 1, by record
	last    []int32 // the suspect's last record, by its first
	marks   []mark  // of the suspect, by its first record
	rows    []allegation
	suspect suspect
	texts   [][]byte
	places  []place
	at      map[uint32]int // of the places by borough, when they are many
	names   []uint32
	others  []string          // the suspect's boroughs that are unnumbered
	byOther map[string]uint32 // their numbers, when they are many
}

// place is a suspect's harm in one borough.
type place struct {
	borough uint32
	base    int64
	latest  int64
}

// aggregate scores the suspects of one bucket and hands each over with its rows; both are valid only
// during the call.
func (e *Engine) aggregate(t *tally, number int, emit func(*suspect, []allegation) error) (err error) {
	if t.records, err = e.suspects.Take(number, t.records); err != nil {
		return err
	}
	if t.marks, err = e.marks.Take(number, t.marks); err != nil {
		return err
	}
	w := &t.work
	w.starts = split(t.records, w.starts)
	w.table.reset(len(w.starts))
	w.next, w.last, w.marks = grow(w.next, len(w.starts)), grow(w.last, len(w.starts)), grow(w.marks, len(w.starts))
	clear(w.next)
	for i := range w.marks {
		w.marks[i] = nothing
	}
	w.firsts = w.firsts[:0]
	find := func(hash uint32, id []byte) *slot {
		return w.table.find(hash, func(r int32) bool { return bytes.Equal(suspectOf(t.records[w.starts[r]:]), id) })
	}
	for i, start := range w.starts {
		rec := t.records[start:]
		slot := find(hashOf(rec), suspectOf(rec))
		if slot.record == 0 {
			slot.record = int32(i) + 1
			w.firsts = append(w.firsts, int32(i))
		} else {
			w.next[w.last[slot.record-1]] = int32(i) + 1
		}
		w.last[slot.record-1] = int32(i)
	}
	for at := 0; at < len(t.marks); {
		end := bucket.Next(t.marks, at)
		if slot := find(hashOf(t.marks[at:]), t.marks[at+markHead:end]); slot.record != 0 {
			var m mark
			m.decode(t.marks[at:])
			of := &w.marks[slot.record-1]
			*of = of.with(m)
		}
		at = end
	}
	for _, first := range w.firsts {
		w.rows = w.rows[:0]
		of := w.marks[first]
		ageless := false
		for r := first + 1; r != 0; r = w.next[r-1] {
			w.rows = slices.Grow(w.rows, 1)[:len(w.rows)+1]
			a := &w.rows[len(w.rows)-1]
			a.decode(t.records[w.starts[r-1]:])
			a.age = e.rules.window.age(a.reported)
			of = of.with(e.rules.window.mark(a.reported, a.suspectAge, a.status, a.handling))
			ageless = ageless || a.suspectAge == noAge
		}
		if ageless && of.minor < neverMinor {
			all := len(w.rows)
			w.rows = slices.DeleteFunc(w.rows, func(a allegation) bool {
				young := a.suspectAge == noAge && int64(a.age) > int64(of.minor)
				if young && t.left != nil {
					t.left(a.id, schemas.SuspectUnder18)
				}
				return young
			})
			t.under18 += int64(all - len(w.rows))
		}
		if len(w.rows) == 0 {
			continue
		}
		if of.deceased {
			t.deceased += int64(len(w.rows))
			for i := range w.rows {
				if t.left != nil {
					t.left(w.rows[i].id, schemas.SuspectDeceased)
				}
			}
			continue
		}
		t.scored += int64(len(w.rows))
		s := &w.suspect
		if err := e.score(t, w.rows, s); err != nil {
			return err
		}
		s.alsoVictim, s.agesDisagree, s.restricted = of.victim, of.agesDisagree(), of.restricted
		if err := emit(s, w.rows); err != nil {
			return err
		}
	}
	return nil
}

// nonRecent is how long before its report an offence was committed to be non-recent, in microseconds.
const nonRecent = 365 * 24 * 3_600_000_000

func (a *allegation) nonRecent() bool {
	return a.committed != noTime && a.reported-a.committed > nonRecent
}

// score sums a suspect's rows up (section 6).
func (e *Engine) score(t *tally, rows []allegation, s *suspect) error {
	w := &t.work
	*s = suspect{
		sortKey:       sortKey{id: rows[0].suspect, allegations: int64(len(rows)), lastReported: math.MinInt64},
		firstReported: math.MaxInt64,
	}
	w.places, w.others, w.parts = w.places[:0], w.others[:0], w.parts[:0]
	var base int64
	latest := &rows[0]
	for i := range rows {
		a := &rows[i]
		offence := e.vocabulary.offenceOf(a)
		weight := offence.weight(a.sex, a.domesticAbuse)
		switch weight.Rule {
		case reference.ByLowest:
			t.lowest++
		case reference.BySupplement:
			t.supplement++
		}
		if weight.Resolution != "" {
			schemas.AddCount(&t.resolutions, weight.Resolution, 1)
		}
		if a.borough != 0 && !e.vocabulary.isBorough(a.borough) {
			t.unknownBoroughs++
		}
		if offence.contradicts {
			t.contradicts++
		}
		part := weight.Tenths * e.recency[a.age]
		if base > math.MaxInt64-part {
			return ErrOverflow
		}
		base += part
		s.sum += weight.Tenths
		s.most = max(s.most, weight.Tenths)
		s.firstReported, s.lastReported = min(s.firstReported, a.reported), max(s.lastReported, a.reported)
		if a.domesticAbuse == abuseTrue {
			s.domesticAbuse++
		}
		if a.nonRecent() {
			s.nonRecent++
		}
		if a.outcome == outcomeWithdrawn {
			s.withdrawn++
		}
		if a.updated > latest.updated || a.updated == latest.updated && bytes.Compare(a.id, latest.id) > 0 {
			latest = a
		}
		w.addPlace(a, part)
		w.parts = append(w.parts, scorePart{base: part, row: int32(i), tenths: weight.Tenths})
	}
	s.status = latest.status
	s.reports = w.distinct(rows, func(a *allegation) []byte { return a.report })
	s.victims = w.distinct(rows, func(a *allegation) []byte { return a.victim })
	s.owner, w.names = e.owner(w, w.names[:0])
	s.boroughs, s.others = w.names, w.others
	var err error
	if s.score, err = scoreOf(apply(&e.options.Model, rows, w.parts)); err != nil {
		return err
	}
	return t.contenders.offer(s, rows, w.parts)
}

// scorePart is what one of a suspect's rows adds to the score: base times factor. A factor of 0 sets it aside.
type scorePart struct {
	base   int64
	factor int64 // millionths
	tenths int64
	row    int32
}

// total is the sum of base times factor, 128 bits of it.
func total(parts []scorePart) (hi, lo uint64) {
	for _, p := range parts {
		h, l := bits.Mul64(uint64(p.base), uint64(p.factor))
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi += h + carry // far below 2^64: a factor is below 2^31
	}
	return hi, lo
}

// apply gives the parts of a suspect's rows their factors, as the model has them, the largest base first (section 6).
func apply(m *schemas.Model, rows []allegation, parts []scorePart) []scorePart {
	counted := parts
	if m.NonRecent == schemas.NonRecentAside {
		counted = partition(counted, func(p scorePart) bool { return !rows[p.row].nonRecent() })
	}
	if m.PerReport == schemas.PerReportGravest && len(counted) > 1 {
		counted = gravest(rows, counted)
	}
	for i := range parts[len(counted):] {
		parts[len(counted)+i].factor = 0
	}
	if m.FrequencyApply != schemas.FrequencyEach {
		if n := int64(len(counted)); n > 0 {
			f := m.Frequency(n)
			for i := range counted {
				counted[i].factor = f
			}
		}
		return parts
	}
	if len(counted) > 1 {
		slices.SortFunc(counted, func(a, b scorePart) int {
			if c := -cmp.Compare(a.base, b.base); c != 0 {
				return c
			}
			return bytes.Compare(rows[a.row].id, rows[b.row].id) // so that the factors do not follow the order of reading
		})
	}
	for i := range counted {
		counted[i].factor = m.Frequency(int64(i) + 1)
	}
	return parts
}

// gravest puts the gravest part of each report and victim first and returns those; a row without a victim stands alone.
// The gravest has the greatest harm, then the greatest base, then the least allegation_id.
func gravest(rows []allegation, parts []scorePart) []scorePart {
	pair := func(a, b *allegation) int {
		return cmp.Or(bytes.Compare(a.report, b.report), bytes.Compare(a.victim, b.victim))
	}
	slices.SortFunc(parts, func(a, b scorePart) int {
		x, y := &rows[a.row], &rows[b.row]
		return cmp.Or(
			pair(x, y),
			-cmp.Compare(a.tenths, b.tenths),
			-cmp.Compare(a.base, b.base),
			bytes.Compare(x.id, y.id),
		)
	})
	var before *allegation
	return partition(parts, func(p scorePart) bool {
		this := &rows[p.row]
		first := before == nil || len(this.victim) == 0 || pair(before, this) != 0
		before = this
		return first
	})
}

// partition moves those to the front that keep says yes to, in one pass over all of them from the first to the last,
// and returns them.
func partition(parts []scorePart, keep func(scorePart) bool) []scorePart {
	n := 0
	for i, p := range parts {
		if keep(p) {
			parts[i], parts[n] = parts[n], parts[i]
			n++
		}
	}
	return parts[:n]
}

// few is up to how many things a look at each beats a table or a sort.
const few = 16

func (w *aggregation) addPlace(a *allegation, part int64) {
	borough := a.borough
	if borough == unnumbered {
		borough = w.other(a.own.borough)
	}
	i := -1
	if len(w.places) <= few {
		i = slices.IndexFunc(w.places, func(p place) bool { return p.borough == borough })
	} else if at, ok := w.at[borough]; ok {
		i = at
	}
	if i >= 0 {
		p := &w.places[i]
		p.base += part
		p.latest = max(p.latest, a.reported)
		return
	}
	w.places = append(w.places, place{borough, part, a.reported})
	switch n := len(w.places); {
	case n == few+1:
		w.at = map[uint32]int{}
		for i, p := range w.places {
			w.at[p.borough] = i
		}
	case n > few:
		w.at[borough] = n - 1
	}
}

// other numbers a borough that is unnumbered, for one suspect.
func (w *aggregation) other(name string) uint32 {
	i := -1
	if len(w.others) <= few {
		i = slices.Index(w.others, name)
	} else if n, ok := w.byOther[name]; ok {
		return n
	}
	if i >= 0 {
		return other + uint32(i)
	}
	w.others = append(w.others, name)
	switch n := len(w.others); {
	case n == few+1:
		w.byOther = map[string]uint32{}
		for i, name := range w.others {
			w.byOther[name] = other + uint32(i)
		}
	case n > few:
		w.byOther[name] = other + uint32(n-1)
	}
	return other + uint32(len(w.others)-1)
}

// distinct counts the different texts, null not counted.
func (w *aggregation) distinct(rows []allegation, text func(*allegation) []byte) (n int64) {
	if len(rows) == 1 {
		return int64(min(1, len(text(&rows[0]))))
	}
	w.texts = w.texts[:0]
	for i := range rows {
		s := text(&rows[i])
		if len(s) == 0 ||
			len(rows) <= few && slices.ContainsFunc(w.texts, func(t []byte) bool { return bytes.Equal(s, t) }) {
			continue
		}
		w.texts = append(w.texts, s)
	}
	if len(rows) <= few {
		return int64(len(w.texts))
	}
	slices.SortFunc(w.texts, bytes.Compare)
	for i, s := range w.texts {
		if i == 0 || !bytes.Equal(s, w.texts[i-1]) {
			n++
		}
	}
	return n
}

// owner is the borough of the 32 with the largest base, then the most recent report, then the first
// name. With it come all places, by name, in the slice given.
func (e *Engine) owner(w *aggregation, names []uint32) (owner uint32, _ []uint32) {
	v, places := e.vocabulary, w.places
	known := func(n uint32) bool { return n < other && v.borough(n).known }
	if len(places) == 1 {
		if p := places[0].borough; p != 0 {
			names = append(names, p)
			if known(p) {
				owner = p
			}
		}
		return owner, names
	}
	name := func(n uint32) string { return v.name(n, w.others) }
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(
			-cmp.Compare(a.base, b.base),
			-cmp.Compare(a.latest, b.latest),
			cmp.Compare(name(a.borough), name(b.borough)),
		)
	})
	for _, p := range places {
		if owner == 0 && known(p.borough) {
			owner = p.borough
		}
		if p.borough != 0 {
			names = append(names, p.borough)
		}
	}
	slices.SortFunc(names, func(a, b uint32) int { return cmp.Compare(name(a), name(b)) })
	return owner, names
}
