package pipeline_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// One place on the stack, and four suspects whose graver allegation does not count for one reason each.
func TestIfCounted(t *testing.T) {
	at := schemas.MustDate("2026-06-30").Start().UnixMicro()
	n := 0
	row := func(suspect, code, class string, change func(*schemas.Offence)) schemas.Offence {
		n++
		o := schemas.Offence{AllegationID: new(fmt.Sprint("A", n)), ReportID: new(fmt.Sprint("R", n)), SuspectID: &suspect, OffenceCode: &code,
			ReportedAt: &at, UpdatedAt: &at, VictimSex: new("F"), Source: new("victim"), Outcome: new("open")}
		if class != "" {
			o.OffenceClass = &class
		}
		if change != nil {
			change(&o)
		}
		return o
	}
	rows := []schemas.Offence{
		row("counts", "008/06", "8N", nil), // 10 days
		row("told of", "005/01", "5D", func(o *schemas.Offence) { o.Source = new("intelligence") }),
		row("found", "005/01", "5D", func(o *schemas.Offence) { o.Source = new("police_detected") }),
		row("unsaid", "005/01", "5D", func(o *schemas.Offence) { o.VictimSex = nil }),
		row("unsaid too", "105/01", "", func(o *schemas.Offence) { o.VictimSex = new("U") }), // less than 10 days
		row("a man's", "005/01", "5D", func(o *schemas.Offence) { o.VictimSex = new("M") }),
		row("unclear", "008/01", "", nil), // of several weights, from 19 days on
	}
	var file bytes.Buffer
	w := parquet.NewGenericWriter[schemas.Offence](&file)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := extract.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := reference.LoadPaths(reference.Paths{Rules: "vawg-v1"})
	if err != nil {
		t.Fatal(err)
	}
	model := schemas.Model{Name: "m", WindowDays: 365, Depth: 1, MinimumAllegations: 1}
	night := &pipeline.Night{NightID: schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}, Tables: tables, Model: model, Threads: 2}
	engine, err := night.NewEngine(nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	scores, err := night.Score(t.Context(), engine, pipeline.File{File: f}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	top := scoring.NewStack(model)
	if err := scores.Ranking(t.Context(), top.Add); err != nil {
		t.Fatal(err)
	}
	if len(top.Rows) != 1 || top.Rows[0].SuspectID != "counts" {
		t.Fatalf("the stack is %+v", top.Rows)
	}
	m := schemas.Manifest{Dispositions: scores.Dispositions}
	for _, c := range []struct {
		reason      schemas.Disposition
		rows, enter int64
	}{
		{schemas.IntelligenceOnly, 1, 1}, {schemas.PoliceDetected, 1, 1}, {schemas.VictimSexUnknown, 2, 1}, {schemas.UnscoredOffence, 1, 1},
	} {
		got, err := night.IfCounted(t.Context(), pipeline.File{File: f}, m, top.Rows, c.reason)
		if want := (pipeline.IfCounted{Reason: c.reason.String(), Rows: c.rows, Enter: c.enter}); err != nil || got != want {
			t.Errorf("got %+v %v, want %+v", got, err, want)
		}
	}
}
