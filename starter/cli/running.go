package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"harmstack/activities/casework"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas/text"
	"harmstack/starter/desk"
	"harmstack/worker/config"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// How far back failed nights are shown, and how long Temporal is waited for.
const (
	failedSince = 7 * 24 * time.Hour
	askedFor    = 20 * time.Second
)

// lookAtRunning asks Temporal, as the environment says, about the nights and taskings of a store.
func lookAtRunning(ctx context.Context, st *store.Store, all []nights.Night) (r desk.Running, err error) {
	cfg, err := config.LoadClient(func(name string) string {
		if name == "HARMSTACK_STORE" {
			return st.URL()
		}
		return os.Getenv(name)
	})
	if err != nil {
		return r, err
	}
	c, err := cfg.Dial(quiet{})
	if err != nil {
		return r, err
	}
	defer c.Close()
	return whatRuns(ctx, c, cfg, st, all)
}

// whatRuns asks Temporal about the nights and taskings of a store.
func whatRuns(
	ctx context.Context, c client.Client, cfg config.Config, st *store.Store, all []nights.Night,
) (r desk.Running, err error) {
	ctx, stop := context.WithTimeout(ctx, askedFor)
	defer stop()
	if r.Nights, err = nightRuns(ctx, c, cfg); err != nil {
		return r, err
	}
	for _, n := range all {
		if n.Status != nights.Pending {
			continue
		}
		d, err := c.DescribeWorkflowExecution(ctx, cfg.Deployment.ID(workflows.DecisionWorkflowID(n.ID)), "")
		if err != nil && !flows.Missing(err) {
			return r, err
		}
		if d.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			r.Undecidable = append(r.Undecidable, n.ID)
		}
	}
	r.Stopped, err = stoppedTaskings(ctx, c, cfg.TaskQueue, st)
	return r, err
}

// nightRuns are the nights that run, and those whose last run of the week ended badly.
func nightRuns(ctx context.Context, c client.Client, cfg config.Config) ([]desk.NightRun, error) {
	l, err := newLooker(c, cfg)
	if err != nil {
		return nil, err
	}
	runs, err := flows.NightRuns(ctx, c, cfg.Deployment, cfg.TaskQueue, now().Add(-failedSince))
	lines := []desk.NightRun{}
	seen := map[string]bool{}
	for _, r := range runs {
		night := r.AsOf.String()
		if r.AsOf.IsZero() {
			night = r.WorkflowID
		}
		line := desk.NightRun{AsOf: r.AsOf, State: "running", Stage: r.Stage, Started: r.Started, Workflow: r.WorkflowID}
		if r.Running() {
			for _, h := range l.look(ctx, r.WorkflowID, r.RunID) {
				line.Why += "; " + h.text
			}
			line.Why = strings.TrimPrefix(line.Why, "; ")
		} else if seen[night] {
			continue // another run came after it
		} else if line.State, line.Why, _ = strings.Cut(r.Trouble(ctx, c), ": "); line.State == "" {
			seen[night] = true
			continue
		}
		seen[night] = true
		lines = append(lines, line)
	}
	return lines, err
}

// stoppedTaskings counts the taskings on the stack whose workflow does not run.
func stoppedTaskings(ctx context.Context, c client.Client, queue string, st *store.Store) (int, error) {
	marked, err := casework.Marked(ctx, st)
	if err != nil || len(marked) == 0 {
		return 0, err
	}
	count, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: fmt.Sprintf("WorkflowType = 'Tasking' AND ExecutionStatus = 'Running' AND TaskQueue = '%s'", queue)})
	if err != nil {
		return 0, err
	}
	// One that has just begun, or just left the stack, may be counted on one side alone.
	return max(0, len(marked)-int(count.GetCount())), nil
}

// printRunning says what status shows of it.
func printRunning(out io.Writer, r desk.Running) error {
	if len(r.Nights) > 0 {
		rows := [][]string{{"NIGHT", "STATE", "STAGE", "SINCE (LONDON)", "WORKFLOW", "WHY"}}
		for _, n := range r.Nights {
			rows = append(
				rows,
				[]string{n.AsOf.String(), n.State, n.Stage, londonMinute(n.Started), n.Workflow, short(n.Why, 160)},
			)
		}
		fmt.Fprintln(out, "\nNights that run, or whose last run of the week failed:")
		if err := table(out, rows); err != nil {
			return err
		}
	}
	for _, id := range r.Undecidable {
		say(
			out,
			"\nNobody can decide night %s: workflow %s does not run. Start it again, see the manual.\n",
			id,
			deployment().ID(workflows.DecisionWorkflowID(id)),
		)
	}
	if r.Stopped > 0 {
		say(out, "\n%s on the stack %s not run, so that nobody is chased: look in the web UI why, "+
			"then `starter tasking resume`.\n", text.Count(r.Stopped, "tasking"), text.Noun(r.Stopped, "does", "do"))
	}
	return nil
}
