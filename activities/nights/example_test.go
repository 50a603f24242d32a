package nights_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// A night on its way: it claims a revision, is published whole, and is the current one once an officer has approved it.
// A second decision is refused.
func Example() {
	ctx := context.Background()
	st, err := store.Open(ctx, "mem://")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	night, err := nights.Claim(ctx, st, schemas.MustDate("2026-06-30"), "run 1")
	if err != nil {
		fmt.Println(err)
		return
	}
	m := schemas.Manifest{NightID: night, RowsRead: 3, Suspects: 2}
	m.Dispositions[schemas.Cleared], m.Dispositions[schemas.Scored] = 1, 2
	for _, file := range []string{schemas.QuarantineFile, schemas.RankingFile, schemas.StackFile, schemas.StackCSVFile,
		schemas.ContributionsFile, schemas.ChangesFile, schemas.ReportFile} {
		ref, err := st.Write(ctx, night.Path()+"/"+file, "", func(w io.Writer) (int64, error) {
			_, err := io.WriteString(w, "what the stage rank leaves")
			return 2, err
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		m.Outputs = append(m.Outputs, ref)
	}
	ref, err := nights.Publish(ctx, st, m)
	if err != nil {
		fmt.Println(err)
		return
	}
	current, err := nights.LoadCurrent(ctx, st)
	fmt.Println("published:", ref.NightID, "current:", current, err)

	approval := schemas.Decision{Decision: schemas.Approved, Manifest: ref, By: "DCI Example", Reason: "looked at all of it",
		At: time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)}
	if err := errors.Join(nights.Decide(ctx, st, approval), nights.SwapCurrent(ctx, st, night)); err != nil {
		fmt.Println(err)
		return
	}
	current, err = nights.LoadCurrent(ctx, st)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("approved by", current.By, "current:", current.Manifest.NightID)

	hold := approval
	hold.Decision, hold.By = schemas.Held, "DI Late"
	fmt.Println("held too late:", errors.Is(nights.Decide(ctx, st, hold), nights.ErrDecided))
	// Output:
	// published: 2026-06-30-r1 current: <nil> <nil>
	// approved by DCI Example current: 2026-06-30-r1
	// held too late: true
}
