package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"harmstack/activities/operations"
	"harmstack/schemas"
	"harmstack/workflows"
)

// NightRun is one run of a night, as Temporal knows it.
type NightRun struct {
	WorkflowID, RunID string
	AsOf              schemas.Date // zero when nothing says which
	Started           time.Time
	Status            enumspb.WorkflowExecutionStatus
	Stage             string // the last one that began; empty before the first
}

// NightRuns lists the runs of a deployment's nights that were started since an instant: those that run first, then the
// newest.
func NightRuns(
	ctx context.Context,
	c client.Client,
	d workflows.Deployment,
	taskQueue string,
	since time.Time,
) (runs []NightRun, err error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf(
			"WorkflowType = 'NightlyRun' AND TaskQueue = '%s' AND StartTime >= '%s'",
			taskQueue,
			since.UTC().Format(time.RFC3339),
		)}
	for {
		page, err := c.ListWorkflow(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetExecutions() {
			runs = append(runs, nightRun(d, e))
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return runs, nil
		}
	}
}

func nightRun(d workflows.Deployment, e *workflowpb.WorkflowExecutionInfo) NightRun {
	r := NightRun{WorkflowID: e.GetExecution().GetWorkflowId(), RunID: e.GetExecution().GetRunId(),
		Started: e.GetStartTime().AsTime(), Status: e.GetStatus()}
	attribute := func(name string) (text string) {
		_ = converter.GetDefaultDataConverter().FromPayload(e.GetSearchAttributes().GetIndexedFields()[name], &text)
		return text
	}
	r.Stage = attribute(workflows.AttributeStage.GetName())
	if r.AsOf, _ = schemas.ParseDate(attribute(workflows.AttributeAsOf.GetName())); r.AsOf.IsZero() {
		// It has no revision yet. Its id tells: the schedule adds the time that is meant, a person the date.
		meant := strings.TrimPrefix(r.WorkflowID, d.ID(workflows.ScheduledNightID)+"-")
		if at, err := time.Parse(time.RFC3339, meant); err == nil {
			r.AsOf = schemas.LondonDate(at).AddDays(-1)
		} else {
			r.AsOf, _ = schemas.ParseDate(meant)
		}
	}
	return r
}

// Running tells whether the run goes on.
func (r NightRun) Running() bool { return r.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING }

// Trouble says how a run ended that did not end well, in words that follow "it"; empty for one that runs, that has
// published its night, or that somebody cancelled.
func (r NightRun) Trouble(ctx context.Context, c client.Client) string {
	switch r.Status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		err := c.GetWorkflow(ctx, r.WorkflowID, r.RunID).Get(ctx, nil)
		if err == nil {
			return "failed"
		}
		return "failed: " + workflows.Because(err)
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "took longer than Temporal was told to let it"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "was terminated"
	}
	return ""
}

// Scheduling asks Temporal what a watch cannot see in the store: whether the nightly schedule of the deployment runs,
// and how far a night of it is.
func Scheduling(
	c client.Client,
	d workflows.Deployment,
	taskQueue string,
) func(ctx context.Context, asOf schemas.Date) (operations.Scheduling, error) {
	return func(ctx context.Context, asOf schemas.Date) (s operations.Scheduling, err error) {
		schedule, err := c.ScheduleClient().GetHandle(ctx, d.ID(ScheduleID)).Describe(ctx)
		var gone *serviceerror.NotFound
		switch {
		case errors.As(err, &gone):
			s.Missing = true
		case err != nil:
			return s, err
		default:
			s.Paused = schedule.Schedule.State != nil && schedule.Schedule.State.Paused
		}
		// By hand a night may be run at any time after its date.
		runs, err := NightRuns(ctx, c, d, taskQueue, asOf.Start())
		if err != nil {
			return s, err
		}
		for _, r := range runs {
			if r.AsOf != asOf {
				continue
			}
			if r.Running() {
				s.Stage = cmp.Or(r.Stage, "no stage has begun")
			} else {
				s.Ended = r.Trouble(ctx, c)
			}
			break
		}
		return s, nil
	}
}
