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
	ages       [schemas.OffenceColumns]*array.Int32
	times      [schemas.OffenceColumns]*array.Timestamp
	abuse      *array.Boolean
	faults     []string // of every row; empty: none

	offences map[[3]uint32]uint32 // numbers of (code, class, urn) by the numbers of the parts
	parts    *interner            // numbers of codes, classes and urns

	rows           int64
	agesOutOfRange int64
	quarantined    map[string]int64
}

// interner numbers the texts that one judge meets, from 1.
type interner struct {
	texts  []string
	number map[string]uint32
}

func (p *interner) of(s string) uint32 {
	n, ok := p.number[s]
	if !ok {
		n = uint32(len(p.texts))
		p.number[s] = n
		p.texts = append(p.texts, s)
	}
	return n
}

func newJudge(v *vocabulary) *judge {
	j := &judge{
		vocabulary:  v,
		offences:    map[[3]uint32]uint32{},
		parts:       &interner{texts: []string{""}, number: map[string]uint32{"": null}},
		quarantined: map[string]int64{},
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
			j.text[i].judge = j.parts.of
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
	j.faults = grow(j.faults, n)
	clear(j.faults)
	j.rows += int64(n)
	for i, c := range schemas.Offences {
		ok := true
		switch col := batch.Column(i); c.Type {
		case schemas.String:
			if err := j.text[i].load(col); err != nil {
				return fmt.Errorf("column %s: %w", c.Name, err)
			}
			j.textFaults(i, c)
		case schemas.Timestamp:
			if j.times[i], ok = col.(*array.Timestamp); ok {
				ok = arrow.TypeEqual(col.DataType(), schemas.ArrowTimestamp)
				j.timeFaults(j.times[i], c)
			}
		case schemas.Int32:
			if j.ages[i], ok = col.(*array.Int32); ok {
				j.countAges(j.ages[i])
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

// fault notes why a row is quarantined; the first column in the contract's order stands.
func (j *judge) fault(row int, c *schemas.Column, rule string) {
	if j.faults[row] == "" {
		j.faults[row] = c.Name + ": " + rule
	}
}

// The rules of quarantine, as the reasons name them.
const (
	ruleMissing    = "missing"
	ruleNotAllowed = "not an allowed value"
	ruleNotCode    = "not a Home Office code"
	ruleOutOfRange = "out of range"
	ruleNotUTF8    = "not UTF-8"
)

func (j *judge) textFaults(i int, c schemas.Column) {
	t := j.text[i]
	if t.judge == nil {
		for row := range j.faults {
			switch text := t.texts[row]; {
			case len(text) == 0 && c.NotNull:
				j.fault(row, &c, ruleMissing)
			case isBroken(text):
				j.fault(row, &c, ruleNotUTF8)
			}
		}
		return
	}
	for row, number := range t.results[:len(j.faults)] {
		switch {
		case number == null && c.NotNull:
			j.fault(row, &c, ruleMissing)
		case number == notUTF8:
			j.fault(row, &c, ruleNotUTF8)
		case number == notAllowed && i == schemas.OffenceCode:
			j.fault(row, &c, ruleNotCode)
		case number == notAllowed:
			j.fault(row, &c, ruleNotAllowed)
		}
	}
}

func (j *judge) timeFaults(col *array.Timestamp, c schemas.Column) {
	for row, t := range col.TimestampValues() {
		switch {
		case col.IsNull(row):
			if c.NotNull {
				j.fault(row, &c, ruleMissing)
			}
		case int64(t) < schemas.MinTimestamp || int64(t) >= schemas.EndTimestamp:
			j.fault(row, &c, ruleOutOfRange)
		}
	}
}

func (j *judge) countAges(col *array.Int32) {
	for row, age := range col.Int32Values() {
		if col.IsValid(row) && (age < 0 || age > schemas.MaxAge) {
			j.agesOutOfRange++
		}
	}
}

// report hands the batch's quarantined rows on and counts them.
func (j *judge) report(batch arrow.Record, firstRow int64, to func(arrow.Record, int64, []Quarantined) error) error {
	var rows []Quarantined
	for i, reason := range j.faults {
		if reason != "" {
			rows = append(rows, Quarantined{i, reason})
			j.quarantined[reason]++
		}
	}
	if rows == nil || to == nil {
		return nil
	}
	return to(batch, firstRow, rows)
}

// read fills in the row's values as normalised; the texts are views that live as long as the batch.
func (j *judge) read(row int, a *allegation) {
	a.id, a.report = j.text[schemas.AllegationID].texts[row], j.text[schemas.ReportID].texts[row]
	a.suspect, a.victim = j.text[schemas.SuspectID].texts[row], j.text[schemas.VictimID].texts[row]
	a.suspectAge, a.victimAge = j.age(schemas.SuspectAge, row), j.age(schemas.VictimAge, row)
	a.status, a.sex = j.enum(schemas.SuspectStatus, row), j.enum(schemas.VictimSex, row)
	a.source, a.outcome = j.enum(schemas.Source, row), j.enum(schemas.Outcome, row)
	a.reported, a.updated = int64(j.times[schemas.ReportedAt].Value(row)), int64(j.times[schemas.UpdatedAt].Value(row))
	a.committed = noTime
	if c := j.times[schemas.CommittedAt]; c.IsValid(row) {
		a.committed = int64(c.Value(row))
	}
	a.borough = j.text[schemas.BoroughName].results[row]
	a.offence = j.offence(j.text[schemas.OffenceCode].results[row], j.text[schemas.OffenceClass].results[row], j.text[schemas.OffenceURN].results[row])
	a.domesticAbuse = 0
	if j.abuse.IsValid(row) {
		a.domesticAbuse = 1
		if j.abuse.Value(row) {
			a.domesticAbuse = 2
		}
	}
}

func (j *judge) age(column, row int) uint8 {
	if col := j.ages[column]; col.IsValid(row) {
		if age := col.Value(row); age >= 0 && age <= schemas.MaxAge {
			return uint8(age)
		}
	}
	return noAge
}

func (j *judge) enum(column, row int) uint8 { return uint8(j.text[column].results[row]) }

func (j *judge) offence(code, class, urn uint32) uint32 {
	key := [3]uint32{code, class, urn}
	n, ok := j.offences[key]
	if !ok {
		n = j.vocabulary.offenceNumber(offenceKey{j.parts.texts[code], j.parts.texts[class], j.parts.texts[urn]})
		j.offences[key] = n
	}
	return n
}

func (j *judge) release() {
	for _, t := range j.text {
		if t != nil {
			t.release()
		}
	}
}

// rules are the dispositions that one row decides alone, from rule 3 on.
type rules struct {
	window     window
	vocabulary *vocabulary
}

// Positions of the enum values that the rules name.
var (
	statusDeceased       = uint8(enumPosition(schemas.SuspectStatus, schemas.StatusDeceased))
	sourceIntelligence   = uint8(enumPosition(schemas.Source, schemas.SourceIntelligence))
	sourcePoliceDetected = uint8(enumPosition(schemas.Source, schemas.SourcePoliceDetected))
	outcomeNoCrime       = uint8(enumPosition(schemas.Outcome, schemas.OutcomeNoCrime))
	outcomeAcquitted     = uint8(enumPosition(schemas.Outcome, schemas.OutcomeAcquitted))
)

// decide gives the row the disposition it has if it stays and its suspect is alive.
func (r *rules) decide(a *allegation) schemas.Disposition {
	age, d := r.window.age(a.reported)
	a.age = uint32(age)
	switch {
	case d != schemas.Scored:
		return d
	case len(a.suspect) == 0 || len(a.suspect) <= longestPlaceholder && schemas.IsPlaceholder(string(a.suspect)):
		return schemas.NoNamedSuspect
	case a.source == sourceIntelligence:
		return schemas.IntelligenceOnly
	case a.source == sourcePoliceDetected:
		return schemas.PoliceDetected
	case a.outcome == outcomeNoCrime || a.outcome == outcomeAcquitted:
		return schemas.Cleared
	}
	switch r.vocabulary.offence(a.offence).weight(a.sex).Verdict {
	case reference.NotVAWG:
		return schemas.NotVAWG
	case reference.Unscored:
		return schemas.UnscoredOffence
	}
	if a.suspectAge < uint8(schemas.AdultAge) {
		return schemas.SuspectUnder18
	}
	return schemas.Scored
}

// longestPlaceholder spares long ids the look-up; a letter's other case may take more bytes.
const longestPlaceholder = 16

// Feeder takes the batches of one goroutine into the engine.
type Feeder struct {
	engine  *Engine
	judge   *judge
	scatter *scatterer
	row     allegation
}

// NewFeeder returns a feeder for one goroutine. It must be closed.
func (e *Engine) NewFeeder() *Feeder {
	return &Feeder{engine: e, judge: newJudge(e.vocabulary), scatter: &scatterer{to: e.versions}}
}

// Add takes in one batch of schemas.OffenceArrow, whose string columns may be dictionaries. It keeps
// nothing of the batch. firstRow is the ordinal of the batch's first row in the extract.
func (f *Feeder) Add(batch arrow.Record, firstRow int64) error {
	if err := f.judge.load(batch); err != nil {
		return err
	}
	if err := f.judge.report(batch, firstRow, f.engine.options.Quarantine); err != nil {
		return err
	}
	for i, fault := range f.judge.faults {
		if fault != "" {
			continue
		}
		f.judge.read(i, &f.row)
		f.row.disposition = f.engine.rules.decide(&f.row)
		if err := put(f.scatter, f.engine.seed, f.row.id, &f.row); err != nil {
			return err
		}
	}
	return nil
}

// Close hands over what the feeder still holds.
func (f *Feeder) Close() error {
	f.judge.release()
	f.engine.count(f.judge)
	return f.scatter.close()
}
