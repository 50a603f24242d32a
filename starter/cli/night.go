package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/worker/config"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

func runCommand() *cobra.Command {
	var request schemas.NightRequest
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "run",
		GroupID: groupNight,
		Short:   "Start a night and follow it",
		Long: `Start a night and follow it to its end. Without flags: last night, from the configured extract.
The same night again is its next revision; a stage whose inputs, tables, model and code are
unchanged is not done again but taken from where it was done, once its files are verified. Ctrl-C stops following; the night goes on.`,
		Example: `  starter run
  starter run --as-of 2026-06-30 --extract crimes
  starter run --as-of 2026-06-30 --dry-run
  starter run --as-of 2026-06-30 --force`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(request.Validate(), schemas.CheckAsOf(request.AsOf, now())); err != nil {
				return err
			}
			if g, err := theDesk(cmd.Context()); err != nil {
				return err
			} else if g != nil {
				return g.run(cmd, request, asJSON)
			}
			c, cfg, st, err := connect(cmd.Context())
			if err != nil {
				return err
			}
			defer closeBoth(c, st)
			result, err := runNight(cmd.Context(), c, cfg, request, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printNight(cmd.OutOrStdout(), result)
		},
	}
	f := cmd.Flags()
	f.Var(dateFlag{&request.AsOf}, "as-of", "the night's `date` (default: yesterday in London)")
	f.StringVar(&request.Extract, "extract", "", "a configured source, or a path or `URL` below the worker's HARMSTACK_EXTRACT_PREFIXES")
	f.StringVar(&request.Model, "model", "", "a built-in model: "+strings.Join(schemas.ModelNames(), ", "))
	f.BoolVar(&request.Wait, "wait", false, "wait for a source that is late, as a scheduled night does")
	f.StringVar(
		&request.AcceptDrift,
		"accept-drift",
		"",
		"the `reason` to take an extract that lost or retyped a column since the last night from the same source",
	)
	f.BoolVar(&request.DryRun, "dry-run", false, "publish nothing and task nobody")
	f.BoolVar(&request.Force, "force", false, "do every stage again, also where a result from the same inputs is there")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// runNight starts a night and shows its stages as they go by, and what keeps it from going on.
func runNight(
	ctx context.Context,
	c client.Client,
	cfg config.Config,
	request schemas.NightRequest,
	progress io.Writer,
) (
	result workflows.NightResult, err error) {
	l, err := newLooker(c, cfg)
	if err != nil {
		return result, err
	}
	if request.AsOf.IsZero() { // by its date, so that the same night is not started twice under two names
		request.AsOf = schemas.LondonDate(now()).AddDays(-1)
	}
	id := cfg.Deployment.ID(workflows.NightWorkflowID(request.AsOf))
	run, err := flows.StartNight(ctx, c, cfg.Deployment, cfg.TaskQueue, request)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return result, fmt.Errorf(
			"the night is running already, as workflow %s: wait for it, or cancel it in the UI",
			id,
		)
	}
	if err != nil {
		return result, fmt.Errorf("the night could not be started: %w", err)
	}
	progress = &shared{to: progress}
	say(progress, "Night started: workflow %s\n", run.GetID())
	if others, err := flows.NightRuns(ctx, c, cfg.Deployment, cfg.TaskQueue, request.AsOf.Start()); err == nil {
		for _, r := range others {
			if r.Running() && r.AsOf == request.AsOf && r.WorkflowID != id {
				say(progress, "  workflow %s runs the same night too: each makes a revision of its own\n", r.WorkflowID)
			}
		}
	}
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		follow(ctx, c, run, progress, done)
	}()
	l.while(ctx, run.GetID(), run.GetRunID(), progress, func() { err = run.Get(ctx, &result) })
	close(done)
	<-finished
	if ctx.Err() != nil {
		return result, fmt.Errorf("no longer following workflow %s: it goes on", id)
	}
	if err != nil && flows.Completed(ctx, c, run) {
		return result, fmt.Errorf(
			"the night ended well, but its result cannot be read here (%s): `starter status` lists it",
			oneLine(err),
		)
	}
	return result, nightError(err)
}

// nightError is the line of the stage that failed.
func nightError(err error) error {
	if app := flows.Refusal(err); app != nil {
		return fmt.Errorf("the night failed: %s: %s", app.Type(), app.Message())
	}
	if err != nil {
		return fmt.Errorf("the night failed: %w", err)
	}
	return nil
}

// follow prints each stage once when it has ended, until done and a last look.
func follow(ctx context.Context, c client.Client, run client.WorkflowRun, out io.Writer, done <-chan struct{}) {
	printed, said := 0, ""
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-ctx.Done():
			return
		case <-done:
			last = true
		case <-tick.C:
		}
		p, err := workflows.Progress.Ask(ctx, c, run.GetID(), run.GetRunID())
		if err != nil {
			continue // no worker yet, or one too busy to answer: the result says how it ended
		}
		if n := len(p.Stages); n > 0 && p.Stages[n-1].State == workflows.StageRunning && p.Stages[n-1].Notes != said &&
			p.Stages[n-1].Rows == 0 {
			said = p.Stages[n-1].Notes
			say(out, "  %-8s %s\n", p.Stages[n-1].Name, said)
		}
		for ; printed < len(p.Stages) && p.Stages[printed].State != workflows.StageRunning; printed++ {
			s := p.Stages[printed]
			rows := ""
			if s.Rows > 0 {
				rows = text.Count(s.Rows, "row")
			}
			say(out, "  %-8s %-9s %16s %8s  %s\n", s.Name, s.State, rows, s.Took.Round(10*time.Millisecond), s.Notes)
		}
	}
}

func printNight(out io.Writer, r workflows.NightResult) error {
	if err := table(out, dispositionRows(r.Dispositions)); err != nil {
		return err
	}
	say(
		out,
		"\n%s ranked, %s on the stack.%s\n",
		text.Count(r.Suspects, "suspect"),
		text.Number(r.Cut.Stack),
		cutNote(r.Cut),
	)
	failed := slices.DeleteFunc(slices.Clone(r.Checks), func(c schemas.CheckOutcome) bool { return !c.Failed })
	if len(failed) > 0 {
		fmt.Fprintln(out)
		if err := table(out, checkRows(failed)); err != nil {
			return err
		}
	}
	switch {
	case r.Manifest == nil:
		fmt.Fprintln(out, "A dry run: nothing is published.")
	case r.Superseded:
		say(out, "Night %s is published and superseded at once: a newer night is there.\n", r.Night)
	default:
		say(
			out,
			"Night %s is published and waits for a decision:\n  starter approve --as-of %s --revision %d --by WHO --reason TEXT\n",
			r.Night,
			r.Night.AsOf,
			r.Night.Revision,
		)
	}
	return nil
}

func backfillCommand() *cobra.Command {
	var from, to schemas.Date
	var extract string
	cmd := &cobra.Command{
		Use:     "backfill --from DATE --to DATE",
		GroupID: groupNight,
		Short:   "Run many nights, the oldest first",
		Long: `Run every night from one date to another, the oldest first, one after the other. Each supersedes
the one before, so that the last is the one to be decided.`,
		Example: `  starter backfill --from 2026-06-01 --to 2026-06-30`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to.Before(from) {
				return fmt.Errorf("--from %s is after --to %s", from, to)
			}
			if err := schemas.CheckAsOf(to, now()); err != nil {
				return fmt.Errorf("--to: %w", err)
			}
			c, cfg, st, err := connect(cmd.Context())
			if err != nil {
				return err
			}
			defer closeBoth(c, st)
			var results []workflows.NightResult
			var failed error
			for asOf := from; !to.Before(asOf); asOf = asOf.AddDays(1) {
				r, err := runNight(
					cmd.Context(),
					c,
					cfg,
					schemas.NightRequest{AsOf: asOf, Extract: extract},
					cmd.ErrOrStderr(),
				)
				if err != nil {
					failed = fmt.Errorf("night of %s: %w", asOf, err)
					break
				}
				results = append(results, r)
			}
			return errors.Join(printBackfill(cmd, st, results), failed)
		},
	}
	cmd.Flags().Var(dateFlag{&from}, "from", "the first night's `date`")
	cmd.Flags().Var(dateFlag{&to}, "to", "the last night's `date`")
	cmd.Flags().StringVar(&extract, "extract", "", "a configured source, or a path or `URL` below the worker's HARMSTACK_EXTRACT_PREFIXES")
	required(cmd, "from", "to")
	return cmd
}

// printBackfill lists the nights as they stand now: each has superseded the ones before.
func printBackfill(cmd *cobra.Command, st *store.Store, results []workflows.NightResult) error {
	if len(results) == 0 {
		return nil
	}
	rows := [][]string{{"NIGHT", "REVISION", "ROWS", "SUSPECTS", "STATUS"}}
	for _, r := range results {
		status := nights.Pending
		d, err := nights.LoadDecision(cmd.Context(), st, r.Night)
		if err != nil {
			return err
		}
		if d != nil {
			status = d.Decision
		}
		rows = append(
			rows,
			[]string{
				r.Night.AsOf.String(),
				fmt.Sprint(r.Night.Revision),
				text.Number(r.RowsRead),
				text.Number(r.Suspects),
				status,
			},
		)
	}
	return table(cmd.OutOrStdout(), rows)
}

// verdict is one of the two things that an officer can say of a night.
type verdict struct {
	name, short string
}

var (
	approve = verdict{access.Approve, "Approve a night's stack, make it current and task the teams"}
	hold    = verdict{access.Hold, "Hold a night's stack back, for good"}
)

func decisionCommand(v verdict) *cobra.Command {
	var night nightFlags
	var request schemas.DecisionRequest
	cmd := &cobra.Command{
		Use:     v.name + " --as-of DATE --reason TEXT",
		GroupID: groupNight,
		Short:   v.short,
		Long: v.short + `.
The decision names the revision and the manifest's sha256 and is refused for any other. Look at
report.html or ` + "`starter stack`" + ` first.`,
		Example: `  starter ` + v.name + ` --as-of 2026-06-30 --by "Insp. A. Officer 1234" --reason "Checked against the daily briefing"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := decideAnywhere(cmd.Context(), v, night, request, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			say(cmd.OutOrStdout(), "Night %s is %s by %s.\n", d.Manifest.NightID, d.Decision, d.By)
			return nil
		},
	}
	night.add(cmd)
	f := cmd.Flags()
	f.StringVar(&request.By, "by", "", byUsage)
	f.StringVar(&request.Reason, "reason", "", "why")
	if v.name == approve.name {
		f.StringVar(&request.Override, "override", "", "`why` the stack is approved though a check blocks it")
	}
	f.StringVar(
		&request.ManifestSHA256,
		"manifest",
		"",
		"the `sha256` that was shown (default: that of the published manifest)",
	)
	required(cmd, "as-of", "reason")
	return cmd
}

// byUsage is the help of --by.
const byUsage = "`who` you are, name and warrant number: only where no desk knows (HARMSTACK_DESK)"

// decideAnywhere is a decision through the desk where there is one, else straight.
func decideAnywhere(ctx context.Context, v verdict, night nightFlags, request schemas.DecisionRequest, progress io.Writer) (d schemas.Decision, err error) {
	g, err := theDesk(ctx)
	if err != nil {
		return d, err
	}
	if g != nil {
		if err := byDesk(request.By); err != nil {
			return d, err
		}
		return g.decide(ctx, v, night, request)
	}
	c, cfg, st, err := connect(ctx)
	if err != nil {
		return d, err
	}
	defer closeBoth(c, st)
	return decide(ctx, c, cfg, st, v, night, request, progress)
}

// decide sends the officer's decision, and says on progress what keeps it from being recorded. The same decision again
// changes nothing: a double click does no harm.
func decide(ctx context.Context, c client.Client, cfg config.Config, st *store.Store, v verdict, night nightFlags,
	request schemas.DecisionRequest, progress io.Writer) (d schemas.Decision, err error) {
	_, ref, err := night.find(ctx, st)
	if err != nil {
		return d, err
	}
	request.Revision = ref.Revision
	if request.ManifestSHA256 == "" {
		request.ManifestSHA256 = ref.SHA256
	}
	if err := request.Validate(); err != nil {
		return d, err
	}
	to := where(c, cfg, st)
	id := to.DecisionID(ref.NightID)
	l, err := newLooker(c, cfg)
	if err == nil {
		err = readable(ctx, c, cfg, id, "")
	}
	if err != nil {
		return d, err
	}
	var unread flows.Unread
	l.while(ctx, id, "", progress, func() { d, unread, err = to.Decide(ctx, v.name, ref.NightID, request) })
	if unread != nil {
		say(progress, "The answer could not be read (%s), but the decision is recorded.\n", oneLine(unread))
	}
	return d, err
}

// where is where acts are done.
func where(c client.Client, cfg config.Config, st *store.Store) flows.Deployment {
	return flows.Deployment{Client: c, Name: cfg.Deployment, TaskQueue: cfg.TaskQueue, Store: st}
}
