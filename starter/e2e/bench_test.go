package e2e

import (
	"fmt"
	"io"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"harmstack/activities/nights"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
	"harmstack/workflows"
)

// BenchmarkTaskings approves two nights whose stack holds five thousand: the first issues a tasking for each,
// the second changes every tenth.
//
//	go test ./starter/e2e -run '^$' -bench Taskings -benchtime 1x -timeout 60m
func BenchmarkTaskings(b *testing.B) {
	const depth = 5000
	for b.Loop() {
		d := deploy(b, extract(40), "")
		var previous *schemas.ManifestRef
		for i, unit := range []string{"s/issue-5000", "s/change-500-of-5000"} {
			ref := d.publishStack(i, depth, previous)
			id := workflows.DecisionWorkflowID(ref.NightID)
			run, err := d.client.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue}, workflows.Decision, workflows.DecisionParams{Manifest: ref})
			if err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			request := schemas.DecisionRequest{Revision: 1, ManifestSHA256: ref.SHA256, By: "DCI Example", Reason: "measured"}
			if _, err := workflows.Approve.Call(b.Context(), d.client, id, "u1", request); err != nil {
				b.Fatal(err)
			}
			var result workflows.DecisionResult
			if err := run.Get(b.Context(), &result); err != nil || result.Tasking.Sent < 32 || result.Tasking.Failed > 0 {
				b.Fatalf("%+v, %v", result, err)
			}
			previous = &ref
			b.ReportMetric(time.Since(began).Seconds(), unit)
		}
		if n := len(d.taskings()); n != depth+depth/20 {
			b.Errorf("%d taskings", n)
		}
	}
}

// publishStack publishes a night with a stack of its own: on the second night one in twenty has left for
// another, and one in twenty has one allegation more.
func (d *deployment) publishStack(night, depth int, previous *schemas.ManifestRef) schemas.ManifestRef {
	d.t.Helper()
	boroughs := []string{"Hackney", "Barnet", "Camden", "Croydon", "Newham", "Lambeth", "Ealing", "Bexley"}
	var rows []schemas.Ranked
	var contributions []schemas.Contribution
	changes := []schemas.Change{}
	at := asOf.Start().UnixMicro()
	for i := range depth {
		id, allegations := i, 2
		switch {
		case night > 0 && i%20 == 0:
			id = depth + i
		case night > 0 && i%20 == 1:
			allegations = 3
		}
		position := int64(i + 1)
		borough := boroughs[i%len(boroughs)]
		suspect := fmt.Sprintf("marked-s-%d", id)
		rows = append(rows, schemas.Ranked{Position: position, Rank: position, TieSize: 1, SuspectID: suspect, Score: int64(depth-i) * schemas.ScorePerDay, ScoreDays: float64(depth - i), SumDays: 1000,
			MaxDays: 500, SumRank: position, Allegations: int64(allegations), Reports: int64(allegations), Victims: 1, FirstReported: at, LastReported: at, OwnerBorough: &borough, Boroughs: []string{borough}})
		for n := range allegations {
			contributions = append(contributions, schemas.Contribution{Position: position, SuspectID: suspect, AllegationID: fmt.Sprintf("marked-a-%d-%d", id, n), ReportID: fmt.Sprintf("marked-r-%d-%d", id, n),
				ReportedAt: at, OffenceCode: "019/08", Offence: "Rape of a female aged 16 or over", WeightRule: "pair", HarmDays: 500, RecencyPPM: schemas.PPM, Base: 5000 * schemas.PPM, Share: 0.5, Source: "victim", Outcome: "open"})
		}
		changes = append(changes, schemas.Change{SuspectID: suspect, Kind: schemas.ChangeEntered, Position: &position})
	}
	m := schemas.Manifest{NightID: schemas.NightID{AsOf: asOf.AddDays(night), Revision: 1}, RowsRead: 1, Suspects: int64(depth), Cut: schemas.Cut{Depth: int64(depth), Stack: int64(depth)}, Previous: previous, Changes: &schemas.ChangeCount{}}
	m.Dispositions[schemas.Scored] = 1
	write := func(file string, write func(io.Writer) (int64, error)) {
		ref, err := d.store.Write(d.t.Context(), m.Path()+"/"+file, "", write)
		if err != nil {
			d.t.Fatal(err)
		}
		m.Outputs = append(m.Outputs, ref)
	}
	write(schemas.StackFile, all(rows))
	write(schemas.ContributionsFile, all(contributions))
	write(schemas.ChangesFile, all(changes))
	for _, file := range []string{schemas.QuarantineFile, schemas.RankingFile, schemas.StackCSVFile, schemas.ReportFile} {
		write(file, func(io.Writer) (int64, error) { return 0, nil }) // a tasking needs none of them
	}
	ref, err := nights.Publish(d.t.Context(), d.store, m)
	if err != nil {
		d.t.Fatal(err)
	}
	return ref
}

// all writes rows into a file.
func all[T any](rows []T) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) {
		return rowfile.WriteAll(w, func(yield func([]T) error) error { return yield(rows) })
	}
}
