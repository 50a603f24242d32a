// Package service is the worker as a part that others can hold: the worker's own command, a demo, a test. It puts the
// workflows and activities together as a deployment says, and runs them until told to stop. It must not know what they
// do.
package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/decision"
	"harmstack/activities/messages/webhook"
	"harmstack/activities/nightly"
	"harmstack/activities/nights/lineage"
	"harmstack/activities/operations"
	"harmstack/activities/retention"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/audit"
	"harmstack/worker/config"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
	"harmstack/workflows/plugin"
)

// Service is two workers in one process, and what they hold open: one for the stages of nights, and one for everything
// that somebody waits for.
type Service struct {
	workers []worker.Worker
	store   *store.Store
	metrics string                          // address for Prometheus; empty: none
	memory  int64                           // bytes of the process; 0: without bound
	note    func(ctx context.Context) error // notes the configuration in the log
	refused plugin.Refusals                 // what no activity sees
	failed  chan error
}

const (
	// ComputeSlots is how many stages run at once. Each uses every processor, and its share of the memory: two let a
	// night and a backfill pass each other.
	ComputeSlots = 2
	// promptSlots is how many of the other activities run at once. They mostly wait, for a store or a mail server, and
	// mail servers let one client in a few dozen times at most.
	promptSlots = 16
)

// New opens the store, which must have been set up for this deployment, and the mailer, and makes the workers; it does
// not start them. The client stays the caller's.
func New(ctx context.Context, c client.Client, cfg config.Config) (*Service, error) {
	if _, err := pseudonym.New(cfg.PseudonymKey); err != nil {
		return nil, err
	}
	mailer, err := cfg.Mail.Mailer()
	if err != nil {
		return nil, err
	}
	st, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	id, err := enter(ctx, st, cfg)
	var names pseudonym.Names
	if err == nil {
		names, err = cfg.Names(ctx, st)
	}
	if err == nil {
		err = flows.Occupy(ctx, c, cfg.Deployment, cfg.TaskQueue, id.Store)
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	lineage, err := lineage.New(cfg.Lineage, st)
	if err != nil {
		return nil, fmt.Errorf("HARMSTACK_LINEAGE: %w", errors.Join(err, st.Close()))
	}
	s := &Service{store: st, metrics: cfg.Metrics, memory: cfg.Memory, refused: cfg.Payloads.Refused,
		failed: make(chan error, 1)}
	s.note = func(ctx context.Context) error { return noteConfiguration(ctx, st, cfg) }
	acts := workflows.Activities{
		Nightly:   stages(c, cfg, st, lineage),
		Decision:  &decision.Activities{Store: st, Identity: cfg.Identity},
		Retention: &retention.Activities{Store: st, Rules: cfg.Retention},
		Tasking: &tasking.Activities{Store: st, Mailer: mailer, Hooks: webhook.NewSender(0),
			Pseudonym: names.Name, Keyed: names.For,
			Identity: cfg.Identity, Teams: cfg.LoadTeams, Desk: cfg.Desk, Checkpoints: cfg.Checkpoints,
			SendOrder: flows.SendOrder(c, cfg.Deployment, cfg.TaskQueue)},
		Operations: &operations.Activities{Store: st, Mailer: mailer, Teams: cfg.LoadTeams, Watch: cfg.Checks.Watch,
			Desk: cfg.Desk, Checkpoints: cfg.Checkpoints,
			Scheduling: flows.Scheduling(c, cfg.Deployment, cfg.TaskQueue)},
	}
	options := s.options(promptSlots)
	options.Interceptors = []interceptor.WorkerInterceptor{cfg.Deployment.Interceptor()}
	prompt := worker.New(c, cfg.TaskQueue, options)
	workflows.Register(prompt, acts)
	options = s.options(ComputeSlots)
	options.DisableWorkflowWorker = true
	compute := worker.New(c, workflows.ComputeQueue(cfg.TaskQueue), options)
	workflows.RegisterActivities(compute, acts)
	s.workers = []worker.Worker{prompt, compute}
	return s, nil
}

// open opens the store. What is fetched from a bucket goes where everything temporary goes.
func open(ctx context.Context, cfg config.Config) (*store.Store, error) {
	st, err := store.Open(ctx, cfg.Store)
	if err == nil {
		st.Temp, st.Keys = cfg.TempDir, cfg.Signing
	}
	return st, err
}

// stages are the activities of nights. Those that run at once share the memory.
func stages(c client.Client, cfg config.Config, st *store.Store, lineage *lineage.Emitter) *nightly.Activities {
	return &nightly.Activities{
		Store:     st,
		Sources:   cfg.Sources,
		Prefixes:  cfg.Prefixes,
		Threads:   cfg.Threads,
		Memory:    cfg.Memory / ComputeSlots,
		ShardRows: cfg.ShardRows,
		Checks:    cfg.Checks,
		Stability: cfg.Stability,
		TempDir:   cfg.TempDir,
		Tables:    cfg.Tables,
		RestrictedDesk: func() bool {
			who, err := cfg.LoadTeams()
			if err != nil {
				return false // nobody is told as long as the file is wrong
			}
			_, ok := who.Restricted()
			return ok
		},
		Started:  flows.Started(c),
		Lineage:  lineage,
		Code:     Build(),
		Build:    Identity(),
		Identity: cfg.Identity,
	}
}

// options are those of a worker that runs so many activities at once.
func (s *Service) options(slots int) worker.Options {
	return worker.Options{
		MaxConcurrentActivityExecutionSize: slots,
		// With the default of a minute, cancelling a stage would take as long to reach it.
		MaxHeartbeatThrottleInterval: 10 * time.Second,
		// A stage that is being read when the worker is stopped is given the time to end; the rest is
		// done by the next worker, from the start of the stage.
		WorkerStopTimeout: 20 * time.Second,
		OnFatalError: func(err error) {
			select {
			case s.failed <- err:
			default: // the other worker's, for the same reason
			}
		},
	}
}

// Run works until ctx ends, then stops gracefully. Its error is one that keeps the worker from working
// at all.
func (s *Service) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	waitForMetrics := func() {}
	var noting sync.WaitGroup
	noting.Go(func() { s.noteWhatItIs(ctx) })
	noting.Go(func() { s.noteRefusals(ctx) })
	ended := func(err error) error {
		stop()
		noting.Wait()
		waitForMetrics()
		return errors.Join(err, s.store.Close())
	}
	if s.memory > 0 {
		// The budget is the whole process's, of which the program itself takes some: the collector works harder as the
		// rest is neared.
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(s.memory * 3 / 4))
	}
	if s.metrics != "" {
		_, wait, err := serveMetrics(ctx, s.metrics, s.store)
		if err != nil {
			return ended(fmt.Errorf("HARMSTACK_METRICS: %w", err))
		}
		waitForMetrics = wait
	}
	go s.sweep(ctx)
	for i, w := range s.workers {
		if err := w.Start(); err != nil {
			stopAll(s.workers[:i])
			return ended(fmt.Errorf("the worker cannot start: %w", err))
		}
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	stopAll(s.workers)
	return ended(err)
}

// stopAll stops workers at the same time: each may take as long as it takes to end a stage.
func stopAll(workers []worker.Worker) {
	var stopping sync.WaitGroup
	for _, w := range workers {
		stopping.Go(w.Stop)
	}
	stopping.Wait()
}

// noteWhatItIs notes with what the worker works, as soon as the store takes it: one that is full or away keeps no worker
// from telling people so.
func (s *Service) noteWhatItIs(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.note(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		slog.WarnContext(ctx, "the configuration cannot be noted in the log yet", "error", err)
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
		}
	}
}

// noteRefusals writes to the log what is refused before an activity sees it, bounded as all refusals are.
func (s *Service) noteRefusals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.refused:
			var by audit.Actor
			if r.Who != "" {
				by = audit.Claims(r.Who)
			}
			if err := audit.Refuse(ctx, s.store, by, r.Did, audit.Object{}, r.Why); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "a refusal cannot be noted in the log", "error", err)
			}
		}
	}
}

// sweep deletes what killed processes have left in the store, now and every few minutes.
func (s *Service) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		s.store.Sweep()
		select {
		case <-time.After(5 * time.Minute):
		case <-ctx.Done():
		}
	}
}

// enter makes sure that the store is the deployment's own and can be worked with. It waits for one that does not say
// whose it is, for it is away; what no waiting mends is an error.
func enter(ctx context.Context, st *store.Store, cfg config.Config) (id store.Identity, err error) {
	for {
		id, err = st.Recognise(ctx)
		if err == nil || st.Shares() {
			break
		}
		for _, final := range []error{store.ErrNotSetUp, store.ErrNewer, store.ErrDamaged} {
			if errors.Is(err, final) {
				return id, err
			}
		}
		slog.WarnContext(ctx, "the store is away, the worker waits for it", "error", err)
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
			return id, ctx.Err()
		}
	}
	if err == nil {
		err = id.Match(string(cfg.Deployment), pseudonym.Fingerprint(cfg.PseudonymKey))
	}
	if err == nil {
		err = st.Unlock(ctx, cfg.StoreKey)
	}
	if err == nil && !st.IsSealed() {
		slog.WarnContext(ctx, "the store is not sealed, as HARMSTACK_STORE_KEY says: use no real data")
	}
	if err == nil {
		err = st.Writable()
	}
	if err != nil {
		return id, err
	}
	// One that is full, or away again, is waited for by the activities; one that lets two runs publish one night does
	// not mend.
	if err := st.Probe(ctx); errors.Is(err, store.ErrNotCreateOnly) || errors.Is(err, store.ErrDenied) {
		return id, err
	}
	return id, nil
}

// Identity is the same for two programs only if they give the same bytes: the commit and the compiler, or the hash of
// the program itself where it was built from changed files. It is empty where the program cannot be read.
var Identity = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if settings["vcs.revision"] != "" && settings["vcs.modified"] == "false" {
			return fmt.Sprintf(
				"%s %s %s/%s",
				settings["vcs.revision"],
				info.GoVersion,
				settings["GOOS"],
				settings["GOARCH"],
			)
		}
	}
	f, err := os.Open("/proc/self/exe") // also when another was installed in its place since
	if err != nil {
		path, _ := os.Executable()
		if f, err = os.Open(path); err != nil {
			return ""
		}
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
})

// Build names the code this program was built from: the commit, marked when files were changed since, or
// the module's version.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	name := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			name = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			name += "+changed"
		}
	}
	return name
}
