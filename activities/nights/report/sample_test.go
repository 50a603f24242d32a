package report

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// offences of the sample: title, tenths of a day, how many of a hundred.
var offences = []struct {
	title  string
	tenths int64
	weight int
}{
	{"Rape of a female aged 16 and over", 18250, 5}, {"Sexual assault on a female aged 13 and over", 3650, 8}, {"Non-fatal strangulation and suffocation", 5475, 4},
	{"Wounding with intent", 14600, 1}, {"Assault occasioning actual bodily harm", 200, 22}, {"Stalking involving fear of violence", 1825, 6},
	{"Controlling or coercive behaviour", 1825, 9}, {"Harassment", 10, 25}, {"Threats to kill", 100, 12}, {"Exposure", 55, 8},
}

// sample makes up a year: suspects with allegations drawn from the table above, ranked by the model.
func sample(t testing.TB, suspects int) (Page, []schemas.Ranked) {
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		t.Fatal(err)
	}
	tables := reference.Default()
	asOf := schemas.MustDate("2026-06-30")
	recency := model.Recency()
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([]schemas.Ranked, suspects)
	contributions := map[string][]schemas.Contribution{}
	var scored int64
	for i := range rows {
		id := fmt.Sprintf("P%08d", 10_000_000+i*7919%90_000_000)
		n := 1
		for r.IntN(100) < 22+min(n*6, 40) && n < 14 {
			n++
		}
		row := schemas.Ranked{SuspectID: id, Allegations: int64(n), FirstReported: math.MaxInt64}
		base, sum := int64(0), int64(0)
		home := tables.Boroughs()[r.IntN(32)]
		for k := range n {
			pick, o := r.IntN(100), 0
			for pick >= offences[o].weight {
				pick -= offences[o].weight
				o++
			}
			age := r.IntN(365)
			at := asOf.Start().AddDate(0, 0, -age).Add(time.Duration(r.IntN(23)) * time.Hour).UnixMicro()
			h := offences[o].tenths
			base += h * recency[age]
			sum += h
			row.MaxDays = max(row.MaxDays, float64(h)/10)
			row.FirstReported, row.LastReported = min(row.FirstReported, at), max(row.LastReported, at)
			row.DomesticAbuse += int64(r.IntN(2))
			row.NonRecent += int64(r.IntN(12) / 11)
			victim := fmt.Sprintf("V%d-%d", i, k*r.IntN(2))
			contributions[id] = append(contributions[id], schemas.Contribution{SuspectID: id, VictimID: &victim, Offence: offences[o].title, HarmDays: float64(h) / 10, Base: h * recency[age]})
		}
		scored += int64(n)
		victims := map[string]bool{}
		for _, c := range contributions[id] {
			victims[*c.VictimID] = true
		}
		row.Reports, row.Victims = row.Allegations, int64(len(victims))
		row.Score = base * model.Frequency(int64(n)) / schemas.PPM
		row.ScoreDays, row.SumDays = float64(row.Score)/schemas.ScorePerDay, float64(sum)/10
		row.Boroughs = []string{home.Name}
		if r.IntN(60) > 0 {
			row.OwnerBorough, row.OwnerBCU = &home.Name, &home.BCU
		}
		row.AlsoVictim = r.IntN(40) == 0
		row.SuspectStatus = &[]string{"at_large", "on_bail", "in_custody", "unknown"}[r.IntN(4)]
		rows[i] = row
	}
	slices.SortFunc(rows, func(a, b schemas.Ranked) int { return cmp.Compare(b.SumDays, a.SumDays) })
	for i := range rows {
		rows[i].SumRank = int64(i + 1)
	}
	slices.SortFunc(rows, func(a, b schemas.Ranked) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.SuspectID, b.SuspectID))
	})
	ties := map[int64]int64{}
	for _, row := range rows {
		ties[row.Score]++
	}
	for i := range rows {
		rows[i].Position, rows[i].TieSize = int64(i+1), ties[rows[i].Score]
	}
	p := Page{Model: model, Stack: rows[:min(100, suspects)]}
	for i, row := range p.Stack {
		for _, c := range contributions[row.SuspectID] {
			c.Position = row.Position
			p.Contributions = append(p.Contributions, c)
		}
		c := schemas.Change{SuspectID: row.SuspectID, Kind: schemas.ChangeMoved, Position: &p.Stack[i].Position}
		if i%17 == 5 {
			c.Kind = schemas.ChangeEntered
		} else {
			c.Previous = new(min(100, max(1, row.Position+int64(r.IntN(13))-6)))
			if i < 4 {
				c.Previous = new(row.Position)
			}
			if *c.Previous == row.Position {
				c.Kind = schemas.ChangeStayed
			}
		}
		p.Changes = append(p.Changes, c)
	}
	for i, reason := range []string{schemas.LeftOutranked, schemas.LeftOutranked, schemas.LeftAgedOut, schemas.LeftOutranked, schemas.LeftNoScore, schemas.LeftOutranked} {
		p.Changes = append(p.Changes, schemas.Change{SuspectID: fmt.Sprintf("P9999%04d", i), Kind: schemas.ChangeLeft, Reason: &reason, Previous: new(int64(40 + i*11)), PreviousDays: new(3100.5 - float64(i)*120)})
	}
	last := p.Stack[len(p.Stack)-1]
	m := schemas.Manifest{NightID: schemas.NightID{AsOf: asOf, Revision: 7}, Suspects: int64(suspects),
		Cut:      schemas.Cut{Depth: 100, Stack: int64(len(p.Stack)), Score: last.Score, InsideTie: true, TiedIn: 2, TiedOut: 3},
		Basis:    tables.Basis(model),
		Inputs:   []schemas.ArtifactRef{{URI: "/secret/place/extract.parquet", SHA256: "ab12" + tables.Edition.SHA256[4:], Rows: 214_803, Bytes: 9_104_331}},
		Previous: &schemas.ManifestRef{NightID: schemas.NightID{AsOf: asOf.AddDays(-1), Revision: 8}},
		Changes:  &schemas.ChangeCount{Entered: 6, Left: 6, Moved: 86, Stayed: 8},
		Facts: schemas.Facts{Conflicting: 17, OutOfRange: map[string]int64{"suspect_age": 23}, ExtraColumns: 3, Lowest: 311, Supplement: 1204,
			QuarantineReasons: map[string]int64{"offence_code: not a Home Office code": 31, "reported_at: out of range": 4, "suspect_status: not an allowed value": 9}}}
	m.Dispositions = schemas.Dispositions{44, 5120, 861, 12, 9310, 41_207, 2203, 1874, 3011, 61_450, 1407, 2980, 203, scored}
	m.RowsRead = m.Dispositions.Sum()
	p.Manifest = m
	if p.Distribution, err = collect(asOf, int64(suspects), 100, rows); err != nil {
		t.Fatal(err)
	}
	return p, rows
}

func collect(asOf schemas.Date, suspects, depth int64, rows []schemas.Ranked) (Distribution, error) {
	c := NewCollector(asOf, suspects, depth)
	if err := c.Add(rows); err != nil {
		return Distribution{}, err
	}
	return c.Distribution()
}
