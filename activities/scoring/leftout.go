package scoring

import (
	"strings"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// leftOut counts, for one goroutine, kept rows that are or may be VAWG and add to nobody's score.
type leftOut struct {
	byOffence, byBorough [schemas.DispositionCount][]leftSum          // by the numbers of the vocabulary
	byCode               [schemas.DispositionCount]map[string]leftSum // of offences that are unnumbered
	elsewhere            [schemas.DispositionCount]leftSum            // in boroughs that are
}

type leftSum struct{ rows, tenths int64 }

// blind are the dispositions for which somebody might have counted, had more been known or asked.
var blind = [schemas.DispositionCount]bool{
	schemas.NoNamedSuspect: true, schemas.IntelligenceOnly: true, schemas.PoliceDetected: true,
	schemas.VictimSexUnknown: true, schemas.UnscoredOffence: true,
}

// add counts a row of an offence, by its number, in a borough.
func (l *leftOut) add(d schemas.Disposition, o *offence, offence, borough uint32, sex, domestic uint8) {
	w := o.weight(sex, domestic)
	if w.Verdict == reference.SexUnknown {
		w = o.weight(sexFemale, domestic)
	}
	if w.Verdict == reference.NotVAWG {
		return
	}
	put := func(list *[]leftSum, number uint32) {
		for int(number) >= len(*list) {
			*list = append(*list, leftSum{})
		}
		(*list)[number].rows++
		(*list)[number].tenths += w.Tenths
	}
	if offence != unnumbered {
		put(&l.byOffence[d], offence)
	} else {
		if l.byCode[d] == nil {
			l.byCode[d] = map[string]leftSum{}
		}
		was := l.byCode[d][o.code] // a view of a record that may be gone tomorrow
		l.byCode[d][strings.Clone(o.code)] = leftSum{was.rows + 1, was.tenths + w.Tenths}
	}
	if borough != unnumbered {
		put(&l.byBorough[d], borough)
	} else {
		l.elsewhere[d].rows++
		l.elsewhere[d].tenths += w.Tenths
	}
}

// named is the count under the names that the vocabulary's numbers have.
func (l *leftOut) named(v *vocabulary) (b schemas.BlindSpot) {
	offences, boroughs := *v.offences.Load(), *v.boroughs.Load()
	for d := range blind {
		reason := schemas.Disposition(d).String()
		put := func(list *[]schemas.LeftOut, of string, sum leftSum) {
			if sum.rows > 0 {
				*list = append(*list, schemas.LeftOut{Reason: reason, Of: of, Rows: sum.rows, Tenths: sum.tenths})
			}
		}
		for n, sum := range l.byOffence[d] {
			put(&b.ByCode, offences[n].code, sum)
		}
		for code, sum := range l.byCode[d] {
			put(&b.ByCode, code, sum)
		}
		for n, sum := range l.byBorough[d] {
			name := schemas.BoroughNotKnown
			switch {
			case n == 0:
				name = schemas.BoroughNotGiven
			case boroughs[n].known:
				name = boroughs[n].name
			}
			put(&b.ByBorough, name, sum)
		}
		put(&b.ByBorough, schemas.BoroughNotKnown, l.elsewhere[d])
	}
	return b
}
