package scoring

import (
	"fmt"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Quarantined is one row of a batch that takes no part, and why. The reason names column and rule,
// never the value.
type Quarantined struct {
	Index  int
	Reason string
}

// judge normalises the rows of batches, one goroutine's, and finds those to be quarantined (section 4,
// rule 1). It is what the check stage and the engine share.
type judge struct {
	vocabulary *vocabulary
	text       [schemas.OffenceColumns]*textColumn // nil for a column that is no text
	ages       [schemas.OffenceColumns][]uint8     // noAge for null and for what is out of range
	times      [schemas.OffenceColumns]*array.Timestamp
	abuse      *array.Boolean
	faults     []fault // of every row
	faulty     bool    // some row of the batch has one

	offences map[offenceParts]uint32 // numbers of (code, class, urn)
	recent   [1 << 10]recentOffence  // in front of offences
	parts    *interner               // numbers of codes, classes and urns

	rows        int64
	outOfRange  [schemas.OffenceColumns]int64 // ages by column
	quarantined [faultCount]int64             // rows by fault
}

// offenceParts are the numbers of a code, a class and a urn.
type offenceParts struct{ code, class, urn uint32 }

type recentOffence struct {
	offenceParts
	number uint32 // + 1
}

// interner numbers the texts that one judge meets, from 1, as long as there is room.
type interner struct {
	texts  []string
	number map[string]uint32
}

func newInterner() *interner { return &interner{[]string{""}, map[string]uint32{"": null}} }

func (p *interner) of(s string) uint32 {
	n, ok := p.number[s]
	if !ok {
		if len(s) > maxNumberedText || p.full() {
			return unnumbered
		}
		n = uint32(len(p.texts))
		p.number[s] = n
		p.texts = append(p.texts, s)
	}
	return n
}

func (p *interner) full() bool { return len(p.texts) >= maxNumbered }

func newJudge(v *vocabulary) *judge {
	j := &judge{
		vocabulary: v,
		offences:   map[offenceParts]uint32{},
		parts:      newInterner(),
	}
	for i, c := range schemas.Offences {
		if c.Type != schemas.String {
			continue
		}
		j.text[i] = &textColumn{seen: map[string]uint32{}}
		switch {
		case c.Enum != nil:
			j.text[i].judge = func(s string) uint32 { return enumPosition(i, s) }
		case i == schemas.BoroughName:
			j.text[i].judge = v.boroughNumber
		case i == schemas.OffenceClass, i == schemas.OffenceURN:
			j.text[i].judge = func(s string) uint32 { return j.parts.of(s) }
		case i == schemas.OffenceCode:
			j.text[i].judge = func(s string) uint32 {
				code, ok := schemas.NormaliseOffenceCode(s)
				if !ok {
					return notAllowed
				}
				return j.parts.of(code)
			}
		}
	}
	return j
}

// load takes a batch in and finds the faults of its rows.
func (j *judge) load(batch arrow.Record) error {
	if n := int(batch.NumCols()); n != int(schemas.OffenceColumns) {
		return fmt.Errorf("a batch has %d columns, the contract %d", n, schemas.OffenceColumns)
	}
	n := int(batch.NumRows())
	if cap(j.faults) < n {
		j.faults = make([]fault, n)
	}
	if j.faulty {
		clear(j.faults[:cap(j.faults)])
		j.faulty = false
	}
	j.faults = j.faults[:n]
	j.rows += int64(n)
	if j.parts.full() || len(j.offences) >= maxNumbered {
		j.forget()
	}
	for i, c := range schemas.Offences {
		ok := true
		switch col := batch.Column(i); c.Type {
		case schemas.String:
			if err := j.text[i].load(col); err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
			j.textFaults(i, c.NotNull)
		case schemas.Timestamp:
			if j.times[i], ok = col.(*array.Timestamp); ok {
				ok = arrow.TypeEqual(col.DataType(), schemas.ArrowTimestamp)
				j.timeFaults(j.times[i], i, c.NotNull)
			}
		case schemas.Int32:
			var ages *array.Int32
			if ages, ok = col.(*array.Int32); ok {
				j.ages[i] = grow(j.ages[i], n)
				j.readAges(i, ages)
			}
		case schemas.Bool:
			j.abuse, ok = col.(*array.Boolean)
		}
		if !ok {
			return fmt.Errorf("column %s: a batch holds %s where the contract has %s", c.Name, batch.Column(i).DataType(), c.Type)
		}
	}
	return nil
}

// fault is why a row is quarantined: a column and a rule. Zero: it is not.
type fault uint8

// rule is a reason for quarantine.
type rule uint8

const (
	ruleMissing rule = iota
	ruleNotAllowed
	ruleNotCode
	ruleOutOfRange
	ruleNotUTF8
	ruleCount
)

const faultCount = 1 + int(schemas.OffenceColumns)*int(ruleCount)

// String is the reason as the files and counts name it.
func (f fault) String() string {
	texts := [...]string{"missing", "not an allowed value", "not a Home Office code", "out of range", "not UTF-8"}
	return schemas.Offences[int(f-1)/int(ruleCount)].Name + ": " + texts[rule(f-1)%ruleCount]
}

// fault notes why a row is quarantined; the first column in the contract's order stands.
func (j *judge) fault(row, column int, r rule) {
	if j.faults[row] == 0 {
		j.faults[row] = fault(1 + column*int(ruleCount) + int(r))
		j.faulty = true
	}
}

func (j *judge) textFaults(i int, notNull bool) {
	t := j.text[i]
	if !t.mayFail && !(t.mayLack && notNull) {
		return
	}
	if t.judge == nil {
		for row := range j.faults {
			switch text := t.text(row); {
			case len(text) == 0 && notNull:
				j.fault(row, i, ruleMissing)
			case isBroken(text):
				j.fault(row, i, ruleNotUTF8)
			}
		}
		return
	}
	for row, number := range t.results[:len(j.faults)] {
		switch {
		case number == null && notNull:
			j.fault(row, i, ruleMissing)
		case number == notUTF8:
			j.fault(row, i, ruleNotUTF8)
		case number == notAllowed && i == schemas.OffenceCode:
			j.fault(row, i, ruleNotCode)
		case number == notAllowed:
			j.fault(row, i, ruleNotAllowed)
		}
	}
}

func (j *judge) timeFaults(col *array.Timestamp, i int, notNull bool) {
	if (col.NullN() == 0 || !notNull) && within(col.TimestampValues(), arrow.Timestamp(schemas.MinTimestamp), arrow.Timestamp(schemas.EndTimestamp-1)) {
		return
	}
	for row, t := range col.TimestampValues() {
		switch {
		case col.IsNull(row):
			if notNull {
				j.fault(row, i, ruleMissing)
			}
		case int64(t) < schemas.MinTimestamp || int64(t) >= schemas.EndTimestamp:
			j.fault(row, i, ruleOutOfRange)
		}
	}
}

// within tells whether every value is from low to high, those of nulls too.
func within[T int32 | arrow.Timestamp](values []T, low, high T) bool {
	if len(values) == 0 {
		return true
	}
	least, most := values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	return least >= low && most <= high
}

// readAges narrows ages and counts those out of range.
func (j *judge) readAges(column int, col *array.Int32) {
	values, to := col.Int32Values(), j.ages[column]
	if col.NullN() == 0 && within(values, 0, schemas.MaxAge) {
		for i, age := range values {
			to[i] = uint8(age)
		}
		return
	}
	for i, age := range values {
		switch {
		case col.IsNull(i):
			to[i] = noAge
		case age < 0 || age > schemas.MaxAge:
			to[i] = noAge
			j.outOfRange[column]++
		default:
			to[i] = uint8(age)
		}
	}
}

// report hands the batch's quarantined rows on and counts them.
func (j *judge) report(batch arrow.Record, firstRow int64, to func(arrow.Record, int64, []Quarantined) error) error {
	if !j.faulty {
		return nil
	}
	var rows []Quarantined
	for i, f := range j.faults {
		if f != 0 {
			rows = append(rows, Quarantined{i, f.String()})
			j.quarantined[f]++
		}
	}
	if to == nil {
		return nil
	}
	return to(batch, firstRow, rows)
}

// domesticAbuse is 0 for null, 1 for false, 2 for true.
func (j *judge) domesticAbuse(row int) uint8 {
	switch {
	case j.abuse.IsNull(row):
		return 0
	case j.abuse.Value(row):
		return 2
	}
	return 1
}

func (j *judge) enum(column, row int) uint8 { return uint8(j.text[column].results[row]) }

// forget makes room for the offences of the batches to come: what was met only once must not keep out what comes often.
func (j *judge) forget() {
	for _, column := range offenceColumns {
		j.text[column].forget()
	}
	j.parts = newInterner()
	clear(j.offences)
	j.recent = [len(j.recent)]recentOffence{}
}

// offenceColumns are those that make an offence.
var offenceColumns = [...]int{schemas.OffenceCode, schemas.OffenceClass, schemas.OffenceURN}

// offence is the number of the row's code, class and urn together.
func (j *judge) offence(row int) uint32 {
	p := offenceParts{j.text[schemas.OffenceCode].results[row], j.text[schemas.OffenceClass].results[row], j.text[schemas.OffenceURN].results[row]}
	recent := &j.recent[(p.code*31+p.class*7+p.urn)%uint32(len(j.recent))]
	if recent.number != 0 && recent.offenceParts == p {
		return recent.number - 1
	}
	if max(p.code, p.class, p.urn) == unnumbered {
		return j.vocabulary.offenceNumber(j.offenceKey(row))
	}
	n, ok := j.offences[p]
	if !ok {
		n = j.vocabulary.offenceNumber(j.offenceKey(row))
		j.offences[p] = n
	}
	*recent = recentOffence{p, n + 1}
	return n
}

// offenceKey is the row's code, class and urn as texts.
func (j *judge) offenceKey(row int) offenceKey {
	var texts [len(offenceColumns)]string
	for i, column := range offenceColumns {
		c := j.text[column]
		if n := c.results[row]; n != unnumbered {
			texts[i] = j.parts.texts[n]
			continue
		}
		texts[i] = c.given(row)
		if column == schemas.OffenceCode {
			texts[i], _ = schemas.NormaliseOffenceCode(texts[i])
		}
	}
	return offenceKey{texts[0], texts[1], texts[2]}
}

// weight is what the row's offence weighs.
func (j *judge) weight(row int) *reference.Weight {
	sex := j.enum(schemas.VictimSex, row)
	n := j.offence(row)
	if n == unnumbered {
		o := j.vocabulary.weigh(j.offenceKey(row))
		return o.weight(sex)
	}
	return j.vocabulary.offence(n).weight(sex)
}

// own are the texts of the row that have no numbers.
func (j *judge) own(row int) *ownTexts {
	own := &ownTexts{}
	if j.offence(row) == unnumbered {
		own.offenceKey = j.offenceKey(row)
	}
	if c := j.text[schemas.BoroughName]; c.results[row] == unnumbered {
		own.borough = c.given(row)
	}
	return own
}

func (j *judge) release() {
	for _, t := range j.text {
		if t != nil {
			t.release()
		}
	}
}
