package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"harmstack/schemas"
	"harmstack/worker/config"
	flows "harmstack/workflows/client"
	"harmstack/workflows/plugin"
)

// hitch is one thing that keeps a workflow from going on.
type hitch struct {
	text  string // in one line, for people
	cause string // the same at every look: text without times and attempts
}

// looker looks for hitches of running workflows.
type looker struct {
	client   client.Client
	queue    string
	failures converter.FailureConverter
}

func newLooker(c client.Client, cfg config.Config) (*looker, error) {
	_, failures, err := plugin.Converters(cfg.Payloads)
	return &looker{c, cfg.TaskQueue, failures}, err
}

// How often we look, how long a worker may take before we say that none comes, and how soon we say the same again.
const (
	lookEvery  = time.Second
	patience   = 5 * time.Second
	remindedBy = time.Minute
)

// follow says on out what keeps a workflow from going on, as long as ctx lasts.
func (l *looker) follow(ctx context.Context, id, runID string, out io.Writer) {
	said := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
		for _, h := range l.look(ctx, id, runID) {
			if last, ok := said[h.cause]; !ok || time.Since(last) >= remindedBy {
				said[h.cause] = time.Now()
				fmt.Fprintln(out, "  "+h.text)
			}
		}
	}
}

// while follows a workflow until do has ended.
func (l *looker) while(ctx context.Context, id, runID string, out io.Writer, do func()) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.follow(ctx, id, runID, out) })
	do()
	stop()
	wg.Wait()
}

// look finds what keeps a workflow from going on now; an empty runID is its latest run. One that is not there has none.
func (l *looker) look(ctx context.Context, id, runID string) (hitches []hitch) {
	d, err := l.client.DescribeWorkflowExecution(ctx, id, runID)
	if err != nil && ctx.Err() == nil && !flows.Missing(err) {
		return []hitch{{fmt.Sprintf("Temporal does not answer: %s", oneLine(err)), "temporal"}}
	}
	queue := cmp.Or(d.GetExecutionConfig().GetTaskQueue().GetName(), l.queue)
	if task := d.GetPendingWorkflowTask(); task.GetAttempt() > 1 {
		why := l.taskFailure(ctx, id, d.GetWorkflowExecutionInfo())
		hitches = append(
			hitches,
			hitch{fmt.Sprintf("no step of the workflow can be taken, attempt %d: %s", task.GetAttempt(), why), why},
		)
	} else if task.GetState() == enumspb.PENDING_WORKFLOW_TASK_STATE_SCHEDULED && time.Since(task.GetScheduledTime().AsTime()) > patience {
		hitches = append(hitches, l.noWorker(ctx, queue, enumspb.TASK_QUEUE_TYPE_WORKFLOW))
	}
	for _, a := range d.GetPendingActivities() {
		name := strings.ToLower(a.GetActivityType().GetName())
		switch {
		case name == "awaitsource":
			// It looks again and again; the stage's line says for what.
		case a.GetPaused():
			hitches = append(hitches, hitch{name + " is paused, in the web UI", name + " paused"})
		case a.GetLastFailure() != nil:
			hitches = append(hitches, l.retried(name, a))
		case a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && time.Since(a.GetScheduledTime().AsTime()) > patience:
			h := l.noWorker(
				ctx,
				cmp.Or(a.GetActivityOptions().GetTaskQueue().GetName(), queue),
				enumspb.TASK_QUEUE_TYPE_ACTIVITY,
			)
			hitches = append(hitches, hitch{name + ": " + h.text, name + h.cause})
		}
	}
	return hitches
}

// retried says what an activity failed of last, and when it is tried again.
func (l *looker) retried(name string, a *workflowpb.PendingActivityInfo) hitch {
	err := l.failures.FailureToError(a.GetLastFailure())
	why := failureText(err)
	if t := (*temporal.TimeoutError)(nil); errors.As(err, &t) && t.TimeoutType() == enumspb.TIMEOUT_TYPE_HEARTBEAT {
		why = "its worker was lost"
	}
	// The attempt that is counted is the one under way, or the next one.
	failed, next := a.GetAttempt()-1, "it is tried again now"
	if at := a.GetNextAttemptScheduleTime(); at != nil {
		next = "it is tried again at " + at.AsTime().In(schemas.London).Format(time.TimeOnly)
	}
	return hitch{fmt.Sprintf("%s failed, attempt %d: %s; %s", name, failed, why, next), name + why}
}

// taskFailure says why the workflow's code cannot go on.
func (l *looker) taskFailure(ctx context.Context, id string, info *workflowpb.WorkflowExecutionInfo) string {
	why := "the workers' log says why"
	it := l.client.GetWorkflowHistory(
		ctx,
		id,
		info.GetExecution().GetRunId(),
		false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT,
	)
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			break
		}
		if f := e.GetWorkflowTaskFailedEventAttributes(); f != nil {
			why = failureText(l.failures.FailureToError(f.GetFailure()))
			if f.GetCause() == enumspb.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES {
				if err := examineAttributes(ctx, l.client); err != nil {
					why = err.Error()
				}
			}
		}
	}
	return why
}

// noWorker says that nobody takes up what waits in a task queue.
func (l *looker) noWorker(ctx context.Context, queue string, kind enumspb.TaskQueueType) hitch {
	text := fmt.Sprintf("no worker takes it up: nobody polls the task queue %s, start a worker", queue)
	if d, err := l.client.DescribeTaskQueue(ctx, queue, kind); err == nil && len(d.GetPollers()) > 0 {
		last := slices.MaxFunc(d.GetPollers(), func(a, b *taskqueuepb.PollerInfo) int {
			return a.GetLastAccessTime().AsTime().Compare(b.GetLastAccessTime().AsTime())
		}).GetLastAccessTime().AsTime()
		text = fmt.Sprintf("no worker takes it up: one polled the task queue %s last at %s, and is busy or gone", queue,
			last.In(schemas.London).Format(time.TimeOnly))
	}
	return hitch{text, "no worker"}
}

// failureText is the text of the failure that began it all, in one line.
func failureText(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return oneLine(errors.New(app.Message()))
	}
	return oneLine(err)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// shared lets several goroutines write lines to one writer.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(p)
}
