// Package nightly is the stages of a night as Temporal activities: claim, extract, check, score, rank,
// publish. Each takes references to files and returns references and counts; rows stay in the files.
//
// An activity here opens files, hands them to the package that does the work and writes down what came
// of it. It must not know the rules of the contract, nor in which order the stages run.
package nightly

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"harmstack/activities/extract/sources"
	"harmstack/activities/nights"
	"harmstack/activities/nights/lineage"
	"harmstack/activities/nights/quality"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
)

// Activities are the stages and what a deployment gives them.
type Activities struct {
	Store *store.Store
	// Sources are the configured extracts by name; a request that names none gets DefaultSource.
	Sources map[string]string
	// Prefixes are where else a request may name an extract by path or URL; none: nowhere.
	Prefixes sources.Prefixes
	// Threads is how many goroutines read an extract; 0: one a processor.
	Threads int
	// Memory is how many bytes a scoring holds before it spills into TempDir; 0: it never does.
	Memory  int64
	TempDir string
	// ShardRows is how many rows one worker scores alone; a larger night is shared. 0: DefaultShardRows.
	ShardRows int64
	// Checks look at a night before it is published; the zero value has none.
	Checks quality.Checks
	// Tables weigh the offences; nil: the embedded ones.
	Tables *reference.Tables
	// RestrictedDesk tells whether the teams' file names a desk for restricted suspects, for the report; nil: none.
	RestrictedDesk func() bool
	// Stability are the models that a stack is compared with; the zero value has the default ones.
	Stability schemas.Stability
	// Started tells who started a run, as far as Temporal knows; nil: nobody knows.
	Started func(ctx context.Context, workflowID, runID string) (schemas.StartedBy, error)
	// Identity is how it is known who somebody is.
	Identity attest.Identity
	// Lineage is told what each stage made of what; nil: nobody is.
	Lineage *lineage.Emitter
	// Code names the build, for the manifest. Build is what of the build may change the bytes that a stage writes;
	// of two builds with the same one each reuses what the other made. Empty: nothing is reused.
	Code, Build string
}

// DefaultSource is the name of the source that a request without one reads.
const DefaultSource = schemas.DefaultSource

// guard refuses a revision that another run has published: what is published never changes. A run that
// finds its own revision published is a retry, and may go on.
func (a *Activities) guard(ctx context.Context, id schemas.NightID) error {
	if id.Revision < 1 || id.AsOf.IsZero() {
		return task.Permanent(fault.BadRequest, fmt.Errorf("night %s: its date or its revision is missing", id))
	}
	sealed, err := nights.Sealed(ctx, a.Store, id)
	if err != nil || !sealed {
		return err
	}
	data, err := a.Store.ReadRecord(ctx, id.Path()+"/"+schemas.ClaimFile)
	if err != nil {
		return err
	}
	var claim struct{ Owner string }
	if err := json.Unmarshal(data, &claim); err != nil {
		return task.Permanent(fault.DamagedArtifact, fmt.Errorf("night %s: its claim cannot be read", id))
	}
	if claim.Owner != owner(ctx) {
		return task.Permanent(fault.RevisionSealed, fmt.Errorf("night %s is published already by another run", id))
	}
	return nil
}

// startedBy is who started this run: whom the desk vouches for in the request, or as far as Temporal knows. It is nil
// where nobody knows. A run that was reset is of whoever reset it.
func (a *Activities) startedBy(ctx context.Context, request schemas.NightRequest) (*schemas.StartedBy, error) {
	if a.Started == nil {
		return nil, nil
	}
	run := activity.GetInfo(ctx).WorkflowExecution
	by, err := a.Started(ctx, run.ID, run.RunID)
	if err != nil {
		return nil, fmt.Errorf("who started the night cannot be asked of Temporal: %w", err)
	}
	if token := request.Attestation; token != "" && by.Way == schemas.WayPerson {
		request.Attestation = ""
		st, err := a.Identity.Keys.Verify(token, attest.Act{Do: access.Run, Target: run.ID, Request: request}, by.At)
		if err == nil {
			err = access.Allows(st.Roles, access.Run, "")
		}
		if err != nil {
			return nil, err
		}
		by.Name, by.Subject, by.Verified = st.Name, st.Subject, schemas.ByDesk
	}
	return &by, nil
}

// owner names the run of the pipeline: a Reset makes another one.
func owner(ctx context.Context) string {
	run := activity.GetInfo(ctx).WorkflowExecution
	return run.ID + "/" + run.RunID
}

// stage is what every activity but the claim does around its work, which is spared when it was done before.
func stage[R any, P result[R]](
	ctx context.Context,
	a *Activities,
	t step,
	work func(rows *atomic.Int64) (R, error),
) (R, error) {
	rows, stop := task.Start(ctx)
	defer stop()
	var none R
	if err := a.guard(ctx, t.night); err != nil {
		return none, task.Of(err)
	}
	if t.find != nil && a.Build != "" {
		t.inputs, t.also = t.find(ctx)
	}
	key, err := a.key(t)
	if err != nil {
		return none, err
	}
	told := a.begun(ctx, t)
	if key != "" && !t.force {
		if r, ok := reuse[R, P](ctx, a, key, t.night); ok {
			P(&r).origin().Unsent = told(outcome{}, files(P(&r).refs()), nil)
			return r, ctx.Err()
		}
	}
	r, err := work(rows)
	if err != nil {
		err = task.Of(err)
		told(outcome{}, nil, err)
		return none, err
	}
	P(&r).origin().Code = cmp.Or(P(&r).origin().Code, a.Code)
	came := P(&r).outcome()
	replaced := came.inputs != nil && t.inputs != nil && !slices.EqualFunc(came.inputs, t.inputs, sameBytes)
	if key != "" && !came.doubt && !replaced {
		keep(ctx, a, key, t.night, r)
	}
	P(&r).origin().Unsent = told(came, files(P(&r).refs()), nil)
	return r, nil
}

func sameBytes(a, b schemas.ArtifactRef) bool { return a.SHA256 == b.SHA256 }

// begun tells of the start of a stage while it runs, and returns what tells of its end: how many of the events could
// not be sent. A failure that is to be retried is no end.
func (a *Activities) begun(
	ctx context.Context,
	t step,
) (ended func(came outcome, outputs []schemas.ArtifactRef, failed error) (unsent int)) {
	if a.Lineage == nil {
		return func(outcome, []schemas.ArtifactRef, error) int { return 0 }
	}
	about := lineage.Stage{Run: owner(ctx), Name: t.stage, Part: t.part, Night: t.night, Inputs: t.inputs}
	event := func(kind string) lineage.Event {
		return lineage.NewEvent(kind, time.Now(), a.Store.URL(), about)
	}
	first := event(lineage.Start)
	started := make(chan error, 1)
	go func() { started <- a.Lineage.Emit(ctx, first) }()
	return func(came outcome, outputs []schemas.ArtifactRef, failed error) (unsent int) {
		err := <-started
		kind := lineage.Complete
		about.Outputs, about.Nulls = outputs, came.nulls
		if came.inputs != nil {
			about.Inputs = came.inputs
		}
		if failed != nil {
			var app *temporal.ApplicationError
			if !errors.As(failed, &app) || !app.NonRetryable() {
				return 0
			}
			kind, about.Failure = lineage.Fail, app.Type()
		}
		if err != nil { // the stage has waited for the service already
			unsent = 2
			err = errors.Join(err, a.Lineage.Keep(ctx, event(kind)))
		} else if err = a.Lineage.Emit(ctx, event(kind)); err != nil {
			unsent = 1
		}
		if err != nil {
			activity.GetLogger(ctx).Warn("lineage events are not sent yet", "events", unsent, "error", err)
		}
		return unsent
	}
}

// night is a night as pipeline works on it, which no model weighs yet.
func (a *Activities) night(id schemas.NightID) *pipeline.Night {
	n := &pipeline.Night{
		NightID: id,
		Store:   a.Store,
		Folder:  id.Path(),
		Tables:  a.Tables,
		Checks:  a.Checks,
		Threads: a.Threads,
		Memory:  a.Memory,
		Temp:    a.TempDir,
	}
	if n.Tables == nil {
		n.Tables = reference.Default()
	}
	if n.Threads < 1 {
		n.Threads = scoring.Threads()
	}
	return n
}

// scoring is a night that a model weighs, and what weighs and scores by name.
func (a *Activities) scoring(id schemas.NightID, model string) (*pipeline.Night, schemas.Basis, error) {
	n := a.night(id)
	m, err := schemas.LoadModel(cmp.Or(model, schemas.DefaultModel))
	if err != nil {
		return nil, schemas.Basis{}, task.Permanent(fault.BadRequest, err)
	}
	if n.Stability = a.Stability; n.Stability.Models == nil {
		if n.Stability, err = schemas.LoadStability(""); err != nil {
			return nil, schemas.Basis{}, err
		}
	}
	n.Model = m
	return n, n.Tables.Basis(m), nil
}

func (a *Activities) parts(refs []schemas.ArtifactRef) pipeline.Parts {
	return pipeline.Parts{Store: a.Store, Refs: refs}
}
