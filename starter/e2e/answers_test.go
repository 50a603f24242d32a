package e2e

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"harmstack/schemas"
	"harmstack/worker/service"
	"harmstack/workflows"
)

// What a server that says no says to each command comes out as a line that tells what is so: nothing here is known from
// the SDK's documents alone.
func TestAnswersOfTheServer(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "")
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	unknown := []string{"k7qd-2m4x-9w3t-c5hn", "--team", "Hackney", "--by", "PS Example"}
	elsewhere := func(text string, env []string, args ...string) {
		t.Helper()
		c := d.typing(env, args...)
		if code := c.wait(); code != 1 || !strings.Contains(c.err.String(), text) {
			t.Errorf("%v: exit %d, want 1 and %q: %s", args, code, text, c.err.String())
		}
	}
	t.Run("schedules", func(t *testing.T) {
		d.expect("there is no schedule harmstack-nightly yet", "schedule", "pause", "--reason", "x")
		d.expect("there is no schedule harmstack-nightly yet", "schedule", "trigger")
		if out := d.succeed("schedule", "show"); !strings.Contains(out, "Schedule harmstack-nightly is not there") {
			t.Error(out)
		}
		if out := d.succeed("schedule", "apply"); strings.Count(out, " created: ") != 3 {
			t.Error(out)
		}
		d.succeed("schedule", "pause", "--reason", "moving")
		if out := d.succeed("schedule", "apply"); strings.Count(out, "brought up to date") != 3 {
			t.Error(out)
		}
		if out := d.succeed("schedule", "show", "nightly"); !strings.Contains(out, "paused: ") || !strings.Contains(out, "moving") {
			t.Error(out)
		}
	})
	t.Run("no Temporal, and no such namespace", func(t *testing.T) {
		elsewhere("no Temporal at 127.0.0.1:1", []string{"TEMPORAL_ADDRESS=127.0.0.1:1"}, "run")
		elsewhere("nowhere", []string{"TEMPORAL_NAMESPACE=nowhere"}, "run")
		cfg := d.cfg
		c, err := cfg.DialTo(client.Options{HostPort: d.address, Namespace: "nowhere"}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := service.New(t.Context(), c, d.cfg)
		if err == nil {
			err = s.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "Namespace nowhere is not found") {
			t.Errorf("a worker: %v", err)
		}
	})
	t.Run("taskings", func(t *testing.T) {
		d.expect("was never issued, or it has left the stack", append([]string{"ack"}, unknown...)...)
		run, err := d.client.ExecuteWorkflow(t.Context(), d.again("tasking-"+unknown[0]), workflows.Tasking, workflows.TaskingParams{Reference: unknown[0]})
		if err == nil {
			err = run.Get(t.Context(), nil) // nothing is known of it: it ends
		}
		if err != nil {
			t.Error(err)
		}
		d.expect("tasking "+unknown[0]+" is not issued yet", append([]string{"ack"}, unknown...)...)
	})
	t.Run("decisions", func(t *testing.T) {
		d.expect("the decision is about another revision or manifest", append([]string{"approve", "--manifest", strings.Repeat("0", 64)}, byHand(n)...)...)
		// A run of a night that is reset after it asked for the decision finds that it waits already.
		run := d.client.GetWorkflow(t.Context(), "night-"+asOf.String(), "")
		reset, err := d.client.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: "default", WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
			Reason: "look again", WorkflowTaskFinishEventId: d.lastTaskBefore(run.GetID(), enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED),
			RequestId: uuid.NewString()})
		if err != nil {
			t.Fatal(err)
		}
		var again workflows.NightResult
		if err := d.client.GetWorkflow(t.Context(), run.GetID(), reset.GetRunId()).Get(t.Context(), &again); err != nil || again.Decision != n.Decision {
			t.Errorf("%+v, %v", again, err)
		}
		// A night that supersedes one whose workflow is gone has nobody to tell.
		if err := d.client.TerminateWorkflow(t.Context(), n.Decision, "", "by mistake"); err != nil {
			t.Fatal(err)
		}
		d.expect("nothing waits for a decision on night 2026-06-30-r1", append([]string{"approve"}, byHand(n)...)...)
		_, newer := d.night(schemas.NightRequest{AsOf: asOf})
		if newer.Night.Revision != 2 {
			t.Errorf("%+v", newer)
		}
		d.expect("night 2026-06-30-r1 was superseded already", append([]string{"approve", "--revision", "1"}, byHand(n)...)...)
		d.succeed(append([]string{"hold", "--revision", "2"}, byHand(newer)...)...)
		d.expect("a decision is final", append([]string{"approve", "--revision", "2"}, byHand(newer)...)...)
	})
	t.Run("nobody works", func(t *testing.T) {
		_, last := d.night(schemas.NightRequest{AsOf: asOf})
		d.approve(last)
		var reference string
		for reference = range d.taskings() {
			break
		}
		d.lose()
		asking := d.typing(nil, append([]string{"ack", reference}, unknown[1:]...)...)
		if code := asking.wait(); code != 1 || !strings.Contains(asking.err.String(), "the answer did not get through: ") {
			t.Errorf("exit %d: %s", code, asking.err.String())
		}
	})
}

// lastTaskBefore is the end of the workflow task that led to the first event of a type.
func (d *deployment) lastTaskBefore(id string, kind enumspb.EventType) (at int64) {
	d.t.Helper()
	for _, e := range d.history(id, "").Events {
		if e.EventType == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			at = e.EventId
		}
		if e.EventType == kind {
			break
		}
	}
	return at
}
