//go:build gcs

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	_ "harmstack/activities/store/drivers" // s3://, azblob:// and, in this build, gs://
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/workflows"
)

// bucketServer is a storage server that keeps what it has over a kill. deploy/buckets has the programs.
type bucketServer struct {
	t       *testing.T
	command []string
	env     []string // of the server
	ready   string   // is answered, whatever the answer
	stop    syscall.Signal
	process *exec.Cmd
}

func (b *bucketServer) start() {
	b.t.Helper()
	b.process = exec.Command(b.command[0], b.command[1:]...)
	b.process.Env = append(os.Environ(), b.env...)
	if err := b.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	for giveUp := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if answer, err := http.Get(b.ready); err == nil {
			answer.Body.Close()
			return
		}
		if time.Now().After(giveUp) {
			b.t.Fatalf("%s does not answer", b.command[0])
		}
	}
}

func (b *bucketServer) kill() {
	if err := b.process.Process.Signal(b.stop); err != nil {
		b.t.Error(err)
	}
	_ = b.process.Wait()
}

// strike kills the server, and starts it again when the others have noticed.
func (b *bucketServer) strike() {
	b.t.Helper()
	b.kill()
	time.Sleep(3 * time.Second)
	b.start()
}

// tool is the path of a program of deploy/buckets, built when need be.
func tool(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "-C", "../../deploy/buckets", "tool", "-n", name).Output()
	if err != nil {
		t.Fatalf("%s cannot be built: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

func freeAddress(t *testing.T) (address, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return l.Addr().String(), port
}

// buckets start a server each, make a bucket, and return its URL and the environment of a client.
var buckets = map[string]func(t *testing.T, dir string) (server *bucketServer, url string, env []string){
	"S3": func(t *testing.T, dir string) (*bucketServer, string, []string) {
		address, _ := freeAddress(t)
		if err := os.Mkdir(filepath.Join(dir, "harmstack"), 0o700); err != nil { // is a bucket there
			t.Fatal(err)
		}
		s := &bucketServer{t: t, command: []string{tool(t, "versitygw"), "--port", address, "--quiet", "posix", dir},
			env: []string{"ROOT_ACCESS_KEY=harmstack", "ROOT_SECRET_KEY=secret-of-the-test"}, ready: "http://" + address, stop: syscall.SIGKILL}
		s.start()
		return s, "s3://harmstack?region=us-east-1&use_path_style=true&endpoint=http://" + address,
			[]string{"AWS_ACCESS_KEY_ID=harmstack", "AWS_SECRET_ACCESS_KEY=secret-of-the-test", "AWS_EC2_METADATA_DISABLED=true"}
	},
	"Azure": func(t *testing.T, dir string) (*bucketServer, string, []string) {
		address, port := freeAddress(t)
		key := base64.StdEncoding.EncodeToString([]byte("secret of the test, secret of the test"))
		program := filepath.Join("..", "..", "deploy", "buckets", "node_modules", "azurite", "dist", "src", "blob", "main.js")
		if _, err := os.Stat(program); err != nil {
			t.Fatalf("npm install --prefix deploy/buckets --no-package-lock: %v", err)
		}
		// It is not to tell its maker of itself, for which it would wait at its end. Its index is written every few
		// seconds and at its end, so that a SIGKILL would lose what was answered.
		s := &bucketServer{t: t, command: []string{"node", program, "--location", dir, "--blobHost", "127.0.0.1", "--blobPort", port, "--silent",
			"--skipApiVersionCheck", "--disableTelemetry"},
			env: []string{"AZURITE_ACCOUNTS=harmstack:" + key}, ready: "http://" + address, stop: syscall.SIGTERM}
		s.start()
		credential, err := container.NewSharedKeyCredential("harmstack", key)
		if err == nil {
			var c *container.Client
			if c, err = container.NewClientWithSharedKeyCredential("http://"+address+"/harmstack/nights", credential, nil); err == nil {
				_, err = c.Create(t.Context(), nil)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return s, "azblob://nights?protocol=http&localemu=true&domain=" + address, []string{"AZURE_STORAGE_ACCOUNT=harmstack", "AZURE_STORAGE_KEY=" + key}
	},
	"Google": func(t *testing.T, dir string) (*bucketServer, string, []string) {
		address, port := freeAddress(t)
		s := &bucketServer{t: t, command: []string{tool(t, "fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-backend", "filesystem",
			"-filesystem-root", dir, "-public-host", address, "-external-url", "http://" + address, "-log-level", "error"},
			ready: "http://" + address, stop: syscall.SIGKILL}
		s.start()
		answer, err := http.Post("http://"+address+"/storage/v1/b?project=harmstack", "application/json", strings.NewReader(`{"name":"nights"}`))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return s, "gs://nights", []string{"STORAGE_EMULATOR_HOST=" + address}
	},
}

// A whole night, its approval and the taskings on a real S3, Azure and Google storage server. The worker is killed, and
// the storage server goes away and comes back, in the night and while the teams are tasked: the ranking is that of a
// folder, to the byte, and every team is told once.
func TestBuckets(t *testing.T) {
	rows := extract(3000)
	folder := deploy(t, rows, "")
	_, n := folder.night(schemas.NightRequest{AsOf: asOf})
	want := folder.read(n.Ranking.URI)
	if len(want) == 0 || n.Suspects != 3000 {
		t.Fatalf("%+v", n)
	}
	for kind, begin := range buckets {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server, url, env := begin(t, t.TempDir())
			t.Cleanup(func() { server.kill() })
			for _, v := range env { // of this process's own store
				name, value, _ := strings.Cut(v, "=")
				if err := os.Setenv(name, value); err != nil {
					t.Fatal(err)
				}
			}
			d := deploy(t, rows, "Score:after Deliver:after", append(env, "HARMSTACK_STORE="+url)...)
			struck := make(chan struct{})
			go func() {
				defer close(struck)
				for t.Context().Err() == nil {
					p, err := workflows.Progress.Ask(context.WithoutCancel(t.Context()), d.client, workflows.NightWorkflowID(asOf), "")
					if err == nil && len(p.Stages) > 2 { // claimed and extracted
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
				server.strike()
			}()
			_, n := d.night(schemas.NightRequest{AsOf: asOf})
			<-struck
			if n.Night.Revision != 1 || !bytes.Equal(want, d.read("nights/2026-06-30/r1/ranking.parquet")) {
				t.Errorf("night %s, and the ranking is another", n.Night)
			}
			decided, err := workflows.Approve.Call(t.Context(), d.client, n.Decision, "u1", decisionOn(n))
			if err != nil || decided.Decision != schemas.Approved {
				t.Fatalf("%+v: %v", decided, err)
			}
			server.strike()
			var result workflows.DecisionResult
			if err := d.client.GetWorkflow(t.Context(), n.Decision, "").Get(t.Context(), &result); err != nil {
				t.Fatal(err)
			}
			if got := result.Tasking; got.Sent+got.Unchanged != 34 || got.Failed != 0 {
				t.Errorf("tasked %+v", got)
			}
			for to, ids := range d.mail.messages() {
				if len(ids) != 1 {
					t.Errorf("%s got %d messages", to, len(ids))
				}
			}
			if log, err := audit.Read(t.Context(), d.store); err != nil || len(log) == 0 {
				t.Errorf("the log has %d entries: %v", len(log), err)
			}
			if err := d.store.CreateOnly(t.Context(), "nights/2026-06-30/r1/manifest.json", nil); err == nil {
				t.Error("a manifest was written over")
			}
			if err := d.store.Probe(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
