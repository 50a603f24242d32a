package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"harmstack/schemas"
	"harmstack/workflows"
)

// typed is a command line of the starter that runs as a process of its own.
type typed struct {
	d        *deployment
	cmd      *exec.Cmd
	out, err lines
	done     chan error
}

// lines are what a process has written so far.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// typing starts a command line with the deployment's environment, and more of it.
func (d *deployment) typing(env []string, args ...string) *typed {
	d.t.Helper()
	c := &typed{d: d, cmd: exec.Command(os.Args[0], args...), done: make(chan error, 1)}
	d.mu.Lock()
	all := append(slices.Clone(d.env), "E2E_WORKER=", "E2E_STARTER=1", "TEMPORAL_ADDRESS="+d.address)
	d.mu.Unlock()
	c.cmd.Env, c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = append(all, env...), d.dir, &c.out, &c.err
	if err := c.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	d.t.Cleanup(c.stop)
	return c
}

// starter types a command line and waits for its end: what it printed, the line of its error, and its exit code.
func (d *deployment) starter(args ...string) (out, fault string, code int) {
	d.t.Helper()
	c := d.typing(nil, args...)
	code = c.wait()
	return c.out.String(), c.err.String(), code
}

func (c *typed) wait() int {
	<-c.done
	c.done <- nil
	return c.cmd.ProcessState.ExitCode()
}

// says waits until the command has written a text beside its result.
func (c *typed) says(text string) {
	c.d.t.Helper()
	defer func() {
		if c.d.t.Failed() {
			c.d.t.Logf("%q is not in:\n%s", text, c.err.String())
		}
	}()
	c.d.eventually(func() bool { return strings.Contains(c.err.String(), text) })
}

func (c *typed) stop() {
	_ = c.cmd.Process.Kill()
	c.wait()
}

// lose kills the workers, and starts none in their place.
func (d *deployment) lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = true
	for _, w := range d.workers {
		_ = w.Kill()
	}
}

// again are the options by which somebody starts a workflow in the UI that has ended.
func (d *deployment) again(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: id, TaskQueue: d.cfg.TaskQueue, WorkflowExecutionErrorWhenAlreadyStarted: true}
}

// byHand are the words of an officer's decision, as flags.
func byHand(n workflows.NightResult, more ...string) []string {
	return append([]string{"--as-of", n.Night.AsOf.String(), "--by", "DCI Example", "--reason", "looked at all of it"}, more...)
}

// expect types a command line that must fail with a text.
func (d *deployment) expect(text string, args ...string) {
	d.t.Helper()
	if out, fault, code := d.starter(args...); code != 1 || !strings.Contains(fault, text) {
		d.t.Errorf("%v: exit %d, want 1 and %q\n%s%s", args, code, text, out, fault)
	}
}

// succeed types a command line that must succeed.
func (d *deployment) succeed(args ...string) string {
	d.t.Helper()
	out, fault, code := d.starter(args...)
	if code != 0 {
		d.t.Fatalf("%v: exit %d\n%s%s", args, code, out, fault)
	}
	return out
}

// A second start of a night that runs is told so: the first one's stages are not the answer to its request.
func TestSecondStartOfARunningNight(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "", checksFile(t, time.Now().Add(time.Hour)))
	yesterday := schemas.LondonDate(time.Now()).AddDays(-1)
	first := d.typing(nil, "run", "--as-of", yesterday.String(), "--wait", "--extract", "./none.parquet")
	first.says("waiting since")
	running := "the night is running already, as workflow night-" + yesterday.String()
	for _, args := range [][]string{
		{"run", "--as-of", yesterday.String(), "--extract", "./extract.parquet"},
		{"run", "--as-of", yesterday.String(), "--dry-run"},
		{"run", "--as-of", yesterday.String(), "--model", "sum"},
		{"run"}, // of yesterday, too
		{"backfill", "--from", yesterday.String(), "--to", yesterday.String()},
	} {
		d.expect(running, args...)
	}
	if list := d.succeed("status"); !strings.Contains(list, "night-"+yesterday.String()) || !strings.Contains(list, "running") {
		t.Error(list)
	}
	if err := d.client.CancelWorkflow(t.Context(), "night-"+yesterday.String(), ""); err != nil {
		t.Fatal(err)
	}
	if code := first.wait(); code != 1 {
		t.Errorf("exit %d of the first, which was cancelled", code)
	}
}
