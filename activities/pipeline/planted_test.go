package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/nights/casefile"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/schemas"
)

// What is hidden among some thousand people, in these numbers.
const (
	plantedPlaceholders = 40
	plantedChildren     = 30 // of an age that only another row tells
	plantedDead         = 20 // as only another row tells
	plantedReleased     = 25 // between two nights
	plantedRestricted   = 15
	plantedPairs        = 20 // of people of whom each accuses the other
)

// plant hides rows among others. Each of the people hidden is accused of three rapes, so that whoever is ranked is on the
// stack; those in custody are released by the second night.
func plant(rows []schemas.Offence, asOf schemas.Date, isSecond bool) []schemas.Offence {
	rows, n := slices.Clone(rows), 0
	row := func(suspect, victim string, change func(*schemas.Offence)) {
		n++
		at := asOf.AddDays(-n%7).Start().UnixMicro() + int64(n)
		o := schemas.Offence{
			AllegationID: new(fmt.Sprint("PLANTED", n)), ReportID: new(fmt.Sprint("PLANTED", n)), SuspectID: &suspect, SuspectAge: new(int32(40)),
			OffenceCode: new("019/08"), OffenceClass: new("19C"), ReportedAt: &at, UpdatedAt: &at, Borough: new("Hackney"),
			VictimID: &victim, VictimSex: new("F"), Source: new("victim"), Outcome: new("open"),
		}
		if change != nil {
			change(&o)
		}
		rows = append(rows, o)
	}
	three := func(suspect string, change func(*schemas.Offence)) {
		for v := range 3 {
			row(suspect, fmt.Sprint(suspect, "-V", v), change)
		}
	}
	forms := []string{"UNKNOWN", "not known", "N/K", "NOT  STATED", "none", "Refused", "0", "0000000", "99", "-", "???", "u/k", "male", " Unknown male "}
	for i := range plantedPlaceholders {
		row(forms[i%len(forms)], fmt.Sprint("PV", i), nil)
	}
	for i := range plantedChildren {
		id := fmt.Sprint("CHILD", i)
		row(id, id+"-V", func(o *schemas.Offence) { o.SuspectAge = nil })
		row(id, id+"-W", func(o *schemas.Offence) { o.SuspectAge, o.Outcome = new(int32(16)), new(schemas.OutcomeNoCrime) })
	}
	for i := range plantedDead {
		id := fmt.Sprint("DEAD", i)
		row(id, id+"-V", nil)
		row(id, id+"-W", func(o *schemas.Offence) {
			o.SuspectStatus, o.Outcome = new(schemas.StatusDeceased), new(schemas.OutcomeNoCrime)
		})
	}
	for i := range plantedReleased {
		three(fmt.Sprint("RELEASED", i), func(o *schemas.Offence) {
			if o.SuspectStatus = new(schemas.StatusInCustody); isSecond {
				o.SuspectStatus = new("at_large")
				*o.UpdatedAt += 3_600_000_000
			}
		})
	}
	for i := range plantedRestricted {
		three(fmt.Sprint("RESTRICTED", i), func(o *schemas.Offence) { o.Handling = new(schemas.HandlingRestricted) })
	}
	for i := range plantedPairs {
		a, b := fmt.Sprint("PAIR", i, "A"), fmt.Sprint("PAIR", i, "B")
		three(a, nil)
		three(b, nil)
		row(a, b, nil)
		row(b, a, nil)
	}
	return rows
}

// What is hidden in an extract is found, all of it, and nobody else for it: beside the same extract with nothing hidden.
func TestWhatIsPlantedIsFound(t *testing.T) {
	t.Parallel()
	n := newNight(t)
	n.Model.Depth = 300
	type night struct {
		scores *scoring.Scores
		stack  map[string]schemas.Ranked
		flags  map[string]int // in the whole ranking
		from   pipeline.Source
	}
	rows := synthesized(t, 1)
	run := func(rows []schemas.Offence) (r night) {
		r.from = fileOf(t, rows)
		engine, err := n.NewEngine(nil, false)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		if r.scores, err = n.Score(t.Context(), engine, r.from, false, nil); err != nil {
			t.Fatal(err)
		}
		top := scoring.NewStack(n.Model)
		r.stack, r.flags = map[string]schemas.Ranked{}, map[string]int{}
		err = r.scores.Ranking(t.Context(), func(rows []schemas.Ranked) error {
			for _, row := range rows {
				for flag, is := range map[string]bool{"restricted": row.Restricted, "also victim": row.AlsoVictim, schemas.LaneContained: row.Lane == schemas.LaneContained} {
					if is {
						r.flags[flag]++
					}
				}
			}
			return top.Add(rows)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range top.Rows {
			r.stack[row.SuspectID] = row
		}
		return r
	}
	bare, first, second := run(rows), run(plant(rows, n.AsOf, false)), run(plant(rows, n.AsOf, true))

	more := func(what string, got, than, want int64) {
		t.Helper()
		if got-than != want {
			t.Errorf("%d %s more than with nothing planted, not %d", got-than, what, want)
		}
	}
	d, was := first.scores.Dispositions, bare.scores.Dispositions
	more("rows of nobody", d[schemas.NoNamedSuspect], was[schemas.NoNamedSuspect], plantedPlaceholders)
	more("placeholders", first.scores.Facts.Placeholders["suspect_id"], bare.scores.Facts.Placeholders["suspect_id"], plantedPlaceholders)
	more("rows of children", d[schemas.SuspectUnder18], was[schemas.SuspectUnder18], plantedChildren)
	more("rows of the dead", d[schemas.SuspectDeceased], was[schemas.SuspectDeceased], plantedDead)
	more("people ranked", first.scores.Suspects, bare.scores.Suspects, plantedReleased+plantedRestricted+2*plantedPairs)
	more("restricted", int64(first.flags["restricted"]), int64(bare.flags["restricted"]), plantedRestricted)
	more("also victims", int64(first.flags["also victim"]), int64(bare.flags["also victim"]), 2*plantedPairs)
	more("in custody", int64(first.flags[schemas.LaneContained]), int64(bare.flags[schemas.LaneContained]), plantedReleased)

	released, restricted, people := 0, 0, map[string]int64{}
	for id, now := range second.stack {
		if before, ok := first.stack[id]; ok && before.Lane == schemas.LaneContained && now.Lane != schemas.LaneContained {
			released++
		}
		if now.Restricted {
			restricted++
		}
		people[id] = now.Position
	}
	if left := second.flags[schemas.LaneContained]; released != plantedReleased || left != bare.flags[schemas.LaneContained] {
		t.Errorf("%d were released, and %d are still in custody", released, left)
	}
	if restricted < plantedRestricted {
		t.Errorf("%d of the stack are restricted", restricted)
	}
	cases, _, err := n.Cases(t.Context(), second.from, people)
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	for i := range plantedPairs {
		a, b := fmt.Sprint("PAIR", i, "A"), fmt.Sprint("PAIR", i, "B")
		for _, two := range [][2]string{{a, b}, {b, a}} {
			counters := casefile.Of(two[0], cases).Counters
			if len(counters) == 1 && counters[0].With == two[1] && len(counters[0].Rows) == 2 {
				pairs++
			}
		}
	}
	if pairs != 2*plantedPairs {
		t.Errorf("%d people of %d pairs are seen to be accused by whom they accuse", pairs, plantedPairs)
	}
	for id := range people {
		if strings.HasPrefix(id, "CHILD") || strings.HasPrefix(id, "DEAD") {
			t.Errorf("%s is on the stack", id)
		}
	}
}
