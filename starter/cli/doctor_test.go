package cli

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"harmstack/activities/casework/teams"
	"harmstack/starter/devserver"
	"harmstack/workflows"
)

// The doctor looks at a real Temporal, with a live worker, a dead one, none, and in a namespace that is not there.
func TestDoctorLooksAtTemporal(t *testing.T) {
	server, err := devserver.Start(t.Context(), devserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	dial := func(namespace string) client.Client {
		c, err := client.Dial(client.Options{HostPort: server.Address(), Namespace: namespace, Logger: quiet{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	c, nowhere := dial(client.DefaultNamespace), dial("not-there")
	if _, err := examineNamespace(t.Context(), c); err != nil {
		t.Error(err)
	}
	if _, err := examineNamespace(t.Context(), nowhere); err == nil || !strings.Contains(err.Error(), "there is no namespace not-there: temporal operator namespace create") {
		t.Errorf("a missing namespace: %v", err)
	}
	if err := examineAttributes(t.Context(), nowhere); err == nil || strings.Contains(err.Error(), "is not registered") {
		t.Errorf("a missing namespace is no missing attribute: %v", err)
	}
	if err := examineAttributes(t.Context(), c); err == nil || !strings.Contains(err.Error(), "HarmstackAsOf is not registered") {
		t.Errorf("missing attributes: %v", err)
	}

	if _, err := examineQueue(t.Context(), c, "q", now()); err == nil || !strings.Contains(err.Error(), "nobody polls the task queue q: start a worker") {
		t.Errorf("no worker: %v", err)
	}
	prompt, compute := worker.New(c, "q", worker.Options{}), worker.New(c, workflows.ComputeQueue("q"), worker.Options{DisableWorkflowWorker: true})
	workflows.RegisterWorkflows(prompt)
	compute.RegisterActivity(func() error { return nil })
	for _, w := range []worker.Worker{prompt, compute} {
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
	}
	seen := false
	for range 100 {
		_, first := examineQueue(t.Context(), c, "q", now())
		_, second := examineCompute(t.Context(), c, "q", now())
		if seen = first == nil && second == nil; seen {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !seen {
		t.Fatal("a live worker is not seen")
	}
	prompt.Stop()
	compute.Stop()
	// Two minutes after their last question the server still names them.
	later := now().Add(2 * time.Minute)
	if _, err := examineQueue(t.Context(), c, "q", later); err == nil || !strings.Contains(err.Error(), "the worker is gone or hangs, start it again") {
		t.Errorf("a worker that was killed: %v", err)
	}
	if _, err := examineCompute(t.Context(), c, "q", later); err == nil || !strings.Contains(err.Error(), "the worker is gone or hangs") {
		t.Errorf("a worker for stages that was killed: %v", err)
	}
}

// What the doctor says of the environment of a worker, check by check.
func TestDoctorLooksAtTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer refusing.Close()
	go func() {
		for {
			conn, err := refusing.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "554 no service here\r\n")
			conn.Close()
		}
	}()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	paced := filepath.Join(dir, "paced.yaml")
	declared := strings.NewReplacer("# stand_down_after: 120", "stand_down_after: 120", "cadence: nightly", "cadence: weekly", "restricted: {mail", "# restricted: {mail").
		Replace(string(teams.Example()))
	if err := os.WriteFile(paced, []byte(declared), 0o600); err != nil {
		t.Fatal(err)
	}
	file, team := filepath.Join(dir, "file"), filepath.Join(dir, "teams.yaml")
	for name, data := range map[string][]byte{file: nil, team: teams.Example()} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"TEMPORAL_ADDRESS": gone.Addr().String(), "HARMSTACK_STORE": filepath.Join(dir, "store"), "HARMSTACK_PAYLOAD_KEYS": "none", "HARMSTACK_STORE_KEY": "none", "HARMSTACK_SIGNING_KEY": "none", "HARMSTACK_IDENTITY": "claimed",
		"HARMSTACK_PSEUDONYM_KEY": base64.StdEncoding.EncodeToString(make([]byte, 32)), "HARMSTACK_OUTBOX": filepath.Join(dir, "outbox"),
		"HARMSTACK_TEMP": dir, "HARMSTACK_EXTRACT": filepath.Join(dir, "none.parquet"), "HARMSTACK_TEAMS": team, "HARMSTACK_MAIL_FROM": "harmstack@example.org",
	} {
		t.Setenv(name, value)
	}
	for _, c := range []struct {
		scenario, check, want string
		ok                    bool
		env                   map[string]string
	}{
		{"an outbox that can be made", "mail", "takes messages", true, nil},
		{"an outbox below a file", "mail", "not a directory", false, map[string]string{"HARMSTACK_OUTBOX": file + "/outbox"}},
		{"a mail server that is down", "mail", "connection refused", false, map[string]string{"HARMSTACK_OUTBOX": "", "HARMSTACK_SMTP": gone.Addr().String(), "HARMSTACK_SMTP_TLS": "none"}},
		{"a mail server that refuses", "mail", "reply 554", false, map[string]string{"HARMSTACK_OUTBOX": "", "HARMSTACK_SMTP": refusing.Addr().String(), "HARMSTACK_SMTP_TLS": "none"}},
		{"taskings as they come", "taskings", "new ones nightly, stood down once below the stack", true, nil},
		{"taskings by the week", "taskings", "new ones weekly, stood down once below position 120 and the stack", true, map[string]string{"HARMSTACK_TEAMS": paced}},
		{"a desk for restricted suspects", "restricted suspects", "Professional standards alone is told of them", true, nil},
		{"none", "restricted suspects", "nobody is told of them: name a desk `restricted` in the teams' file", true, map[string]string{"HARMSTACK_TEAMS": paced}},
		{"a temporary folder", "temporary folder", "is writable", true, nil},
		{"one that is not there", "temporary folder", "is not there: make it", false, map[string]string{"HARMSTACK_TEMP": filepath.Join(dir, "nowhere")}},
		{"one that is a file", "temporary folder", "let the worker write there", false, map[string]string{"HARMSTACK_TEMP": file}},
		{"one where nobody writes", "temporary folder", "HARMSTACK_TEMP", false, map[string]string{"HARMSTACK_TEMP": "/proc"}},
		{"no bound on the memory", "memory", "without bound", true, nil},
		{"more memory than there is", "memory", "HARMSTACK_MEMORY is 1048576.0 GiB, this machine has", false, map[string]string{"HARMSTACK_MEMORY": "1073741824MiB"}},
		{"another source that is not there", "extract nightly-2", "none.yaml", false, map[string]string{"HARMSTACK_SOURCES": "nightly-2=" + filepath.Join(dir, "none.yaml")}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			text, _ := run(t, "doctor", "--json")
			var checks []check
			if err := json.Unmarshal([]byte(text), &checks); err != nil {
				t.Fatal(err)
			}
			found := false
			for _, k := range checks {
				if k.Name == c.check {
					found = true
					if k.OK != c.ok || !strings.Contains(k.Found, c.want) {
						t.Errorf("%+v", k)
					}
				}
			}
			if !found {
				t.Errorf("no check %s in %s", c.check, text)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "outbox")); err == nil {
		t.Error("looking made the outbox")
	}
}

func TestExamineMemory(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, c := range []struct {
		budget, machine int64
		ok              bool
		says            string
	}{
		{8 * gib, 16 * gib, true, "8.0 GiB of the 16.0 GiB here, 4.0 GiB for each of the 2 stages that may run at once"},
		{16 * gib, 16 * gib, false, "HARMSTACK_MEMORY is 16.0 GiB, this machine has 16.0 GiB: give at most nine tenths of that"},
		{32 * gib, 16 * gib, false, "HARMSTACK_MEMORY is 32.0 GiB, this machine has 16.0 GiB"},
		{0, 16 * gib, true, "without bound: the 2 stages"},
		{8 * gib, 0, true, "cannot be told"},
	} {
		found, err := examineMemory(c.budget, 2, c.machine)
		if err != nil {
			found = err.Error()
		}
		if (err == nil) != c.ok || !strings.Contains(found, c.says) {
			t.Errorf("%d of %d: %q", c.budget, c.machine, found)
		}
	}
}

// The bound of a container or a service counts, not what the machine has beside it.
func TestMachineMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario string
		files    map[string]string
		want     int64
	}{
		{"a machine", map[string]string{"proc/meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n"}, 16 << 20},
		{"a container", map[string]string{"proc/meminfo": "MemTotal:       16384 kB\n", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4194304\n"}, 4 << 20},
		{"a container without a bound", map[string]string{"proc/meminfo": "MemTotal:       16384 kB\n", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 16 << 20},
		{"a service in a bounded slice", map[string]string{"proc/meminfo": "MemTotal:       16384 kB\n", "proc/self/cgroup": "0::/system.slice/harmstack.service\n",
			"sys/fs/cgroup/system.slice/harmstack.service/memory.max": "max\n", "sys/fs/cgroup/system.slice/memory.max": "2097152\n"}, 2 << 20},
		{"version 1", map[string]string{"proc/meminfo": "MemTotal:       16384 kB\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n"}, 1 << 20},
		{"another system", nil, 0},
	} {
		root := t.TempDir()
		for name, data := range c.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := machineMemory(root); err != nil || got != c.want {
			t.Errorf("%s: %d, %v", c.scenario, got, err)
		}
	}
}
