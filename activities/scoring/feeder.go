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

// decide gives the row the disposition it has if it stays and its suspect is alive.
func (r *rules) decide(a *allegation) schemas.Disposition {
	age, d := r.window.age(a.reported)
	a.age = uint32(age)
	switch {
	case d != schemas.Scored:
		return d
	case isNobody(a.suspect):
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
	row     allegation
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
	e, a := f.engine, &f.row
	for i := range int(batch.NumRows()) {
		if f.judge.faulty && f.judge.faults[i] != 0 {
			continue
		}
		f.judge.readFirst(i, a)
		a.disposition = e.rules.decide(a)
		repeated := !e.options.Unique && (!e.scouted || e.repeated.has(firstRow+int64(i)))
		if repeated || a.disposition == schemas.Scored {
			f.judge.readRest(i, a)
		}
		var err error
		if repeated {
			err = put(f.repeats, a.id, a)
		} else {
			err = f.pass.pass(a)
		}
		if err != nil {
			return err
		}
	}
	return nil
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

func (p *passer) pass(a *allegation) error {
	if a.disposition == schemas.Scored {
		p.passed++
		if err := put(p.suspects, a.suspect, a); err != nil {
			return err
		}
	} else {
		p.dispositions[a.disposition]++
	}
	if a.disposition < schemas.NoNamedSuspect || len(a.victim) == 0 {
		return nil
	}
	return putVictim(p.victims, a.victim)
}

func (p *passer) close() error { return errors.Join(p.suspects.close(), p.victims.close()) }
