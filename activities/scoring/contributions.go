package scoring

import (
	"cmp"
	"math"
	"slices"

	"harmstack/schemas"
)

// contributions says what each row adds to a suspect's score, the largest first, then by allegation.
func (e *Engine) contributions(rows []allegation) []schemas.Contribution {
	list := make([]schemas.Contribution, len(rows))
	parts := make([]scorePart, len(rows))
	for i := range rows {
		a := &rows[i]
		offence := e.vocabulary.offenceOf(a)
		weight := offence.weight(a.sex, a.domesticAbuse)
		c := schemas.Contribution{
			SuspectID: string(a.suspect), AllegationID: string(a.id), ReportID: string(a.report),
			VictimID: orNil(string(a.victim)), ReportedAt: a.reported, Borough: orNil(e.vocabulary.boroughOf(a)),
			OffenceCode: offence.code, OffenceClass: orNil(offence.class), OffenceURN: orNil(offence.urn),
			Offence: weight.Title, WeightRule: weight.Rule, HarmDays: float64(weight.Tenths) / schemas.TenthsPerDay,
			Age: int64(a.age), RecencyPPM: e.recency[a.age], Base: weight.Tenths * e.recency[a.age],
			Source: enumText(schemas.Source, a.source), Outcome: enumText(schemas.Outcome, a.outcome),
			LeavesOn: e.options.AsOf.AddDays(e.options.Model.WindowDays - int(a.age)).String(), OlderStands: a.older,
			URNContradicts: offence.contradicts,
		}
		if a.committed != noTime {
			c.CommittedAt = new(a.committed) // the rows may be used again
		}
		if a.domesticAbuse > 0 {
			c.DomesticAbuse = new(bool)
			*c.DomesticAbuse = a.domesticAbuse == abuseTrue
		}
		parts[i] = scorePart{base: c.Base, row: int32(i), tenths: weight.Tenths}
		list[i] = c
	}
	parts = apply(&e.options.Model, rows, parts)
	hi, lo := total(parts)
	whole := math.Ldexp(float64(hi), 64) + float64(lo)
	for _, p := range parts {
		list[p.row].FrequencyPPM = p.factor
		if whole > 0 {
			list[p.row].Share = float64(p.base) * float64(p.factor) / whole
		}
	}
	slices.SortFunc(list, compareContributions)
	return list
}

// compareContributions puts a suspect's largest first, then goes by allegation.
func compareContributions(a, b schemas.Contribution) int {
	return cmp.Or(-cmp.Compare(a.Base, b.Base), cmp.Compare(a.AllegationID, b.AllegationID))
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
