package workflows

import (
	"context"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"harmstack/schemas"
)

// NightRun is one run of a night, as Temporal knows it.
type NightRun struct {
	WorkflowID, RunID string
	AsOf              schemas.Date // zero when nothing says which
	Started           time.Time
	Status            enumspb.WorkflowExecutionStatus
	Stage             string // the last one that began; empty before the first
}

// NightRuns lists the runs of a deployment's nights that were started since an instant: those that run first, then the newest.
func NightRuns(ctx context.Context, c client.Client, d Deployment, taskQueue string, since time.Time) (runs []NightRun, err error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("WorkflowType = 'NightlyRun' AND TaskQueue = '%s' AND StartTime >= '%s'", taskQueue, since.UTC().Format(time.RFC3339))}
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

func nightRun(d Deployment, e *workflowpb.WorkflowExecutionInfo) NightRun {
	r := NightRun{WorkflowID: e.GetExecution().GetWorkflowId(), RunID: e.GetExecution().GetRunId(),
		Started: e.GetStartTime().AsTime(), Status: e.GetStatus()}
	attribute := func(name string) (text string) {
		_ = converter.GetDefaultDataConverter().FromPayload(e.GetSearchAttributes().GetIndexedFields()[name], &text)
		return text
	}
	r.Stage = attribute(AttributeStage.GetName())
	if r.AsOf, _ = schemas.ParseDate(attribute(AttributeAsOf.GetName())); r.AsOf.IsZero() {
		// It has no revision yet. Its id tells: the schedule adds the time that is meant, a person the date.
		meant := strings.TrimPrefix(r.WorkflowID, d.ID(ScheduledNightID)+"-")
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
		return "failed: " + because(err)
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "took longer than Temporal was told to let it"
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "was terminated"
	}
	return ""
}
