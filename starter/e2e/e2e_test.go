// Package e2e runs whole nights on a real Temporal server with real workers, kills them, and looks at
// what is left. It must not know how the packages work inside: it does what people and the schedule do.
package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/store/seal"
	"harmstack/activities/task"
	"harmstack/activities/trust/sign"
	"harmstack/activities/trust/verify"
	"harmstack/schemas"
	"harmstack/starter/cli"
	"harmstack/starter/devserver"
	"harmstack/worker/config"
	"harmstack/worker/service"
	"harmstack/workflows"
)

var (
	quiet = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	asOf  = schemas.MustDate("2026-06-30")
)

func TestMain(m *testing.M) {
	if os.Getenv("E2E_WORKER") != "" {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv("E2E_STARTER") != "" {
		if err := cli.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "starter:", err)
			os.Exit(1)
		}
		return
	}
	// They wait more than they work: for servers, for deadlines, for the next attempt.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// work is a worker process: this program, started again.
func work() error {
	cfg, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	deaths, err := temporal.NewSimplePlugin(temporal.SimplePluginOptions{Name: "deaths", WorkerInterceptors: []interceptor.WorkerInterceptor{&death{}}})
	if err != nil {
		return err
	}
	c, err := cfg.DialTo(client.Options{HostPort: os.Getenv("E2E_SERVER"), Identity: "worker", Plugins: []client.Plugin{deaths}}, workerLog())
	if err != nil {
		return err
	}
	s, err := service.New(context.Background(), c, cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() { // the parent holds the other end
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return s.Run(ctx)
}

// workerLog writes everything that a worker has to say into the file that E2E_LOG names.
func workerLog() log.Logger {
	path := os.Getenv("E2E_LOG")
	if path == "" {
		return quiet
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return log.NewStructuredLogger(slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// death kills the process in the activities that E2E_DEATHS names, each once: `Score:during` as soon as
// the activity has a file half written, `Score:after` when it has done everything but say so. In `Score:stuck` it waits
// until the night is cancelled, in `Score:held` as long as the deployment's folder holds a file of the name hold.
type death struct {
	interceptor.WorkerInterceptorBase
}

func (*death) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	d := &dying{}
	d.Next = next
	return d
}

type dying struct {
	interceptor.ActivityInboundInterceptorBase
}

func (d *dying) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	name := activity.GetInfo(ctx).ActivityType.Name
	if due(name + ":stuck") {
		_, stop := task.Start(ctx)
		defer stop()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if due(name + ":held") {
		_, stop := task.Start(ctx)
		defer stop()
		for held := true; held && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			_, err := os.Stat("hold")
			held = err == nil
		}
	}
	if due(name + ":during") {
		go func() {
			for {
				if files, _ := os.ReadDir(filepath.Join(os.Getenv("HARMSTACK_STORE"), ".tmp")); len(files) > 0 {
					die(name + ":during")
				}
			}
		}()
	}
	result, err := d.Next.ExecuteActivity(ctx, in)
	for _, moment := range []string{":during", ":after"} {
		if due(name + moment) {
			die(name + moment)
		}
	}
	return result, err
}

func due(moment string) bool {
	_, err := os.Stat(filepath.Join(os.Getenv("E2E_DIED"), moment))
	return err != nil && slices.Contains(strings.Fields(os.Getenv("E2E_DEATHS")), moment)
}

func die(moment string) {
	if err := os.WriteFile(filepath.Join(os.Getenv("E2E_DIED"), moment), nil, 0o600); err != nil {
		panic(err)
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal is there
}

// deployment is one Temporal server, store, mail server and a worker that is started again whenever it dies.
type deployment struct {
	t       testing.TB
	dir     string
	address string // of Temporal
	store   *store.Store
	mail    *postbox
	client  client.Client
	cfg     config.Config

	mu      sync.Mutex
	env     []string      // of the workers that are started from now on
	workers []*os.Process // that run now
	kills   int
	gone    bool // no worker is started again
}

// kill kills one of the workers; another takes its place.
func (d *deployment) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.workers) > 0 && d.workers[0].Kill() == nil {
		d.kills++
	}
}

func (d *deployment) killed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kills
}

func deploy(t testing.TB, rows []schemas.Offence, deaths string, more ...string) *deployment {
	t.Helper()
	// A server of its own: the names of a night's workflows do not say whose they are.
	attributes := workflows.SearchAttributes()
	if slices.Contains(more, noAttributes) {
		attributes = nil
	}
	server, err := devserver.Start(t.Context(), devserver.Options{SearchAttributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	d := &deployment{t: t, dir: t.TempDir(), address: server.Address(), mail: newPostbox(t)}
	if err := parquet.WriteFile(filepath.Join(d.dir, "extract.parquet"), rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.dir, "teams.yaml"), teams.Example(), 0o600); err != nil {
		t.Fatal(err)
	}
	died := filepath.Join(d.dir, "died")
	if err := os.Mkdir(died, 0o700); err != nil {
		t.Fatal(err)
	}
	seed := bytes.Repeat([]byte{3}, ed25519.SeedSize)
	env := append([]string{
		"E2E_WORKER=1", "E2E_SERVER=" + server.Address(), "E2E_DEATHS=" + deaths, "E2E_DIED=" + died,
		"HARMSTACK_EXTRACT=./extract.parquet",
		"HARMSTACK_EXTRACT_PREFIXES=.",
		"HARMSTACK_PSEUDONYM_KEY=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)),
		"HARMSTACK_SIGNING_KEY=" + base64.StdEncoding.EncodeToString(seed), "HARMSTACK_SIGNED_BY=worker=" + sign.Public(ed25519.NewKeyFromSeed(seed)),
		"HARMSTACK_SMTP=" + d.mail.address, "HARMSTACK_SMTP_TLS=none", "HARMSTACK_MAIL_FROM=harmstack@example.police.uk",
		"HARMSTACK_TEAMS=" + filepath.Join(d.dir, "teams.yaml"), "HARMSTACK_THREADS=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		// Set where all is slow, as under the race detector: a step of a workflow then may take longer than a second.
		"TEMPORAL_DEBUG=" + os.Getenv("TEMPORAL_DEBUG"),
	}, more...)
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "HARMSTACK_PAYLOAD_KEYS=") }) {
		env = append(env, "HARMSTACK_PAYLOAD_KEYS="+config.NoKeys)
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "HARMSTACK_IDENTITY=") }) {
		env = append(env, "HARMSTACK_IDENTITY="+schemas.IdentityClaimed)
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "HARMSTACK_STORE_KEY=") }) {
		env = append(env, "HARMSTACK_STORE_KEY="+seal.None)
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "HARMSTACK_STORE=") }) {
		env = append(env, "HARMSTACK_STORE="+filepath.Join(d.dir, "store"))
	}
	d.cfg, err = config.Load(func(name string) string {
		for _, v := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.store, err = store.Open(t.Context(), d.cfg.Store); err == nil {
		d.store.Keys = d.cfg.Signing
		_, _, _, err = d.store.SetUp(t.Context(), string(d.cfg.Deployment), pseudonym.Fingerprint(d.cfg.PseudonymKey))
		err = errors.Join(err, d.store.Seal(t.Context(), d.cfg.StoreKey))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	t.Cleanup(d.proven)
	if d.client, err = d.cfg.DialTo(client.Options{HostPort: server.Address(), Identity: "starter"}, quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.client.Close)
	d.env = env
	if !slices.Contains(env, noWorker) {
		d.startWorker()
	}
	if slices.Contains(env, threeWorkers) {
		d.startWorker()
		d.startWorker()
	}
	t.Cleanup(func() {
		left, err := os.ReadDir(died)
		if want := len(strings.Fields(deaths)) - strings.Count(deaths, ":stuck") - strings.Count(deaths, ":held"); err != nil || len(left) != want {
			t.Errorf("the worker died %d times, not in %q: %v", len(left), deaths, err)
		}
	})
	return d
}

// proven looks whether the store is what was written to it, whatever died meanwhile.
func (d *deployment) proven() {
	if d.t.Failed() {
		return
	}
	r, err := verify.Store(context.Background(), d.store, verify.Options{Now: time.Now()})
	if err != nil || len(r.Problems) > 0 || !r.Signed {
		d.t.Errorf("the store is not what was written to it: %+v, %v", r.Problems, err)
	}
}

// threeWorkers makes deploy start as many, noWorker none; noAttributes leaves the namespace without search attributes.
const (
	threeWorkers = "E2E_WORKERS=3"
	noWorker     = "E2E_WORKERS=0"
	noAttributes = "E2E_ATTRIBUTES=none"
)

// startWorker keeps one worker process alive until the test ends.
func (d *deployment) startWorker() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			cmd := exec.Command(os.Args[0])
			d.mu.Lock()
			gone := d.gone
			cmd.Env, cmd.Dir, cmd.Stderr = slices.Clone(d.env), d.dir, os.Stderr
			d.mu.Unlock()
			if gone {
				return
			}
			in, err := cmd.StdinPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				d.t.Error(err)
				return
			}
			d.mu.Lock()
			d.workers = append(d.workers, cmd.Process)
			d.mu.Unlock()
			release := context.AfterFunc(ctx, func() { in.Close() })
			err = cmd.Wait()
			release()
			d.mu.Lock()
			d.workers = slices.DeleteFunc(d.workers, func(p *os.Process) bool { return p == cmd.Process })
			d.mu.Unlock()
			var exit *exec.ExitError
			if err != nil && !(errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL) {
				d.t.Errorf("the worker ended: %v", err)
				return
			}
		}
	}()
	d.t.Cleanup(func() {
		stop()
		<-done
	})
}

// night runs a night to its end.
func (d *deployment) night(request schemas.NightRequest) (client.WorkflowRun, workflows.NightResult) {
	d.t.Helper()
	run, err := d.client.ExecuteWorkflow(d.t.Context(), client.StartWorkflowOptions{ID: workflows.NightWorkflowID(asOf), TaskQueue: workflows.TaskQueue}, workflows.NightlyRun, request)
	if err != nil {
		d.t.Fatal(err)
	}
	var result workflows.NightResult
	if err := run.Get(d.t.Context(), &result); err != nil {
		d.t.Fatal(err)
	}
	return run, result
}

// approve decides, and waits until every team is told.
func (d *deployment) approve(n workflows.NightResult) workflows.DecisionResult {
	d.t.Helper()
	decided, err := workflows.Approve.Call(d.t.Context(), d.client, n.Decision, "u1", decisionOn(n))
	if err != nil || decided.Decision != schemas.Approved {
		d.t.Fatalf("%+v: %v", decided, err)
	}
	current, err := nights.LoadCurrent(d.t.Context(), d.store)
	if err != nil || current == nil || current.Manifest != *n.Manifest {
		d.t.Fatalf("the officer was answered before the stack was current: %+v, %v", current, err)
	}
	var result workflows.DecisionResult
	if err := d.client.GetWorkflow(d.t.Context(), n.Decision, "").Get(d.t.Context(), &result); err != nil {
		d.t.Fatal(err)
	}
	return result
}

func decisionOn(n workflows.NightResult) schemas.DecisionRequest {
	return schemas.DecisionRequest{Revision: n.Night.Revision, ManifestSHA256: n.Manifest.SHA256, By: "DCI Example", Reason: "looked at all of it"}
}

// eventually asks until it is so, without keeping the server from anything else.
func (d *deployment) eventually(so func() bool) {
	d.t.Helper()
	for giveUp := time.After(2 * time.Minute); !so(); {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-giveUp:
			d.t.Fatal("it did not happen within two minutes")
		}
	}
}

func (d *deployment) read(key string) []byte {
	d.t.Helper()
	data, err := d.store.Read(d.t.Context(), key)
	if err != nil {
		d.t.Fatal(err)
	}
	return data
}

// postbox is a mail server that takes everything and keeps it.
type postbox struct {
	address string
	mu      sync.Mutex
	got     []*mail.Message
	bodies  []string              // of these, with their parts as they came
	refuse  func(id string) error // asked for each message; nil takes them all
	// refuseTo is asked for each address; nil takes them all. taken counts the messages by address.
	refuseTo func(address string) error
	taken    map[string]int
	texts    map[string]string // all that each address got
}

func newPostbox(t testing.TB) *postbox {
	t.Helper()
	p := &postbox{taken: map[string]int{}, texts: map[string]string{}}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{box: p}, nil }))
	s.Domain = "localhost"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = listener.Addr().String()
	go s.Serve(listener)
	t.Cleanup(func() { s.Close() })
	return p
}

type session struct {
	box *postbox
	to  []string
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.box.refuseTo != nil {
		if err := s.box.refuseTo(to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}
func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }
func (s *session) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	// Quoted-printable breaks lines within words.
	s.box.bodies = append(s.box.bodies, strings.NewReplacer("=\r\n", "", "=\n", "").Replace(string(body)))
	if s.box.refuse != nil {
		if err := s.box.refuse(m.Header.Get("Message-ID")); err != nil {
			return err
		}
	}
	s.box.got = append(s.box.got, m)
	for _, to := range s.to {
		s.box.taken[to]++
		// As one line, so that what is looked for is not broken up by the encodings of mail.
		s.box.texts[to] += m.Header.Get("Subject") + strings.NewReplacer("=\r\n", "", "\r\n", "").Replace(string(body))
	}
	return nil
}

// messages are the Message-IDs by addressee, each once.
func (p *postbox) messages() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	by := map[string][]string{}
	for _, m := range p.got {
		to, id := m.Header.Get("To"), m.Header.Get("Message-ID")
		if !slices.Contains(by[to], id) {
			by[to] = append(by[to], id)
		}
	}
	return by
}

// extract makes rows of a few thousand suspects, some of them in no borough of London; every id carries
// a mark by which it would be known anywhere.
func extract(suspects int) (rows []schemas.Offence) {
	boroughs := []string{"Hackney", "Barnet", "Camden", "Kent"}
	start := asOf.Start()
	for s := range suspects {
		for n := range 1 + s%4 {
			at := new(start.Add(-time.Duration(s%300) * 24 * time.Hour).UnixMicro())
			rows = append(rows, schemas.Offence{
				AllegationID: new(fmt.Sprintf("marked-a-%d-%d", s, n)), ReportID: new(fmt.Sprintf("marked-r-%d-%d", s, n)),
				SuspectID: new(fmt.Sprintf("marked-s-%d", s)), OffenceCode: new("019/08"), OffenceClass: new("19C"),
				ReportedAt: at, UpdatedAt: at, Borough: &boroughs[s%4], VictimID: new(fmt.Sprintf("marked-v-%d", n)), VictimSex: new("F"),
				Source: new("victim"), Outcome: new("open"),
			})
		}
	}
	return rows
}
