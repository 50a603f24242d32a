package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/sweep"
	"harmstack/starter/synthetic"
)

// What a night says of who would enter is what scoring all its rows again finds.
func TestEntrantsAreThoseOfASecondScoring(t *testing.T) {
	t.Parallel()
	seeds := uint64(1)
	if sweep.Whole() {
		seeds = 4
	}
	for _, c := range []struct {
		name   string
		change func(*schemas.Model)
		rows   func([]schemas.Offence)
		many   bool // who must be scored again are too many to be held
		merged bool // one in three is known to be somebody else
	}{
		{name: "the default model"},
		{name: "more to score again than may be held", many: true, rows: muddle},
		{name: "a short stack", change: func(m *schemas.Model) { m.Depth = 7 }},
		{name: "a stack for everybody", change: func(m *schemas.Model) { m.Depth = 5_000 }},
		{name: "those in custody take a place", change: func(m *schemas.Model) { m.Custody = schemas.CustodyCounted }},
		{name: "the gravest of a report", change: func(m *schemas.Model) { m.PerReport = schemas.PerReportGravest }},
		{name: "at least three allegations", change: func(m *schemas.Model) { m.MinimumAllegations = 3 }},
		{name: "frequency of the whole", change: func(m *schemas.Model) { m.FrequencyApply = "all" }},
		{name: "much is left out, in versions that contradict each other", rows: muddle},
		{
			name: "much is left out of a short stack", rows: muddle,
			change: func(m *schemas.Model) { m.Depth, m.PerReport = 20, schemas.PerReportGravest },
		},
		{name: "people of several ids", merged: true},
		{name: "people of several ids, and much left out", rows: muddle, merged: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			entered := int64(0)
			for seed := range seeds {
				n := newNight(t)
				if c.change != nil {
					c.change(&n.Model)
				}
				var ids []string
				from := synthesize(t, seed+1, func(rows []schemas.Offence) {
					if c.rows != nil {
						c.rows(rows)
					}
					ids = suspectsOf(rows)
				})
				if c.merged {
					n.Links = merge(t, n.Tables, ids)
				}
				engine, err := n.NewEngine(nil, false)
				if err != nil {
					t.Fatal(err)
				}
				scores, err := n.Score(t.Context(), engine, from, false, nil)
				if err != nil {
					t.Fatal(err)
				}
				entrants, err := n.Entrants(t.Context(), from)
				if err != nil {
					t.Fatal(err)
				}
				if c.many {
					entrants.MostRows = 0
				}
				_, stack, _, err := n.Rank(t.Context(), scores, scores.Candidates, scores.Contenders, entrants.See)
				if err != nil {
					t.Fatal(err)
				}
				if err := engine.Close(); err != nil {
					t.Fatal(err)
				}
				if entrants.Many() != c.many {
					t.Errorf("seed %d: many is %t", seed+1, !c.many)
				}
				_, got, err := n.WriteCases(t.Context(), from, stack, entrants)
				if err != nil {
					t.Fatal(err)
				}
				var want []schemas.WouldEnter
				for _, reason := range pipeline.Blind {
					r, err := n.IfCounted(t.Context(), from, schemas.Manifest{Dispositions: scores.Dispositions}, stack, reason)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, schemas.WouldEnter{Reason: r.Reason, Suspects: r.Enter})
					entered += r.Enter
				}
				if !slices.Equal(got, want) {
					t.Errorf("seed %d: got %v, a second scoring %v", seed+1, got, want)
				}
			}
			if entered == 0 && sweep.Whole() { // by one seed nobody may
				t.Error("nobody ever enters: the test shows nothing")
			}
		})
	}
}

func newNight(t *testing.T) *pipeline.Night {
	t.Helper()
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return &pipeline.Night{
		NightID: schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}, Store: st,
		Tables: reference.Default(), Model: model, Threads: 2,
	}
}

// synthesize is an extract of some thousand rows, changed if there is a change.
func synthesize(t *testing.T, seed uint64, change func([]schemas.Offence)) pipeline.File {
	t.Helper()
	rows := synthesized(t, seed)
	if change != nil {
		change(rows)
	}
	return fileOf(t, rows)
}

func synthesized(t *testing.T, seed uint64) []schemas.Offence {
	t.Helper()
	var b bytes.Buffer
	options := synthetic.Options{AsOf: schemas.MustDate("2026-06-30"), Suspects: 2_000, Seed: seed}
	if _, err := synthetic.Write(t.Context(), &b, options); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[schemas.Offence](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func fileOf(t *testing.T, rows []schemas.Offence) pipeline.File {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	f, err := extract.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.File{File: f}
}

// suspectsOf are the ids of the suspects, in the order in which they come.
func suspectsOf(rows []schemas.Offence) (ids []string) {
	seen := map[string]bool{}
	for _, r := range rows {
		if r.SuspectID != nil && !seen[*r.SuspectID] && !reference.Default().IsPlaceholder(schemas.TrimSpace(*r.SuspectID)) {
			seen[*r.SuspectID] = true
			ids = append(ids, *r.SuspectID)
		}
	}
	return ids
}

// merge makes the first of each three the second, who is the third.
func merge(t *testing.T, tables *reference.Tables, ids []string) *scoring.Links {
	t.Helper()
	var links []schemas.PersonLink
	for three := range slices.Chunk(ids, 3) {
		for i := range len(three) - 1 {
			links = append(links, schemas.PersonLink{PersonID: three[i], SameAs: three[i+1]})
		}
	}
	l, err := scoring.NewLinks(links, tables)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// muddle leaves a good part of the rows out for one reason or another, brings people into custody by their last row,
// and gives some rows versions of the same instant that are of somebody else or of a victim of unknown sex.
func muddle(rows []schemas.Offence) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range rows {
		o := &rows[i]
		switch r.IntN(12) {
		case 0:
			o.Source = new(schemas.SourceIntelligence)
		case 1:
			o.Source, o.SuspectStatus = new(schemas.SourcePoliceDetected), new(schemas.StatusInCustody)
		case 2:
			o.VictimSex, o.SuspectStatus = nil, new(schemas.StatusInCustody)
		case 3:
			o.OffenceCode, o.OffenceClass, o.OffenceURN = new("008/01"), nil, nil
		case 4:
			o.SuspectStatus = new(schemas.StatusInCustody)
		case 5, 6:
			if i == 0 {
				continue
			}
			before := rows[i-1]
			if r.IntN(2) == 0 {
				before.SuspectID = o.SuspectID
			}
			if r.IntN(2) == 0 {
				before.VictimSex = nil
			}
			before.VictimID = new(fmt.Sprint("V", i))
			*o = before
		}
	}
}

// With one place on the stack, more people in custody would stand above it, by intelligence on them, than can be true.
func TestWhoWouldEnterCannotBeCountedAndTheNightStands(t *testing.T) {
	t.Parallel()
	for name, mostRows := range map[string]int64{"of few rows": 10_000, "of more than may be held": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNight(t)
			n.Model.Depth = 1
			from := synthesize(t, 1, func(rows []schemas.Offence) {
				for i := range rows {
					at := n.AsOf.Start().UnixMicro()
					rows[i] = schemas.Offence{AllegationID: new(fmt.Sprint("A", i)), ReportID: new("R"), SuspectID: new(fmt.Sprint("S", i)),
						OffenceCode: new("019/08"), OffenceClass: new("19C"), ReportedAt: &at, UpdatedAt: &at, VictimSex: new("F"),
						Source: new(schemas.SourceIntelligence), SuspectStatus: new(schemas.StatusInCustody), Outcome: new("open")}
				}
				rows[0].Source, rows[0].SuspectStatus, rows[0].OffenceCode, rows[0].OffenceClass = new("victim"), nil, new("008/06"), new("8N")
			})
			engine, err := n.NewEngine(nil, false)
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			scores, err := n.Score(t.Context(), engine, from, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			entrants, err := n.Entrants(t.Context(), from)
			if err != nil {
				t.Fatal(err)
			}
			entrants.MostRows = mostRows
			_, stack, _, err := n.Rank(t.Context(), scores, scores.Candidates, scores.Contenders, entrants.See)
			if err != nil {
				t.Fatal(err)
			}
			cases, enter, err := n.WriteCases(t.Context(), from, stack, entrants)
			if err != nil || cases.Rows != 1 || len(enter) != len(pipeline.Blind) {
				t.Fatalf("%v, %+v, %v", cases, enter, err)
			}
			m := schemas.Manifest{Facts: schemas.Facts{BlindSpot: schemas.BlindSpot{Enter: enter}}}
			for _, e := range enter {
				_, ok := m.Facts.BlindSpot.WouldEnter(e.Reason)
				if fails := e.Reason == schemas.IntelligenceOnly.String(); ok == fails || strings.Contains(e.NotCounted, "people in custody") != fails {
					t.Errorf("%+v", e)
				}
			}
			if said := m.Blind(); len(said) != 1 || !strings.Contains(said[0], "intelligence_only counted could not be found: more than") {
				t.Errorf("the report says %q", said)
			}
			ctx, stop := context.WithCancel(t.Context())
			stop()
			if _, _, err := n.WriteCases(ctx, from, stack, entrants); !errors.Is(err, context.Canceled) {
				t.Errorf("stopped: %v", err)
			}
		})
	}
}
