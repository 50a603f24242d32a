package scoring

import (
	"errors"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// rules are the dispositions that one row decides alone, from rule 3 on.
type rules struct {
	window     window
	vocabulary *vocabulary
	counted    schemas.Disposition // see Options
}

// Positions of the enum values that the rules name.
var (
	statusInCustody      = uint8(enumPosition(schemas.SuspectStatus, schemas.StatusInCustody))
	sexFemale            = uint8(enumPosition(schemas.VictimSex, schemas.SexFemale))
	sexUnknown           = uint8(enumPosition(schemas.VictimSex, schemas.SexUnknown))
	statusDeceased       = uint8(enumPosition(schemas.SuspectStatus, schemas.StatusDeceased))
	sourceIntelligence   = uint8(enumPosition(schemas.Source, schemas.SourceIntelligence))
	sourcePoliceDetected = uint8(enumPosition(schemas.Source, schemas.SourcePoliceDetected))
	outcomeNoCrime       = uint8(enumPosition(schemas.Outcome, schemas.OutcomeNoCrime))
	outcomeAcquitted     = uint8(enumPosition(schemas.Outcome, schemas.OutcomeAcquitted))
	outcomeTransferred   = uint8(enumPosition(schemas.Outcome, schemas.OutcomeTransferred))
	outcomeWithdrawn     = uint8(enumPosition(schemas.Outcome, schemas.OutcomeWithdrawn))
	handlingRestricted   = uint8(enumPosition(schemas.Handling, schemas.HandlingRestricted))
)

// decide finds the disposition that each row of a batch has if it stays and its suspect is alive.
func (r *rules) decide(v *validator, dispositions []schemas.Disposition) {
	reported := v.times[schemas.ReportedAt].TimestampValues()
	sources, outcomes := v.text[schemas.Source].results, v.text[schemas.Outcome].results
	for i := range dispositions {
		if v.faulty && v.faults[i] != 0 {
			dispositions[i] = schemas.Quarantined
			continue
		}
		d := r.window.of(int64(reported[i]))
		switch outcome, source := uint8(outcomes[i]), uint8(sources[i]); {
		case d != schemas.Scored:
		case v.nobody[i]:
			d = schemas.NoNamedSuspect
		case source == sourceIntelligence && r.counted != schemas.IntelligenceOnly:
			d = schemas.IntelligenceOnly
		case source == sourcePoliceDetected && r.counted != schemas.PoliceDetected:
			d = schemas.PoliceDetected
		case outcome == outcomeNoCrime || outcome == outcomeAcquitted:
			d = schemas.Cleared
		case outcome == outcomeTransferred:
			d = schemas.Transferred
		default:
			d = r.weigh(v, i)
		}
		dispositions[i] = d
	}
}

// weigh decides by the offence and by the suspect's age.
func (r *rules) weigh(v *validator, row int) schemas.Disposition {
	switch v.weight(row).Verdict {
	case reference.NotVAWG:
		return schemas.NotVAWG
	case reference.SexUnknown:
		return schemas.VictimSexUnknown
	case reference.Unscored:
		return schemas.UnscoredOffence
	}
	if v.ages[schemas.SuspectAge][row] < uint8(schemas.AdultAge) {
		return schemas.SuspectUnder18
	}
	return schemas.Scored
}

// Ingester takes the batches of one goroutine into the engine.
type Ingester struct {
	engine    *Engine
	validator *validator
	pass      router
	repeats   *bucket.Scatterer

	dispositions []schemas.Disposition // of the batch's rows
	scored, hurt bucket.Rows           // rows that are their suspects', rows in the window with a victim
}

// NewIngester returns an ingester for one goroutine. It must be closed.
func (e *Engine) NewIngester() *Ingester {
	v := newValidator(e.vocabulary)
	v.links = e.options.Links
	return &Ingester{
		engine:    e,
		validator: v,
		pass:      e.newRouter(),
		repeats:   bucket.NewScatterer(e.versions),
	}
}

// Add takes in one batch of schemas.OffenceArrow, whose string columns may be dictionaries. It keeps
// nothing of the batch. firstRow is the ordinal of the batch's first row in the extract.
func (f *Ingester) Add(batch arrow.Record, firstRow int64) error {
	if err := f.validator.load(batch); err != nil {
		return err
	}
	if f.engine.options.Counted == schemas.VictimSexUnknown {
		f.validator.takeAsFemale()
	}
	if err := f.validator.report(batch, firstRow, f.engine.options.Quarantine); err != nil {
		return err
	}
	f.dispositions = grow(f.dispositions, int(batch.NumRows()))
	f.engine.rules.decide(f.validator, f.dispositions)
	f.scored.Reset()
	f.hurt.Reset()
	ids, suspects, victims := f.validator.text[schemas.AllegationID], f.validator.text[schemas.SuspectID], f.validator.text[schemas.VictimID]
	reported := f.validator.times[schemas.ReportedAt].TimestampValues()
	for i, d := range f.dispositions {
		if d == schemas.Quarantined {
			if err := f.quarantined(i, f.repeated(firstRow+int64(i))); err != nil {
				return err
			}
			continue
		}
		if f.repeated(firstRow + int64(i)) {
			if err := f.validator.put(f.repeats, bucket.Hash(ids.text(i)), i, d); err != nil {
				return err
			}
			continue
		}
		if d == schemas.Scored {
			f.pass.passed++
			f.scored.Add(i, bucket.Hash(suspects.text(i)))
		} else {
			f.pass.dispositions[d]++
			if blind[d] {
				f.leave(i, d)
			}
			if !f.validator.nobody[i] {
				m := f.pass.window.mark(
					int64(reported[i]),
					f.validator.ages[schemas.SuspectAge][i],
					f.validator.enum(schemas.SuspectStatus, i),
					f.validator.enum(schemas.Handling, i),
				)
				if err := f.pass.markSuspect(m, suspects.text(i)); err != nil {
					return err
				}
			}
		}
		if victim := victims.text(i); d >= schemas.NoNamedSuspect && len(victim) > 0 {
			f.hurt.Add(i, bucket.Hash(victim))
		}
	}
	for _, r := range f.scored.Sorted() {
		if err := f.validator.put(f.pass.suspects, r.Hash, int(r.Row), schemas.Scored); err != nil {
			return err
		}
	}
	if f.engine.prescanned {
		f.hurt.Keep(f.engine.mayBeSuspect.among)
	}
	for _, r := range f.hurt.Sorted() {
		if err := aVictim.put(f.pass.marks, r.Hash, victims.text(int(r.Row))); err != nil {
			return err
		}
	}
	return nil
}

// leave counts a row that is left out.
func (f *Ingester) leave(row int, d schemas.Disposition) {
	v := f.validator
	f.pass.left.add(d, v.weighed(row), v.offence(row), v.text[schemas.BoroughName].results[row], v.enum(schemas.VictimSex, row), v.domesticAbuse(row))
}

// quarantined keeps in mind that a version of an allegation that may have others is quarantined, if it says which and as
// of when (section 4, rule 2).
func (f *Ingester) quarantined(row int, repeated bool) error {
	id, updated, ok := f.validator.version(row)
	if !repeated || !ok {
		return nil
	}
	return putQuarantined(f.repeats, bucket.Hash(id), id, updated)
}

// repeated tells whether another row may be of the same allegation.
func (f *Ingester) repeated(row int64) bool {
	return !f.engine.options.Unique && (!f.engine.prescanned || f.engine.repeated.has(row))
}

// Close hands over what the ingester still holds.
func (f *Ingester) Close() error {
	f.validator.release()
	f.engine.count(f.validator, &f.pass)
	return errors.Join(f.repeats.Close(), f.pass.close())
}

// router sends the rows that stay, one goroutine's, to their suspects, and to the people their victims
// are, who may be suspects.
type router struct {
	window          *window
	tables          *reference.Tables
	vocabulary      *vocabulary
	left            leftOut
	suspects, marks *bucket.Scatterer
	dispositions    schemas.Dispositions // of the rows that have one
	passed          int64                // the others: their suspect decides
}

func (e *Engine) newRouter() router {
	return router{
		window:     &e.rules.window,
		tables:     e.options.Tables,
		vocabulary: e.vocabulary,
		suspects:   bucket.NewScatterer(e.suspects),
		marks:      bucket.NewScatterer(e.marks),
	}
}

// pass takes an encoded row that stays.
func (p *router) pass(rec []byte) error {
	var a allegation
	a.decode(rec)
	if a.disposition == schemas.Scored {
		p.passed++
		h := bucket.Hash(a.suspect)
		to, err := p.suspects.Record(bucket.Of(h), len(rec))
		if err != nil {
			return err
		}
		copy(to, rec)
		putHash(to, h)
	} else {
		p.dispositions[a.disposition]++
		if blind[a.disposition] {
			p.left.add(a.disposition, p.vocabulary.offenceOf(&a), a.offence, a.borough, a.sex, a.domesticAbuse)
		}
		if !p.tables.IsPlaceholder(text(a.suspect)) {
			if err := p.markSuspect(p.window.mark(a.reported, a.suspectAge, a.status, a.handling), a.suspect); err != nil {
				return err
			}
		}
	}
	if a.disposition < schemas.NoNamedSuspect || len(a.victim) == 0 {
		return nil
	}
	return aVictim.put(p.marks, bucket.Hash(a.victim), a.victim)
}

// aVictim marks the victim of a row in the window.
var aVictim = mark{victim: true, minor: neverMinor, born: neverBorn, bornLast: -neverBorn}

// mark is what a kept row says of its suspect.
func (w *window) mark(reported int64, age, status, handling uint8) mark {
	m := mark{
		deceased: status == statusDeceased, restricted: handling == handlingRestricted,
		minor: w.minorBefore(reported, age), born: neverBorn, bornLast: -neverBorn,
	}
	if age != noAge {
		m.born = int16(w.year(reported) - int(age))
		m.bornLast = m.born
	}
	return m
}

// markSuspect marks the suspect of a row that is kept and not scored: what it says decides over the rows that are
// (section 4, rules 12 and 13, and what follows them).
func (p *router) markSuspect(m mark, suspect []byte) error {
	if m == nothing {
		return nil
	}
	return m.put(p.marks, bucket.Hash(suspect), suspect)
}

func (p *router) close() error { return errors.Join(p.suspects.Close(), p.marks.Close()) }
