package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"harmstack/activities/messages/digest"
	"harmstack/schemas/text"
	"harmstack/worker/config"
	"harmstack/workflows"
)

// examineMail tells whether messages could be sent. None is.
func examineMail(ctx context.Context, m config.Mail) (string, error) {
	if m.Outbox != "" {
		return "the outbox folder takes messages", digest.ProbeOutbox(m.Outbox)
	}
	if m.SMTP.Host == "" {
		return "", errors.New("none: name a mail server in HARMSTACK_SMTP, or a folder in HARMSTACK_OUTBOX")
	}
	where := m.SMTP.Host
	if m.SMTP.Port != 0 {
		where = net.JoinHostPort(where, strconv.Itoa(m.SMTP.Port))
	}
	if err := digest.ProbeSMTP(ctx, m.SMTP); err != nil {
		return "", fmt.Errorf("%s: %w", where, err)
	}
	return where + " takes messages from the sender", nil
}

// examineTemp tells whether stages can spill. Nothing is left of the try.
func examineTemp(folder string) (string, error) {
	tmp, err := os.CreateTemp(folder, ".doctor-*")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is not there: make it, or name another in HARMSTACK_TEMP", folder)
	}
	if err != nil {
		return "", fmt.Errorf("%w: let the worker write there, or name another folder in HARMSTACK_TEMP", err)
	}
	return folder + " is writable", errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// examineMemory tells whether the worker's budget fits the machine. Both are in bytes; a machine of 0 is not known.
func examineMemory(budget int64, slots int, machine int64) (string, error) {
	gib := func(n int64) string { return strconv.FormatFloat(float64(n)/(1<<30), 'f', 1, 64) + " GiB" }
	switch {
	case budget == 0:
		return "without bound: the " + text.Count(
			slots,
			"stage",
		) + " that may run at once take what they need; HARMSTACK_MEMORY bounds them", nil
	case machine == 0:
		return "what this machine has cannot be told", nil
	case budget > machine/10*9:
		return "", fmt.Errorf(
			"HARMSTACK_MEMORY is %s, this machine has %s: give at most nine tenths of that",
			gib(budget),
			gib(machine),
		)
	}
	return fmt.Sprintf("%s of the %s here, %s for each of the %s that may run at once", gib(budget), gib(machine), gib(budget/int64(slots)), text.Count(slots, "stage")), nil
}

// machineMemory is how many bytes of memory processes here may use: the machine's, or less where a container or service
// is bounded. 0: it cannot be told, as on systems other than Linux. root is / but in tests.
func machineMemory(root string) (int64, error) {
	data, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var total int64
	if _, err := fmt.Sscanf(string(data), "MemTotal: %d kB", &total); err != nil {
		return 0, nil
	}
	total <<= 10
	// Of control groups of version 2 and 1; a bound of "max" is none.
	group, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	own := ""
	for line := range strings.Lines(string(group)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own = path
		}
	}
	files := []string{filepath.Join(root, "sys/fs/cgroup/memory/memory.limit_in_bytes")}
	for ; ; own = filepath.Dir(own) {
		files = append(files, filepath.Join(root, "sys/fs/cgroup", own, "memory.max"))
		if own = cmp.Or(own, "/"); own == "/" {
			break
		}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if bound, parseErr := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil &&
			parseErr == nil &&
			bound > 0 {
			total = min(total, bound)
		}
	}
	return total, nil
}

// examineNamespace tells whether the namespace is there: the connection alone does not ask.
func examineNamespace(ctx context.Context, c client.Client) (string, error) {
	_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{})
	var none *serviceerror.NamespaceNotFound
	if errors.As(err, &none) {
		return "", fmt.Errorf(
			"there is no namespace %s: temporal operator namespace create --namespace %s, or name another in TEMPORAL_NAMESPACE",
			none.Namespace,
			none.Namespace,
		)
	}
	return "there", err
}

// silence is after how long a worker that has not asked for work is taken for gone: it asks at least once a minute, and
// the server still names it five minutes after its end.
const silence = 75 * time.Second

// examineQueue tells whether a worker takes workflows from the queue, however busy it is with activities.
func examineQueue(ctx context.Context, c client.Client, queue string, now time.Time) (string, error) {
	return polling(ctx, c, queue, enumspb.TASK_QUEUE_TYPE_WORKFLOW, now)
}

// examineCompute tells the same of stages. A worker whose places for them are all taken does not ask for more.
func examineCompute(ctx context.Context, c client.Client, taskQueue string, now time.Time) (string, error) {
	found, err := polling(ctx, c, workflows.ComputeQueue(taskQueue), enumspb.TASK_QUEUE_TYPE_ACTIVITY, now)
	if err == nil {
		return found, nil
	}
	running, countErr := c.CountWorkflow(
		ctx,
		&workflowservice.CountWorkflowExecutionsRequest{
			Query: "WorkflowType = 'NightlyRun' AND ExecutionStatus = 'Running'",
		},
	)
	_, workerErr := examineQueue(ctx, c, taskQueue, now)
	if countErr != nil || workerErr != nil || running.GetCount() == 0 {
		return "", err
	}
	return "busy: " + text.Count(running.GetCount(), "night runs", "nights run"), nil
}

func polling(
	ctx context.Context,
	c client.Client,
	queue string,
	kind enumspb.TaskQueueType,
	now time.Time,
) (string, error) {
	d, err := c.DescribeTaskQueue(ctx, queue, kind)
	if err != nil {
		return "", err
	}
	live, last := 0, time.Time{}
	for _, p := range d.GetPollers() {
		at := p.GetLastAccessTime().AsTime()
		if now.Sub(at) <= silence {
			live++
		}
		if at.After(last) {
			last = at
		}
	}
	switch {
	case live > 0:
		return fmt.Sprintf("%d polling %s", live, queue), nil
	case !last.IsZero():
		return "", fmt.Errorf(
			"nobody polls the task queue %s since %s: the worker is gone or hangs, start it again",
			queue,
			londonMinute(last),
		)
	}
	return "", fmt.Errorf("nobody polls the task queue %s: start a worker", queue)
}

func examineAttributes(ctx context.Context, c client.Client) error {
	// Counting names every attribute in a query, which needs no operator's rights.
	for _, a := range workflows.SearchAttributes() {
		_, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: a.GetName() + " IS NULL"})
		var unknown *serviceerror.InvalidArgument
		if errors.As(err, &unknown) {
			return fmt.Errorf(
				"%s is not registered: temporal operator search-attribute create --name %s --type %s",
				a.GetName(),
				a.GetName(),
				a.GetValueType(),
			)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", a.GetName(), err)
		}
	}
	return nil
}
