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

// validator normalises the rows of batches, one goroutine's, and finds those to be quarantined (section 4,
// rule 1). It is what the check stage and the engine share.
type validator struct {
	vocabulary *vocabulary
	links      *Links
	text       [schemas.OffenceColumns]*textColumn // nil for a column that is no text
	ages       [schemas.OffenceColumns][]uint8     // noAge for null and for what is out of range
	times      [schemas.OffenceColumns]*array.Timestamp
	bools      [schemas.OffenceColumns]*array.Boolean
	nobody     []bool     // of every row: its suspect is null or a placeholder
	faults     []rowFault // of every row
	faulty     bool       // some row of the batch has one

	offences map[offenceParts]uint32 // numbers of (code, class, urn)
	recent   [1 << 10]recentOffence  // in front of offences
	parts    *interner               // numbers of codes, classes and urns

	rows        int64
	outOfRange  [schemas.OffenceColumns]int64 // values that cannot be held and are null, by column
	placeholder [schemas.OffenceColumns]int64 // ids that name nobody, by column
	linked      int64                         // rows, not quarantined, of which links replaced an id
	quarantined [faultCount]int64             // rows by fault
}

// offenceParts are the numbers of a code, a class and a urn.
type offenceParts struct{ code, class, urn uint32 }

type recentOffence struct {
	offenceParts
	number uint32 // + 1
}

// interner numbers the texts that one validator meets, from 1, as long as there is room.
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

func newValidator(known *vocabulary) *validator {
	v := &validator{
		vocabulary: known,
		offences:   map[offenceParts]uint32{},
		parts:      newInterner(),
	}
	for i, c := range schemas.Offences {
		if c.Type != schemas.String {
			continue
		}
		v.text[i] = &textColumn{seen: map[string]uint32{}}
		switch {
		case c.Enum != nil:
			v.text[i].numberOf = func(s string) uint32 { return enumPosition(i, s) }
		case i == schemas.BoroughName:
			v.text[i].numberOf = known.boroughNumber
		case i == schemas.OffenceClass, i == schemas.OffenceURN:
			v.text[i].numberOf = func(s string) uint32 { return v.parts.of(s) }
		case i == schemas.OffenceCode:
			v.text[i].numberOf = func(s string) uint32 {
				code, ok := schemas.NormaliseOffenceCode(s)
				if !ok {
					return notAllowed
				}
				return v.parts.of(code)
			}
		}
	}
	return v
}

// load takes a batch in and finds the faults of its rows.
func (v *validator) load(batch arrow.Record) error {
	if n := int(batch.NumCols()); n != int(schemas.OffenceColumns) {
		return fmt.Errorf("a batch has another number of columns than the contract: %d, not %d", n, schemas.OffenceColumns)
	}
	n := int(batch.NumRows())
	if cap(v.faults) < n {
		v.faults = make([]rowFault, n)
	}
	if v.faulty {
		clear(v.faults[:cap(v.faults)])
		v.faulty = false
	}
	v.faults = v.faults[:n]
	v.rows += int64(n)
	if v.parts.full() || len(v.offences) >= maxNumbered {
		v.forget()
	}
	for i, c := range schemas.Offences {
		ok := true
		switch col := batch.Column(i); c.Type {
		case schemas.String:
			if err := v.text[i].load(col); err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
			if c.NotNull {
				v.textFaults(i)
			} else {
				v.textNulls(i)
			}
		case schemas.Timestamp:
			if v.times[i], ok = col.(*array.Timestamp); ok {
				ok = arrow.TypeEqual(col.DataType(), schemas.ArrowTimestamp)
				v.timeFaults(v.times[i], i, c.NotNull)
			}
		case schemas.Int32:
			var ages *array.Int32
			if ages, ok = col.(*array.Int32); ok {
				v.ages[i] = grow(v.ages[i], n)
				v.readAges(i, ages)
			}
		case schemas.Bool:
			v.bools[i], ok = col.(*array.Boolean)
		}
		if !ok {
			return fmt.Errorf(
				"column %s: a batch holds %s where the contract has %s",
				c.Name,
				batch.Column(i).DataType(),
				c.Type,
			)
		}
	}
	v.link()
	v.findNobody()
	return nil
}

// link replaces the ids of suspects and victims by the ends of their chains (section 3).
func (v *validator) link() {
	if v.links == nil {
		return
	}
	suspects, victims := v.text[schemas.SuspectID], v.text[schemas.VictimID]
	for row := range v.faults {
		suspect, victim := v.links.replace(suspects, row), v.links.replace(victims, row)
		if (suspect || victim) && v.faults[row] == 0 {
			v.linked++
		}
	}
}

// findNobody finds the rows whose suspect is nobody, and makes a victim null who is (section 4, rule 5).
func (v *validator) findNobody() {
	v.nobody = grow(v.nobody, len(v.faults))
	suspects, victims := v.text[schemas.SuspectID], v.text[schemas.VictimID]
	for row := range v.nobody {
		suspect := suspects.text(row)
		v.nobody[row] = v.vocabulary.tables.IsPlaceholder(text(suspect))
		if v.nobody[row] && len(suspect) > 0 && v.faults[row] == 0 {
			v.placeholder[schemas.SuspectID]++
		}
		if victim := victims.text(row); len(victim) > 0 && v.vocabulary.tables.IsPlaceholder(text(victim)) {
			victims.drop(row)
			if v.faults[row] == 0 {
				v.placeholder[schemas.VictimID]++
			}
		}
	}
}

// takeAsFemale makes victims female whose sex nobody says.
func (v *validator) takeAsFemale() {
	sexes := v.text[schemas.VictimSex].results[:len(v.faults)]
	for row, sex := range sexes {
		if sex == null || uint8(sex) == sexUnknown {
			sexes[row] = uint32(sexFemale)
		}
	}
}

// rowFault is why a row is quarantined: a column and a rule. Zero: it is not.
type rowFault uint8

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
func (f rowFault) String() string {
	texts := [...]string{"missing", "not an allowed value", "not a Home Office code", "out of range", "not UTF-8"}
	return schemas.Offences[int(f-1)/int(ruleCount)].Name + ": " + texts[rule(f-1)%ruleCount]
}

// fault notes why a row is quarantined; the first column in the contract's order stands.
func (v *validator) fault(row, column int, r rule) {
	if v.faults[row] == 0 {
		v.faults[row] = rowFault(1 + column*int(ruleCount) + int(r))
		v.faulty = true
	}
}

// textFaults finds the rows to be quarantined for a column that must have a value.
func (v *validator) textFaults(i int) {
	t := v.text[i]
	if !t.mayFail && !t.mayLack {
		return
	}
	if t.numberOf == nil {
		for row := range v.faults {
			switch text := t.text(row); {
			case len(text) == 0:
				v.fault(row, i, ruleMissing)
			case isBroken(text):
				v.fault(row, i, ruleNotUTF8)
			}
		}
		return
	}
	for row, number := range t.results[:len(v.faults)] {
		switch {
		case number == null:
			v.fault(row, i, ruleMissing)
		case number == notUTF8:
			v.fault(row, i, ruleNotUTF8)
		case number == notAllowed && i == schemas.OffenceCode:
			v.fault(row, i, ruleNotCode)
		case number == notAllowed:
			v.fault(row, i, ruleNotAllowed)
		}
	}
}

// textNulls makes what a nullable column cannot hold null, and counts it (section 3).
func (v *validator) textNulls(i int) {
	t := v.text[i]
	if !t.mayFail {
		return
	}
	if t.numberOf == nil {
		for row := range v.faults {
			if isBroken(t.text(row)) {
				t.drop(row)
				v.outOfRange[i]++
			}
		}
		return
	}
	for row, number := range t.results[:len(v.faults)] {
		if number != notUTF8 && number != notAllowed {
			continue
		}
		v.outOfRange[i]++
		t.results[row] = null
		if i == schemas.Handling { // fails safe: whoever cannot be read must not be told to a borough
			t.results[row] = uint32(handlingRestricted)
		}
	}
}

func (v *validator) timeFaults(col *array.Timestamp, i int, notNull bool) {
	if (col.NullN() == 0 || !notNull) &&
		within(col.TimestampValues(), arrow.Timestamp(schemas.MinTimestamp), arrow.Timestamp(schemas.EndTimestamp-1)) {
		return
	}
	for row, t := range col.TimestampValues() {
		switch {
		case col.IsNull(row):
			if notNull {
				v.fault(row, i, ruleMissing)
			}
		case !validTime(int64(t)) && notNull:
			v.fault(row, i, ruleOutOfRange)
		case !validTime(int64(t)):
			v.outOfRange[i]++
		}
	}
}

func validTime(t int64) bool { return t >= schemas.MinTimestamp && t < schemas.EndTimestamp }

// committed is when the row's offence began; noTime for null and for what is out of range.
func (v *validator) committed(row int) int64 {
	c := v.times[schemas.CommittedAt]
	if t := int64(c.Value(row)); c.IsValid(row) && validTime(t) {
		return t
	}
	return noTime
}

// version is of which allegation a row that is quarantined is a version, and as of when; ok: it says both.
func (v *validator) version(row int) (id []byte, updated int64, ok bool) {
	id = v.text[schemas.AllegationID].text(row)
	at := v.times[schemas.UpdatedAt]
	updated = int64(at.Value(row))
	return id, updated, len(id) > 0 && !isBroken(id) && at.IsValid(row) && validTime(updated)
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
func (v *validator) readAges(column int, col *array.Int32) {
	values, to := col.Int32Values(), v.ages[column]
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
			v.outOfRange[column]++
		default:
			to[i] = uint8(age)
		}
	}
}

// report hands the batch's quarantined rows on and counts them.
func (v *validator) report(
	batch arrow.Record,
	firstRow int64,
	to func(arrow.Record, int64, []Quarantined) error,
) error {
	if !v.faulty {
		return nil
	}
	var rows []Quarantined
	for i, f := range v.faults {
		if f != 0 {
			rows = append(rows, Quarantined{i, f.String()})
			v.quarantined[f]++
		}
	}
	if to == nil {
		return nil
	}
	return to(batch, firstRow, rows)
}

// abuseTrue is a flag of domestic abuse that is set, as records hold it: 0 is null, 1 false.
const abuseTrue = 2

// domesticAbuse is the row's flag, as records hold it.
func (v *validator) domesticAbuse(row int) uint8 {
	switch abuse := v.bools[schemas.DomesticAbuse]; {
	case abuse.IsNull(row):
		return 0
	case abuse.Value(row):
		return abuseTrue
	}
	return 1
}

func (v *validator) enum(column, row int) uint8 { return uint8(v.text[column].results[row]) }

// forget makes room for the offences of the batches to come: what was met only once must not keep out what comes often.
func (v *validator) forget() {
	for _, column := range offenceColumns {
		v.text[column].forget()
	}
	v.parts = newInterner()
	clear(v.offences)
	v.recent = [len(v.recent)]recentOffence{}
}

// offenceColumns are those that make an offence.
var offenceColumns = [...]int{schemas.OffenceCode, schemas.OffenceClass, schemas.OffenceURN}

// offence is the number of the row's code, class and urn together.
func (v *validator) offence(row int) uint32 {
	p := offenceParts{
		v.text[schemas.OffenceCode].results[row],
		v.text[schemas.OffenceClass].results[row],
		v.text[schemas.OffenceURN].results[row],
	}
	recent := &v.recent[(p.code*31+p.class*7+p.urn)%uint32(len(v.recent))]
	if recent.number != 0 && recent.offenceParts == p {
		return recent.number - 1
	}
	if max(p.code, p.class, p.urn) == unnumbered {
		return v.vocabulary.offenceNumber(v.offenceKey(row))
	}
	n, ok := v.offences[p]
	if !ok {
		n = v.vocabulary.offenceNumber(v.offenceKey(row))
		v.offences[p] = n
	}
	*recent = recentOffence{p, n + 1}
	return n
}

// offenceKey is the row's code, class and urn as texts.
func (v *validator) offenceKey(row int) offenceKey {
	var texts [len(offenceColumns)]string
	for i, column := range offenceColumns {
		c := v.text[column]
		if n := c.results[row]; n != unnumbered {
			texts[i] = v.parts.texts[n]
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
func (v *validator) weight(row int) *reference.Weight {
	return v.weighed(row).weight(v.enum(schemas.VictimSex, row), v.domesticAbuse(row))
}

// weighed is the row's offence, looked up by itself when it has no number.
func (v *validator) weighed(row int) *offence {
	if n := v.offence(row); n != unnumbered {
		return v.vocabulary.offence(n)
	}
	o := v.vocabulary.weigh(v.offenceKey(row))
	return &o
}

// own are the texts of the row that have no numbers.
func (v *validator) own(row int) *ownTexts {
	own := &ownTexts{}
	if v.offence(row) == unnumbered {
		own.offenceKey = v.offenceKey(row)
	}
	if c := v.text[schemas.BoroughName]; c.results[row] == unnumbered {
		own.borough = c.given(row)
	}
	return own
}

func (v *validator) release() {
	for _, t := range v.text {
		if t != nil {
			t.release()
		}
	}
}
