package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/term"

	"harmstack/activities/messages/digest"
	"harmstack/activities/nightly"
	"harmstack/activities/nights"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/starter/devserver"
	"harmstack/starter/synthetic"
	"harmstack/worker/config"
	"harmstack/worker/service"
	"harmstack/workflows"
)

// demoRequest is what `starter demo` is asked for.
type demoRequest struct {
	dir      string
	suspects int
	seed     uint64
	once     bool
}

func demoCommand() *cobra.Command {
	var r demoRequest
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: groupTry,
		Short:   "Watch a whole night on a Temporal server of its own",
		Long: `Watch a whole night on this machine: a Temporal dev server with its UI, a worker, a synthetic year
in which nobody exists, one night through the real workflow, an approval, and the digests to the
boroughs. It ignores every Temporal, store and mail server that the environment names.`,
		Example: `  starter demo
  starter demo --once --suspects 5000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f, ok := cmd.OutOrStdout().(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
				r.once = true
			}
			return demo(cmd.Context(), r, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&r.once, "once", false, "end after the night, also on a terminal")
	f.StringVar(&r.dir, "dir", "harmstack-demo", "the `folder` for everything it makes")
	f.IntVar(&r.suspects, "suspects", synthetic.DefaultSuspects, "how many suspects the synthetic year names")
	f.Uint64Var(&r.seed, "seed", 1, "another seed, other people")
	return cmd
}

// Ports that the demo prefers, those of the Temporal CLI; others are found when these are taken.
const (
	demoPort   = 7233
	demoUIPort = 8233
)

func demo(ctx context.Context, r demoRequest, out io.Writer) (err error) {
	asOf := schemas.LondonDate(time.Now()).AddDays(-1)
	cfg, err := demoConfig(r)
	if err != nil {
		return err
	}
	say(out, "1  A synthetic year up to %s: nobody in it exists.\n", asOf)
	source := cfg.Sources[nightly.DefaultSource]
	err = writeFile(source, func(w io.Writer) error {
		summary, err := synthetic.Write(ctx, w, synthetic.Options{AsOf: asOf, Suspects: r.suspects, Seed: r.seed})
		say(out, "   %s in %s\n", text.Count(summary.Rows, "row"), source)
		say(out, "   Hidden in it to be found: %s restricted, %s released from custody, %s whose ages disagree, and %s kinds more.\n",
			text.Number(summary.Planted[synthetic.RestrictedSuspect]+summary.Planted[synthetic.RestrictedVictim]),
			text.Number(summary.Planted[synthetic.Released]), text.Number(summary.Planted[synthetic.AgesDisagree]),
			text.Number(len(summary.Planted)-4))
		return err
	})
	if err != nil {
		return err
	}

	if ready, err := devserver.Ready(ctx); err != nil {
		return err
	} else if ready == "" {
		if err := preview(ctx, filepath.Join(r.dir, "preview"), source, asOf, out); err != nil {
			return err
		}
	}

	fmt.Fprintln(out, "2  A Temporal server with its UI, a worker, and the desk where people decide.")
	door, err := openDoor()
	if err != nil {
		return err
	}
	server, err := startServer(ctx, r.dir, door.codec(), out)
	if err != nil {
		return errors.Join(err, door.Close())
	}
	defer server.Stop()
	c, err := cfg.DialTo(client.Options{HostPort: server.Address()}, quiet{})
	if err != nil {
		return errors.Join(err, door.Close())
	}
	defer c.Close()
	if _, err := setUp(ctx, cfg.Config); err != nil {
		return errors.Join(err, door.Close())
	}
	st, err := openDeployment(ctx, cfg.Config)
	if err != nil {
		return errors.Join(err, door.Close())
	}
	defer st.Close()
	people, stopDesk, err := cfg.startDesk(ctx, door, where(c, cfg.Config, st), server.UIURL())
	if err != nil {
		return errors.Join(err, door.Close())
	}
	defer func() { err = errors.Join(err, stopDesk()) }()
	cfg.Desk = digest.Desk(door.url().String())
	stop, err := startWorker(ctx, c, cfg.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	say(out, "   UI: %s (what it shows is encrypted on its way, and made readable by the desk)\n   Desk: %s\n", server.UIURL(), door.url())

	fmt.Fprintln(out, "3  The night.")
	request := schemas.NightRequest{AsOf: asOf}
	id := cfg.Deployment.ID(workflows.NightWorkflowID(asOf))
	if request.Attestation, err = people.Vouch(demoPeople[0], access.Run, id, "", "", request); err != nil {
		return err
	}
	result, err := runNight(ctx, c, cfg.Config, request, out)
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	if err := table(out, dispositionRows(result.Dispositions)); err != nil {
		return err
	}
	m, _, err := nights.LoadManifest(ctx, st, result.Night)
	if err != nil {
		return err
	}
	if err := firstTen(ctx, out, st, m); err != nil {
		return err
	}

	fmt.Fprintln(out, "\n4  An officer approves, and the teams are told.")
	officer := &gate{door.url(), demoPeople[1].Subject}
	if _, err := officer.decide(ctx, approve, nightFlags{asOf: asOf, revision: result.Night.Revision},
		schemas.DecisionRequest{Reason: "The demo approves what it made"}); err != nil {
		return err
	}
	var decided workflows.DecisionResult
	if err := c.GetWorkflow(ctx, result.Decision, "").Get(ctx, &decided); err != nil {
		return nightError(err)
	}
	t := decided.Tasking
	say(out, "   Digests: %d sent, %d unchanged since an earlier revision, %d failed\n", t.Sent, t.Unchanged, t.Failed)

	report, err := cfg.copyOut(ctx, st, m, schemas.ReportFile)
	if err != nil {
		return err
	}
	stack, err := cfg.copyOut(ctx, st, m, schemas.StackCSVFile)
	if err != nil {
		return err
	}
	say(out, "\nWhat it left behind:\n")
	if err := table(out, [][]string{
		{"   report", report},
		{"   stack", stack},
		{"   store, sealed", cfg.Store},
		{"   digests", filepath.Join(cfg.dir, "outbox")},
		{"   environment", filepath.Join(cfg.dir, "env")},
	}); err != nil {
		return err
	}
	if err := cfg.writeEnv(r.dir, server.Address(), door.url()); err != nil {
		return err
	}
	if r.once {
		return nil
	}
	say(out, `
The server stays up, with its UI at %s. In another terminal:
   . %s
   go run ./starter explain '#1' --why demo
   go run ./starter login --as lambeth && go run ./starter tasking list --team Lambeth
   go run ./starter login --as analyst && go run ./starter run
Who there is to be: %s. Nobody of them exists outside of a demo.
Ctrl-C ends it.
`, server.UIURL(), filepath.Join(r.dir, "env"), demoNames())
	<-ctx.Done()
	fmt.Fprintln(out)
	return nil
}

// preview shows the night at once, made here without Temporal: to build a server takes minutes, the first time.
func preview(ctx context.Context, dir, source string, asOf schemas.Date, out io.Writer) error {
	fmt.Fprintln(
		out,
		"   There is no Temporal server yet: to build one takes minutes. First, here is the same night without it:",
	)
	m, err := scoreExtract(
		ctx,
		scoreRequest{extract: source, out: dir, model: schemas.DefaultModel, asOf: asOf, threads: scoring.Threads()},
		out,
	)
	if err != nil {
		return err
	}
	st, err := store.Open(ctx, dir)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := firstTen(ctx, out, st, m); err != nil {
		return err
	}
	say(out, "\n   Its report: %s\n\n", filepath.Join(dir, schemas.ReportFile))
	return nil
}

// firstTen prints who leads the stack of a night.
func firstTen(ctx context.Context, out io.Writer, st *store.Store, m schemas.Manifest) error {
	stack, err := nights.ReadFile[schemas.Ranked](ctx, st, m, schemas.StackFile)
	if err != nil {
		return err
	}
	all := len(stack)
	stack = slices.DeleteFunc(stack, func(r schemas.Ranked) bool { return r.Restricted })
	say(
		out,
		"\nThe first ten of %s; %s %s on the stack.%s\n\n",
		text.Count(m.Suspects, "suspect"),
		text.Number(m.Cut.Stack),
		text.Noun(m.Cut.Stack, "is", "are"),
		cutNote(m.Cut)+notShown(all-len(stack)),
	)
	return table(out, rankedRows(stack[:min(10, len(stack))]))
}

// startWorker runs a worker until stop is called, which says how it ended.
func startWorker(ctx context.Context, c client.Client, cfg config.Config) (stop func() error, err error) {
	s, err := service.New(ctx, c, cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}
