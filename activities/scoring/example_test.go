package scoring_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// allegation is a row of an extract: rape of a woman, that a victim reported at noon.
func allegation(id, suspect, reported string, outcome string) schemas.Offence {
	at := new(schemas.MustDate(reported).Start().UnixMicro() + 12*3600*1_000_000)
	return schemas.Offence{AllegationID: &id, ReportID: new("R-" + id), SuspectID: &suspect, OffenceCode: new("019/08"),
		OffenceClass: new("19C"), ReportedAt: at, UpdatedAt: at, Borough: new("Hackney"), VictimID: new("V-" + id),
		VictimSex: new("F"), Source: new("victim"), Outcome: &outcome}
}

// An engine scores the rows that its ingesters were given, and puts the suspects in order. Here three are named: one
// twice, one long ago, and one who was acquitted and is not ranked. By hand: 1,825 days weigh half after 180 days, so
// 333 days after the report 1825 * 2^(-333/180) = 506.2; and 1.1 * 1825 * (1 + 2^(-10/180)) = 3939.2, as a second
// allegation adds a tenth.
func ExampleEngine() {
	ctx := context.Background()
	var made bytes.Buffer
	if err := parquet.Write(&made, []schemas.Offence{
		allegation("A-1", "S-old", "2025-08-01", "open"), allegation("A-2", "S-twice", "2026-06-30", "charged"),
		allegation("A-3", "S-twice", "2026-06-20", "open"), allegation("A-4", "S-cleared", "2026-06-30", "acquitted"),
	}); err != nil {
		fmt.Println(err)
		return
	}
	file, err := extract.Open(bytes.NewReader(made.Bytes()), int64(made.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := scoring.New(scoring.Options{AsOf: schemas.MustDate("2026-06-30"), Tables: reference.Default(), Model: model})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	if err := file.Scan(ctx, 2, 0, func() extract.Sink { return engine.NewIngester() }, nil); err != nil {
		fmt.Println(err)
		return
	}
	scores, err := engine.Finish(ctx, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(scores.RowsRead, "rows,", scores.Dispositions[schemas.Scored], "scored,", scores.Dispositions[schemas.Cleared], "cleared")
	err = scores.Ranking(ctx, func(rows []schemas.Ranked) error {
		for _, r := range rows {
			fmt.Printf("%d. %s, %d allegations, %.1f days of harm, score %.1f\n", r.Position, r.SuspectID, r.Allegations, r.SumDays, r.ScoreDays)
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// 4 rows, 3 scored, 1 cleared
	// 1. S-twice, 2 allegations, 3650.0 days of harm, score 3756.7
	// 2. S-old, 1 allegations, 1825.0 days of harm, score 506.2
}
