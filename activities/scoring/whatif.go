package scoring

import (
	"math"

	"harmstack/schemas"
)

// Place is what decides where a suspect stands in the ranking (section 6, rank).
type Place struct{ sortKey }

// PlaceOf is a suspect's place by some of the allegations that the night has scored, under the night's model. Of no
// allegation it is the zero value: nobody stands there.
func PlaceOf(m *schemas.Model, list []schemas.Contribution) (p Place, err error) {
	return placeAfter(m, m.Recency(), list, 0)
}

// placeAfter is the place when so many days have passed and nothing else has happened.
func placeAfter(m *schemas.Model, recency []int64, list []schemas.Contribution, days int64) (p Place, err error) {
	var rows []allegation
	var parts []scorePart
	victims := map[string]bool{}
	for i := range list {
		c := &list[i]
		age := c.Age + days
		if age >= int64(len(recency)) {
			continue
		}
		a := allegation{id: view(c.AllegationID), report: view(c.ReportID), reported: c.ReportedAt, committed: noTime}
		if c.VictimID != nil {
			a.victim = view(*c.VictimID)
			victims[*c.VictimID] = true
		}
		if c.CommittedAt != nil {
			a.committed = *c.CommittedAt
		}
		tenths := int64(math.Round(c.HarmDays * schemas.TenthsPerDay))
		parts = append(parts, scorePart{base: tenths * recency[age], tenths: tenths, row: int32(len(rows))})
		rows = append(rows, a)
		p.id, p.lastReported = view(c.SuspectID), max(p.lastReported, c.ReportedAt)
	}
	if len(rows) == 0 {
		return Place{}, nil
	}
	p.victims, p.allegations = int64(len(victims)), int64(len(rows))
	p.score, err = scoreOf(apply(m, rows, parts))
	return p, err
}

// Nobody tells whether no allegation was left to stand by.
func (p Place) Nobody() bool { return p.allegations == 0 }

// Compare is negative when it is above another.
func (p Place) Compare(o Place) int { return p.compare(&o.sortKey) }

// Before tells whether it is above a row of the ranking.
func (p Place) Before(r *schemas.Ranked) bool {
	other := sortKey{r.Score, r.Victims, r.Allegations, r.LastReported, view(r.SuspectID)}
	return p.compare(&other) < 0
}

// BelowCut is the first as_of for which a suspect's score is below the cut of a night when nothing happens but that the
// allegations grow older; ok is false when that takes longer than a year.
func BelowCut(m *schemas.Model, asOf schemas.Date, list []schemas.Contribution, cut int64) (on schemas.Date, ok bool, err error) {
	recency := m.Recency()
	for days := range int64(365) {
		p, err := placeAfter(m, recency, list, days+1)
		if err != nil {
			return on, false, err
		}
		if p.score < cut || p.Nobody() {
			return asOf.AddDays(int(days) + 1), true, nil
		}
	}
	return on, false, nil
}
