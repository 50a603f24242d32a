package scoring

import (
	"errors"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

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

// decide finds the disposition that each row of a batch has if it stays and its suspect is alive.
func (r *rules) decide(j *judge, dispositions []schemas.Disposition) {
	reported := j.times[schemas.ReportedAt].TimestampValues()
	sources, outcomes := j.text[schemas.Source].results, j.text[schemas.Outcome].results
	suspects := j.text[schemas.SuspectID]
	for i := range dispositions {
		if j.faulty && j.faults[i] != 0 {
			dispositions[i] = schemas.Quarantined
			continue
		}
		d := r.window.of(int64(reported[i]))
		switch outcome, source := uint8(outcomes[i]), uint8(sources[i]); {
		case d != schemas.Scored:
		case isNobody(suspects.text(i)):
			d = schemas.NoNamedSuspect
		case source == sourceIntelligence:
			d = schemas.IntelligenceOnly
		case source == sourcePoliceDetected:
			d = schemas.PoliceDetected
		case outcome == outcomeNoCrime || outcome == outcomeAcquitted:
			d = schemas.Cleared
		default:
			d = r.weigh(j, i)
		}
		dispositions[i] = d
	}
}

// weigh decides by the offence and by the suspect's age.
func (r *rules) weigh(j *judge, row int) schemas.Disposition {
	switch j.weight(row).Verdict {
	case reference.NotVAWG:
		return schemas.NotVAWG
	case reference.Unscored:
		return schemas.UnscoredOffence
	}
	if j.ages[schemas.SuspectAge][row] < uint8(schemas.AdultAge) {
		return schemas.SuspectUnder18
	}
	return schemas.Scored
}

// isNobody tells whether a suspect's id is null or a placeholder. Ids of people seldom begin as one.
func isNobody(id []byte) bool {
	if len(id) == 0 {
		return true
	}
	switch id[0] {
	case 'u', 'U', 'n', 'N', 't', 'T', '-', '0':
		return schemas.IsPlaceholder(text(id))
	}
	return false
}

// Feeder takes the batches of one goroutine into the engine.
type Feeder struct {
	engine  *Engine
	judge   *judge
	pass    passer
	repeats *scatterer

	dispositions []schemas.Disposition // of the batch's rows
	scored, hurt byBucket              // rows that are their suspects', rows in the window with a victim
}

// NewFeeder returns a feeder for one goroutine. It must be closed.
func (e *Engine) NewFeeder() *Feeder {
	return &Feeder{engine: e, judge: newJudge(e.vocabulary), pass: e.newPasser(), repeats: newScatterer(e.versions)}
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
	f.dispositions = grow(f.dispositions, int(batch.NumRows()))
	f.engine.rules.decide(f.judge, f.dispositions)
	f.scored.reset()
	f.hurt.reset()
	ids, suspects, victims := f.judge.text[schemas.AllegationID], f.judge.text[schemas.SuspectID], f.judge.text[schemas.VictimID]
	for i, d := range f.dispositions {
		if d == schemas.Quarantined {
			continue
		}
		if f.repeated(firstRow + int64(i)) {
			if err := f.judge.put(f.repeats, hash(ids.text(i)), i, d); err != nil {
				return err
			}
			continue
		}
		if d == schemas.Scored {
			f.pass.passed++
			f.scored.add(i, hash(suspects.text(i)))
		} else {
			f.pass.dispositions[d]++
		}
		if victim := victims.text(i); d >= schemas.NoNamedSuspect && len(victim) > 0 {
			f.hurt.add(i, hash(victim))
		}
	}
	for _, r := range f.scored.sorted() {
		if err := f.judge.put(f.pass.suspects, r.hash, int(r.row), schemas.Scored); err != nil {
			return err
		}
	}
	if f.engine.scouted {
		f.hurt.rows = f.engine.mayBeSuspect.among(f.hurt.rows)
	}
	for _, r := range f.hurt.sorted() {
		if err := putVictim(f.pass.victims, r.hash, victims.text(int(r.row))); err != nil {
			return err
		}
	}
	return nil
}

// repeated tells whether another row may be of the same allegation.
func (f *Feeder) repeated(row int64) bool {
	return !f.engine.options.Unique && (!f.engine.scouted || f.engine.repeated.has(row))
}

// Close hands over what the feeder still holds.
func (f *Feeder) Close() error {
	f.judge.release()
	f.engine.count(f.judge, &f.pass)
	return errors.Join(f.repeats.close(), f.pass.close())
}

// passer sends the rows that stay, one goroutine's, to their suspects, and to the people their victims
// are, who may be suspects.
type passer struct {
	suspects, victims *scatterer
	dispositions      schemas.Dispositions // of the rows that have one
	passed            int64                // the others: their suspect decides
}

func (e *Engine) newPasser() passer {
	return passer{suspects: newScatterer(e.suspects), victims: newScatterer(e.victims)}
}

// pass takes an encoded row that stays.
func (p *passer) pass(rec []byte) error {
	var a allegation
	a.decode(rec)
	if a.disposition == schemas.Scored {
		p.passed++
		h := hash(a.suspect)
		to, err := p.suspects.record(bucketOf(h), len(rec))
		if err != nil {
			return err
		}
		copy(to, rec)
		putHash(to, h)
	} else {
		p.dispositions[a.disposition]++
	}
	if a.disposition < schemas.NoNamedSuspect || len(a.victim) == 0 {
		return nil
	}
	return putVictim(p.victims, hash(a.victim), a.victim)
}

func (p *passer) close() error { return errors.Join(p.suspects.close(), p.victims.close()) }
