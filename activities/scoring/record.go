package scoring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strings"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
)

// allegation is one row as it goes through the buckets: its values as normalised, low-cardinality ones
// as numbers that the engine's vocabulary gave them. Zero is null wherever null is possible.
type allegation struct {
	updated, reported, committed int64  // microseconds; committed: noTime for null
	offence                      uint32 // (code, class, urn) in the vocabulary
	borough                      uint32
	suspectAge, victimAge        uint8 // noAge for null
	status, sex, source, outcome uint8 // position in the enum, from 1
	domesticAbuse                uint8 // 0 null, 1 false, abuseTrue
	handling                     uint8 // position in the enum, from 1
	older                        bool  // a later version of the row is quarantined
	disposition                  schemas.Disposition
	age                          uint32    // days before as_of, of rows that are their suspects'
	id, report, suspect, victim  []byte    // empty: null
	own                          *ownTexts // of an offence or a borough that is unnumbered
}

const (
	noTime = math.MinInt64
	noAge  = math.MaxUint8

	// Offsets in an encoded allegation, after its length. A time takes 54 bits from schemas.MinTimestamp on, and
	// what is small has the rest of its eight bytes.
	atHash       = bucket.LengthBytes
	atReported   = atHash + 4     // and status, sex, outcome
	atUpdated    = atReported + 8 // and source, domestic abuse, disposition, older
	atCommitted  = atUpdated + 8  // one more, 0 for null; and the victim's age, handling
	atOffence    = atCommitted + 8
	atBorough    = atOffence + 4
	atSuspectAge = atBorough + 4
	atTexts      = atSuspectAge + 1 // the lengths of suspect, id, report and victim as varints, then the texts; then its ownTexts

	timeBits   = 54
	atHandling = timeBits + 8
	timeMask   = 1<<timeBits - 1
)

func putHash(rec []byte, hash uint64) {
	binary.LittleEndian.PutUint32(rec[atHash:], uint32(hash>>32))
}

func hashOf(rec []byte) uint32 { return binary.LittleEndian.Uint32(rec[atHash:]) }

// What stands in ten bits behind a time: two numbers of at most seven, then one of at most fifteen.
const (
	atSecond = timeBits + 3
	atThird  = timeBits + 6
)

// As many as have room; this does not compile when there are more.
const _ = uint(1<<4 - schemas.DispositionCount)

func small(a, b, c uint8) uint64 {
	return uint64(a)<<timeBits | uint64(b)<<atSecond | uint64(c)<<atThird
}

// olderFlag says of an encoded row that a later version is quarantined. Domestic abuse, at most abuseTrue, leaves it free.
const olderFlag = uint64(1) << (atThird - 1)

func setOlder(rec []byte) {
	le := binary.LittleEndian
	le.PutUint64(rec[atUpdated:], le.Uint64(rec[atUpdated:])|olderFlag)
}

func sinceMin(t int64) uint64 { return uint64(t - schemas.MinTimestamp) }

// put encodes a row of the batch into the bucket of a hash: of its suspect, or of its own id.
func (v *validator) put(w *bucket.Scatterer, h uint64, row int, d schemas.Disposition) error {
	suspect, id := v.text[schemas.SuspectID].text(row), v.text[schemas.AllegationID].text(row)
	report, victim := v.text[schemas.ReportID].text(row), v.text[schemas.VictimID].text(row)
	n := atTexts + len(suspect) + len(id) + len(report) + len(victim)
	short := len(suspect)|len(id)|len(report)|len(victim) < 0x80
	if short {
		n += 4
	} else {
		n += lengthSize(len(suspect)) + lengthSize(len(id)) + lengthSize(len(report)) + lengthSize(len(victim))
	}
	offence, borough := v.offence(row), v.text[schemas.BoroughName].results[row]
	var own *ownTexts
	if max(offence, borough) == unnumbered {
		own = v.own(row)
		n += own.size(offence, borough)
	}
	rec, err := w.Record(bucket.Of(h), n)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	head := rec[:atTexts:atTexts]
	le.PutUint32(head, uint32(n))
	putHash(head, h)
	le.PutUint64(head[atReported:], sinceMin(int64(v.times[schemas.ReportedAt].Value(row)))|
		small(v.enum(schemas.SuspectStatus, row), v.enum(schemas.VictimSex, row), v.enum(schemas.Outcome, row)))
	le.PutUint64(head[atUpdated:], sinceMin(int64(v.times[schemas.UpdatedAt].Value(row)))|
		small(v.enum(schemas.Source, row), v.domesticAbuse(row), uint8(d)))
	committed := uint64(0)
	if c := v.committed(row); c != noTime {
		committed = sinceMin(c) + 1
	}
	le.PutUint64(head[atCommitted:], committed|uint64(v.ages[schemas.VictimAge][row])<<timeBits|
		uint64(v.enum(schemas.Handling, row))<<atHandling)
	le.PutUint32(head[atOffence:], offence)
	le.PutUint32(head[atBorough:], borough)
	head[atSuspectAge] = v.ages[schemas.SuspectAge][row]
	at := atTexts
	if short {
		le.PutUint32(rec[at:], uint32(len(suspect))|uint32(len(id))<<8|uint32(len(report))<<16|uint32(len(victim))<<24)
		at += 4
	} else {
		for _, n := range [...]int{len(suspect), len(id), len(report), len(victim)} {
			at += putLength(rec[at:], n)
		}
	}
	at += copyText(rec[at:], suspect)
	at += copyText(rec[at:], id)
	at += copyText(rec[at:], report)
	at += copyText(rec[at:], victim)
	if max(offence, borough) == unnumbered {
		own.put(offence, borough, rec[at:])
	}
	return nil
}

// putQuarantined notes that a version of an allegation, as of then, is quarantined, in the bucket of a hash.
func putQuarantined(w *bucket.Scatterer, h uint64, id []byte, updated int64) error {
	n := atTexts + 3 + lengthSize(len(id)) + len(id)
	rec, err := w.Record(bucket.Of(h), n)
	if err != nil {
		return err
	}
	clear(rec[:n])
	le := binary.LittleEndian
	le.PutUint32(rec, uint32(n))
	putHash(rec, h)
	le.PutUint64(rec[atUpdated:], sinceMin(updated)|small(0, 0, uint8(schemas.Quarantined)))
	copy(rec[atTexts+1+putLength(rec[atTexts+1:], len(id))+2:], id)
	return nil
}

// isQuarantined tells a record of putQuarantined from a row.
func isQuarantined(rec []byte) bool {
	return schemas.Disposition(binary.LittleEndian.Uint64(rec[atUpdated:])>>atThird&15) == schemas.Quarantined
}

// copyText copies a text, a short one as a whole register: what it writes too much is written over by what comes
// next, and what it reads too much lies behind the text in the same page.
func copyText(to, text []byte) int {
	const register = 16
	if len(text) <= register && cap(text) >= register && cap(to) >= register {
		*(*[register]byte)(to[:register]) = *(*[register]byte)(text[:register])
		return len(text)
	}
	return copy(to[:len(text)], text)
}

// A length takes one byte below 128, as nearly all do.
func lengthSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

func putLength(b []byte, n int) int {
	if n < 0x80 {
		b[0] = byte(n)
		return 1
	}
	return binary.PutUvarint(b, uint64(n))
}

func getLength(b []byte, at int) (n, after int) {
	if b[at] < 0x80 {
		return int(b[at]), at + 1
	}
	long, size := binary.Uvarint(b[at:])
	return int(long), at + size
}

// decode reads the record at the start of rec; the texts are views of it. The age is left to the window.
func (a *allegation) decode(rec []byte) {
	le := binary.LittleEndian
	reported, updated, committed := le.Uint64(rec[atReported:]), le.Uint64(rec[atUpdated:]), le.Uint64(rec[atCommitted:])
	a.reported = int64(reported&timeMask) + schemas.MinTimestamp
	a.status, a.sex, a.outcome = uint8(reported>>timeBits&7), uint8(reported>>atSecond&7), uint8(reported>>atThird&15)
	a.updated = int64(updated&timeMask) + schemas.MinTimestamp
	a.source, a.domesticAbuse = uint8(updated>>timeBits&7), uint8(updated>>atSecond&3)
	a.disposition, a.older = schemas.Disposition(updated>>atThird&15), updated&olderFlag != 0
	a.committed, a.victimAge, a.handling = noTime, uint8(committed>>timeBits), uint8(committed>>atHandling)
	if c := committed & timeMask; c != 0 {
		a.committed = int64(c-1) + schemas.MinTimestamp
	}
	a.offence = le.Uint32(rec[atOffence:])
	a.borough = le.Uint32(rec[atBorough:])
	a.suspectAge = rec[atSuspectAge]
	suspect, at := getLength(rec, atTexts)
	id, at := getLength(rec, at)
	report, at := getLength(rec, at)
	victim, at := getLength(rec, at)
	cut := func(n int) []byte {
		at += n
		return rec[at-n : at : at]
	}
	a.suspect, a.id, a.report, a.victim = cut(suspect), cut(id), cut(report), cut(victim)
	a.own = nil
	if max(a.offence, a.borough) == unnumbered {
		a.own, _ = cutOwn(a.offence, a.borough, rec[at:le.Uint32(rec)])
	}
}

// suspectOf and idOf are texts of an encoded record.
func suspectOf(rec []byte) []byte {
	suspect, at := getLength(rec, atTexts)
	for range 3 {
		_, at = getLength(rec, at)
	}
	return rec[at : at+suspect]
}

func idOf(rec []byte) []byte {
	suspect, at := getLength(rec, atTexts)
	id, at := getLength(rec, at)
	for range 2 {
		_, at = getLength(rec, at)
	}
	return rec[at+suspect : at+suspect+id]
}

// mark is what the kept rows of somebody say that may decide over those that are scored.
type mark struct {
	victim     bool // they are the victim of a row in the window
	deceased   bool // they are the suspect of a row that says so
	restricted bool // they are the suspect of a row of restricted handling
	minor      int32
	// born and bornLast are the first and the last year of birth that their ages imply (section 4); neverBorn: none.
	born, bornLast int16
}

const neverBorn = math.MaxInt16

// nothing is the mark of who has none.
var nothing = mark{minor: neverMinor, born: neverBorn, bornLast: -neverBorn}

// with is both marks together.
func (m mark) with(o mark) mark {
	return mark{
		m.victim || o.victim, m.deceased || o.deceased, m.restricted || o.restricted, min(m.minor, o.minor),
		min(m.born, o.born), max(m.bornLast, o.bornLast),
	}
}

// agesDisagree tells whether the ages imply years of birth more than two apart (section 4).
func (m mark) agesDisagree() bool { return int(m.bornLast)-int(m.born) > 2 }

// put notes a mark of somebody.
func (m mark) put(w *bucket.Scatterer, h uint64, id []byte) error {
	n := markHead + len(id)
	rec, err := w.Record(bucket.Of(h), n)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	le.PutUint32(rec, uint32(n))
	putHash(rec, h)
	rec[atFlags] = 0
	for bit, flag := range [...]bool{m.victim, m.deceased, m.restricted} {
		if flag {
			rec[atFlags] |= 1 << bit
		}
	}
	le.PutUint32(rec[atMinor:], uint32(m.minor))
	le.PutUint16(rec[atBorn:], uint16(m.born))
	le.PutUint16(rec[atBornLast:], uint16(m.bornLast))
	copyText(rec[markHead:], id)
	return nil
}

// decode reads the mark at the start of rec.
func (m *mark) decode(rec []byte) {
	le, flags := binary.LittleEndian, rec[atFlags]
	m.victim, m.deceased, m.restricted = flags&1 != 0, flags&2 != 0, flags&4 != 0
	m.minor = int32(le.Uint32(rec[atMinor:]))
	m.born, m.bornLast = int16(le.Uint16(rec[atBorn:])), int16(le.Uint16(rec[atBornLast:]))
}

// Offsets in an encoded mark, after its length and hash; the id is the rest.
const (
	atFlags    = atHash + 4
	atMinor    = atFlags + 1
	atBorn     = atMinor + 4
	atBornLast = atBorn + 2
	markHead   = atBornLast + 2
)

// versionOrders order two versions of a row by one column's values as normalised: null lowest, strings by bytes, false
// before true (section 4, rule 2).
var versionOrders = [schemas.OffenceColumns]func(v *vocabulary, a, b *allegation) int{
	schemas.AllegationID: func(_ *vocabulary, a, b *allegation) int { return bytes.Compare(a.id, b.id) },
	schemas.ReportID:     func(_ *vocabulary, a, b *allegation) int { return bytes.Compare(a.report, b.report) },
	schemas.SuspectID:    func(_ *vocabulary, a, b *allegation) int { return bytes.Compare(a.suspect, b.suspect) },
	schemas.SuspectAge:   func(_ *vocabulary, a, b *allegation) int { return compareAge(a.suspectAge, b.suspectAge) },
	schemas.SuspectStatus: func(_ *vocabulary, a, b *allegation) int {
		return compareEnum(schemas.SuspectStatus, a.status, b.status)
	},
	schemas.OffenceCode: func(v *vocabulary, a, b *allegation) int {
		return strings.Compare(v.offenceOf(a).code, v.offenceOf(b).code)
	},
	schemas.OffenceClass: func(v *vocabulary, a, b *allegation) int {
		return strings.Compare(v.offenceOf(a).class, v.offenceOf(b).class)
	},
	schemas.OffenceURN: func(v *vocabulary, a, b *allegation) int {
		return strings.Compare(v.offenceOf(a).urn, v.offenceOf(b).urn)
	},
	schemas.ReportedAt:    func(_ *vocabulary, a, b *allegation) int { return cmp.Compare(a.reported, b.reported) },
	schemas.CommittedAt:   func(_ *vocabulary, a, b *allegation) int { return cmp.Compare(a.committed, b.committed) },
	schemas.BoroughName:   func(v *vocabulary, a, b *allegation) int { return strings.Compare(v.boroughOf(a), v.boroughOf(b)) },
	schemas.VictimID:      func(_ *vocabulary, a, b *allegation) int { return bytes.Compare(a.victim, b.victim) },
	schemas.VictimSex:     func(_ *vocabulary, a, b *allegation) int { return compareEnum(schemas.VictimSex, a.sex, b.sex) },
	schemas.VictimAge:     func(_ *vocabulary, a, b *allegation) int { return compareAge(a.victimAge, b.victimAge) },
	schemas.DomesticAbuse: func(_ *vocabulary, a, b *allegation) int { return cmp.Compare(a.domesticAbuse, b.domesticAbuse) },
	schemas.Source:        func(_ *vocabulary, a, b *allegation) int { return compareEnum(schemas.Source, a.source, b.source) },
	schemas.Outcome:       func(_ *vocabulary, a, b *allegation) int { return compareEnum(schemas.Outcome, a.outcome, b.outcome) },
	schemas.UpdatedAt:     func(_ *vocabulary, a, b *allegation) int { return cmp.Compare(a.updated, b.updated) },
	schemas.Handling: func(_ *vocabulary, a, b *allegation) int {
		return compareEnum(schemas.Handling, a.handling, b.handling)
	},
}

func init() {
	schemas.MustHaveEvery("scoring: versionOrders", func(column int) bool { return versionOrders[column] != nil })
}

// compare orders two versions of a row, in the order of the contract's columns.
func (v *vocabulary) compare(a, b *allegation) int {
	for _, order := range &versionOrders {
		if c := order(v, a, b); c != 0 {
			return c
		}
	}
	return 0
}

// compareAge puts noAge lowest: it wraps to zero.
func compareAge(a, b uint8) int { return cmp.Compare(a+1, b+1) }

func compareEnum(column int, a, b uint8) int {
	return strings.Compare(enumText(column, a), enumText(column, b))
}

func enumText(column int, position uint8) string {
	if position == 0 {
		return ""
	}
	return schemas.Offences[column].Enum[position-1]
}

func enumPosition(column int, value string) uint32 {
	for i, v := range schemas.Offences[column].Enum {
		if v == value {
			return uint32(i + 1)
		}
	}
	return notAllowed
}
