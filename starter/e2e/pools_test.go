package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"harmstack/schemas"
	"harmstack/schemas/sweep"
	"harmstack/starter/synthetic"
	"harmstack/worker/service"
	"harmstack/workflows"
)

// start starts the night of a date and does not wait for it.
func (d *deployment) start(date schemas.Date) client.WorkflowRun {
	d.t.Helper()
	run, err := d.client.ExecuteWorkflow(d.t.Context(), client.StartWorkflowOptions{ID: workflows.NightWorkflowID(date), TaskQueue: workflows.TaskQueue},
		workflows.NightlyRun, schemas.NightRequest{AsOf: date})
	if err != nil {
		d.t.Fatal(err)
	}
	return run
}

// An officer never waits behind stages: while as many of them as may run at once do so, and more wait for their turn,
// an approval is recorded, the teams are tasked and told, and a team answers.
func TestNobodyWaitsBehindAStage(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "Extract:held")
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	hold := filepath.Join(d.dir, "hold")
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(hold) })
	nights := make([]client.WorkflowRun, 3*service.ComputeSlots)
	for i := range nights {
		nights[i] = d.start(asOf.AddDays(-1 - i))
	}
	d.eventually(func() bool {
		running := 0
		for _, run := range nights {
			w, err := d.client.DescribeWorkflowExecution(t.Context(), run.GetID(), run.GetRunID())
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range w.PendingActivities {
				if a.ActivityType.Name == "Extract" && a.State == enumspb.PENDING_ACTIVITY_STATE_STARTED {
					running++
				}
			}
		}
		return running >= service.ComputeSlots
	})
	if got := d.approve(n).Tasking; got.Sent+got.Unchanged != 34 || got.Failed != 0 {
		t.Errorf("the teams were told as %+v", got)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	for _, run := range nights {
		if err := run.Get(t.Context(), nil); err != nil {
			t.Errorf("the night that waited ended with %v", err)
		}
	}
}

// HARMSTACK_MEMORY is the budget of the worker, not of each of the stages that it runs at once.
func TestTwoNightsAtOnceShareTheMemory(t *testing.T) {
	t.Parallel()
	const budget = 256
	d := deploy(t, nil, "", fmt.Sprintf("HARMSTACK_MEMORY=%dMiB", budget), "HARMSTACK_THREADS=2")
	var rows bytes.Buffer
	suspects := 20_000
	if sweep.Whole() {
		suspects = 350_000 // of whom 256 MiB hold a part
	}
	if _, err := synthetic.Write(t.Context(), &rows, synthetic.Options{AsOf: asOf, Suspects: suspects, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.dir, "extract.parquet"), rows.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	nights := []client.WorkflowRun{d.start(asOf.AddDays(-1)), d.start(asOf)}
	for _, run := range nights {
		var n workflows.NightResult
		if err := run.Get(t.Context(), &n); err != nil || n.Suspects < int64(suspects*6/7) {
			t.Fatalf("%d suspects, %v", n.Suspects, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if used := most(t, d.workers[0].Pid); used > budget && sweep.Whole() {
		t.Errorf("the worker held %d MiB of %d", used, budget)
	}
}

// most is how many MiB of memory a process has held at most.
func most(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "kB", 2)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}
