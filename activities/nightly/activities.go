// Package nightly is the stages of a night as Temporal activities: claim, extract, check, score, rank,
// publish. Each takes references to files and returns references and counts; rows stay in the files.
//
// An activity here opens files, hands them to the package that does the work and writes down what came
// of it. It must not know the rules of the contract, nor in which order the stages run.
package nightly

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"go.temporal.io/sdk/activity"

	"harmstack/activities/failure"
	"harmstack/activities/heartbeat"
	"harmstack/activities/publish"
	"harmstack/activities/quality"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// Activities are the stages and what a deployment gives them.
type Activities struct {
	Store *store.Store
	// Sources are the configured extracts by name; a request that names none gets DefaultSource.
	Sources map[string]string
	// Threads is how many goroutines read an extract; 0: one a processor.
	Threads int
	// Memory is how many bytes a scoring holds before it spills into TempDir; 0: it never does.
	Memory  int64
	TempDir string
	// ShardRows is how many rows one worker scores alone; a larger night is shared. 0: DefaultShardRows.
	ShardRows int64
	// Checks judge a night before it is published; the zero value has none.
	Checks quality.Checks
	// Code names the build, for the manifest.
	Code string
}

func (a *Activities) threads() int {
	if a.Threads > 0 {
		return a.Threads
	}
	return scoring.Threads()
}

// DefaultSource is the name of the source that a request without one reads.
const DefaultSource = "default"

// guard refuses a revision that another run has published: what is published never changes. A run that
// finds its own revision published is a retry, and may go on.
func (a *Activities) guard(ctx context.Context, id schemas.NightID) error {
	if id.Revision < 1 || id.AsOf.IsZero() {
		return failure.Permanent(failure.BadRequest, fmt.Errorf("night %s: its date or its revision is missing", id))
	}
	sealed, err := publish.Sealed(ctx, a.Store, id)
	if err != nil || !sealed {
		return err
	}
	data, err := a.Store.Read(ctx, id.Path()+"/"+schemas.ClaimFile)
	if err != nil {
		return err
	}
	var claim struct{ Owner string }
	if err := json.Unmarshal(data, &claim); err != nil {
		return failure.Permanent(failure.DamagedArtifact, fmt.Errorf("night %s: its claim cannot be read", id))
	}
	if claim.Owner != owner(ctx) {
		return failure.Permanent(failure.RevisionSealed, fmt.Errorf("night %s is published already by another run", id))
	}
	return nil
}

// owner names the run of the pipeline: a Reset makes another one.
func owner(ctx context.Context) string {
	run := activity.GetInfo(ctx).WorkflowExecution
	return run.ID + "/" + run.RunID
}

// stage is what every activity but the claim does around its work.
func stage[R any](ctx context.Context, a *Activities, id schemas.NightID, work func(rows *atomic.Int64) (R, error)) (R, error) {
	rows, stop := heartbeat.Start(ctx)
	defer stop()
	var none R
	if err := a.guard(ctx, id); err != nil {
		return none, failure.Of(err)
	}
	result, err := work(rows)
	if err != nil {
		return none, failure.Of(err)
	}
	return result, nil
}
