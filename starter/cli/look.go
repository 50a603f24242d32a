package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"harmstack/activities/casework"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/starter/desk"
)

// now is the clock of what the commands note down.
func now() time.Time { return time.Now().UTC() }

func stackCommand() *cobra.Command {
	var night nightFlags
	var top int
	var from, to int64
	var why string
	var asJSON, asCSV bool
	cmd := &cobra.Command{
		Use:     "stack",
		GroupID: groupLook,
		Short:   "Show the approved stack, or that of a night, or other positions of its ranking",
		Long: `Show the approved stack, or that of a night. With --from and --to it shows those positions of the whole
ranking instead, on the stack or not. At a terminal it asks why you look; elsewhere give --why. The reason
goes into the log. Who is restricted is counted and not shown.`,
		Example: `  starter stack --top 10 --why "the morning meeting"
  starter stack --as-of 2026-06-30 --revision 2 --json --why "before I approve it"
  starter stack --from 101 --to 200 --why "whom we shall tackle next"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ranged := cmd.Flags().Changed("from") || cmd.Flags().Changed("to")
			if ranged && from < 1 {
				return fmt.Errorf("--from %d: positions begin at 1", from)
			}
			call := desk.StackCall{Reason: desk.Reason{Why: why}}
			if ranged {
				call.From, call.To = from, to
			}
			s, err := stackAnywhere(cmd, night, call)
			if err != nil {
				return err
			}
			if top > 0 && top < len(s.Rows) {
				s.Rows = s.Rows[:top]
			}
			out := cmd.OutOrStdout()
			switch {
			case asJSON:
				return printJSON(out, s.Rows)
			case asCSV:
				return spreadsheet(out, rankedRows(s.Rows))
			}
			say(
				out,
				"Night of %s, revision %d: %s ranked, %s on the stack.%s\n\n",
				s.Night.AsOf,
				s.Night.Revision,
				text.Count(s.Suspects, "suspect"),
				text.Number(s.Cut.Stack),
				cutNote(s.Cut)+notShown(s.Restricted),
			)
			return table(out, rankedRows(s.Rows))
		},
	}
	storeFlag(cmd)
	night.add(cmd)
	f := cmd.Flags()
	f.IntVar(&top, "top", 0, "only the first so many")
	f.Int64Var(&from, "from", 1, "show the ranking from this `position`")
	f.Int64Var(&to, "to", 0, "to this `position` (default: as many as the stack is deep)")
	whyFlag(cmd, &why)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.BoolVar(&asCSV, "csv", false, "print CSV")
	cmd.MarkFlagsMutuallyExclusive("json", "csv")
	cmd.MarkFlagsMutuallyExclusive("top", "from")
	cmd.MarkFlagsMutuallyExclusive("top", "to")
	return cmd
}

// stackAnywhere asks the desk for a stack, or takes it from the store and notes the look.
func stackAnywhere(cmd *cobra.Command, night nightFlags, call desk.StackCall) (s desk.Stack, err error) {
	ctx := cmd.Context()
	g, err := lookingDesk(cmd)
	if err != nil {
		return s, err
	}
	if g != nil {
		if err := askWhy(cmd, &call.Why); err != nil {
			return s, err
		}
		return g.stack(ctx, night, call)
	}
	st, m, err := night.open(cmd)
	if err != nil {
		return s, err
	}
	defer st.Close()
	s, did, err := desk.StackOf(ctx, st, m, call, true)
	if err == nil {
		err = askWhy(cmd, &call.Why)
	}
	if err != nil {
		return s, err
	}
	return s, look(ctx, st, did, m.NightID, call.Why)
}

// notShown says that so many are restricted: those are their desk's alone (contract, section 8). Of none it is empty.
func notShown(n int) string {
	if n == 0 {
		return ""
	}
	return " " + text.Count(n, "suspect is", "suspects are") + " restricted and not shown."
}

// cutNote says who stands beside the stack, and when its edge falls inside a tie.
func cutNote(c schemas.Cut) (note string) {
	if c.Contained > 0 {
		note = fmt.Sprintf(" Beside it, above its last, %s in custody.", text.Count(c.Contained, "suspect is", "suspects are"))
	}
	if !c.InsideTie {
		return note
	}
	return note + fmt.Sprintf(
		" The cut falls inside a tie: %s with the last score %s on the stack, %s %s not.",
		text.Number(
			c.TiedIn,
		),
		text.Noun(c.TiedIn, "is", "are"),
		text.Number(c.TiedOut),
		text.Noun(c.TiedOut, "is", "are"),
	)
}

func ties(n int64) string {
	if n < 2 {
		return ""
	}
	return " (tied with " + text.Count(n-1, "other") + ")"
}

func alsoVictim(r schemas.Ranked) string {
	if !r.AlsoVictim {
		return ""
	}
	return " Also a victim in the window: look for a counter-allegation."
}

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupLook,
		Short:   "List the nights: published, running and failed, their decisions, and how the taskings stand",
		Example: `  starter status`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			s, err := statusAnywhere(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(out, s)
			}
			return printStatus(out, s)
		},
	}
	storeFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// statusAnywhere asks the desk, or looks at the store and at Temporal.
func statusAnywhere(cmd *cobra.Command) (s desk.Status, err error) {
	ctx := cmd.Context()
	g, err := lookingDesk(cmd)
	if err != nil {
		return s, err
	}
	if g != nil {
		return g.status(ctx)
	}
	st, err := openStore(cmd)
	if err != nil {
		return s, err
	}
	defer st.Close()
	return statusOf(ctx, st, func(all []nights.Night) (desk.Running, error) { return lookAtRunning(ctx, st, all) })
}

// statusOf finds how the nights and taskings of a store stand. What is known is told, also where ask, which asks
// Temporal, fails.
func statusOf(
	ctx context.Context, st *store.Store, ask func(all []nights.Night) (desk.Running, error),
) (s desk.Status, err error) {
	all, err := nights.List(ctx, st)
	if err != nil {
		return s, err
	}
	current, err := nights.LoadCurrent(ctx, st)
	if err != nil {
		return s, err
	}
	s.Nights = make([]desk.NightLine, len(all))
	for i, n := range all {
		m, _, err := nights.LoadManifest(ctx, st, n.ID)
		if err != nil {
			return s, err
		}
		s.Nights[i] = desk.NewNightLine(n, m, current != nil && current.Manifest.NightID == n.ID)
	}
	running, notAsked := ask(all)
	if s.Running = running; notAsked != nil {
		s.NotAsked = oneLine(notAsked)
	}
	if s.Taskings, err = tasking.Measure(ctx, st, now()); err != nil {
		return s, err
	}
	s.Undelivered, err = ledger.Open(ctx, st)
	return s, err
}

func printStatus(out io.Writer, s desk.Status) error {
	if len(s.Nights) == 0 {
		fmt.Fprintln(out, "No night is published yet: `starter run` makes one.")
	} else if err := table(out, nightRows(s.Nights)); err != nil {
		return err
	}
	for _, l := range s.Nights {
		putAside(out, l.Night, l.Status)
	}
	if s.NotAsked != "" {
		say(out, "\nWhich nights run or failed is not shown: %s\n", s.NotAsked)
	}
	if err := printRunning(out, s.Running); err != nil || len(s.Nights) == 0 {
		return err
	}
	return printMeasures(out, s.Taskings, s.Undelivered)
}

func nightRows(lines []desk.NightLine) [][]string {
	rows := [][]string{{"NIGHT", "REVISION", "STATUS", "ROWS", "SUSPECTS", "ENTERED", "LEFT", "DECIDED BY", "REASON"}}
	for _, l := range lines {
		status := l.Status
		if l.Current {
			status += ", current"
		}
		if l.Disposed {
			status += ", disposed of"
		}
		row := []string{
			l.Night.AsOf.String(),
			strconv.Itoa(l.Night.Revision),
			status,
			text.Number(l.RowsRead),
			text.Number(l.Suspects),
			"",
			"",
			"",
			"",
		}
		if l.Changes != nil {
			row[5], row[6] = strconv.FormatInt(l.Changes.Entered, 10), strconv.FormatInt(l.Changes.Left, 10)
		}
		if l.Status == nights.Pending {
			row[7] = "nobody yet: starter approve or hold --as-of " + l.Night.AsOf.String()
		}
		if l.Decision != nil {
			row[7], row[8] = l.Decision.By, short(l.Decision.Reason, 60)
		}
		if l.Revocation != nil {
			row[7], row[8] = l.Revocation.By, short(l.Revocation.Reason, 60)
		}
		rows = append(rows, row)
	}
	return rows
}

// putAside says what to do about a night that an older build made of a date to come: it supersedes every real one.
func putAside(out io.Writer, night schemas.NightID, status string) {
	verb := map[string]string{nights.Pending: "hold", schemas.Approved: "revoke"}[status]
	if verb == "" || schemas.CheckAsOf(night.AsOf, now()) == nil {
		return
	}
	say(
		out,
		"\nNight %s is of the future and supersedes every real one. Put it aside, then run the real nights again, as their next revisions:\n"+
			"  starter %s --as-of %s --revision %d --by WHO --reason TEXT\n",
		night,
		verb,
		night.AsOf,
		night.Revision,
	)
}

func checksCommand() *cobra.Command {
	var night nightFlags
	var asJSON, example bool
	cmd := &cobra.Command{
		Use:     "checks",
		GroupID: groupLook,
		Short:   "Show what the checks found of a night, or print a file to start from",
		Example: `  starter checks --as-of 2026-06-30
  starter checks --example > checks.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if example {
				_, err := cmd.OutOrStdout().Write(quality.Example())
				return err
			}
			st, m, err := night.open(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), m.Checks)
			}
			if err := table(cmd.OutOrStdout(), checkRows(m.Checks)); err != nil {
				return err
			}
			d, err := nights.LoadDecision(cmd.Context(), st, m.NightID)
			if err == nil && d != nil && d.Override != "" {
				say(cmd.OutOrStdout(), "\nApproved all the same by %s: %s\n", d.By, d.Override)
			}
			return err
		},
	}
	storeFlag(cmd)
	night.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&example, "example", false, "print the checks that count when none are declared")
	return cmd
}

func printMeasures(out io.Writer, m casework.Measures, undelivered int) error {
	say(
		out,
		"\n%s of the %s on the approved stack %s ever tasked. %s, %s overdue.\n",
		text.Number(m.Tasked),
		text.Number(m.Stack),
		text.Noun(m.Tasked, "was", "were"),
		text.Count(m.Open, "open tasking"),
		text.Number(m.Overdue),
	)
	if m.Waiting > 0 {
		waits := text.Noun(m.Waiting, "waits", "wait")
		say(out, "%s on it %s for the next new taskings.\n", text.Number(m.Waiting), waits)
	}
	if m.Acknowledged > 0 {
		say(
			out,
			"Acknowledged %s: half of them within %s, nine in ten within %s.\n",
			text.Count(m.Acknowledged, "time"),
			hours(m.AcknowledgeMedian),
			hours(m.AcknowledgeP90),
		)
	}
	if undelivered > 0 {
		say(out, "%s not delivered (yet): `starter tasking deliveries --state refused` and `--state begun` list %s.\n",
			text.Count(undelivered, "message was", "messages were"), text.Noun(undelivered, "it", "them"))
	}
	for _, list := range []struct {
		what string
		of   []string
	}{{"Not told yet of the approved stack", m.Untold}, {"Sent, but not to all addresses", m.Unmet}, {"Refused", m.Refused},
		{"Not up to date with the approved stack (`starter tasking resume` tries again)", m.LateOrders}} {
		if len(list.of) > 0 {
			say(out, "%s: %s.\n", list.what, strings.Join(list.of, ", "))
		}
	}
	if m.Unreadable > 0 {
		say(
			out,
			"%s cannot be read and %s not counted: `starter tasking list --all` names %s.\n",
			text.Count(m.Unreadable, "tasking"),
			text.Noun(m.Unreadable, "is", "are"),
			text.Noun(m.Unreadable, "it", "them"),
		)
	}
	if len(m.Teams) > 0 {
		rows := [][]string{{"TEAM", "OPEN", "UNANSWERED", "WATCHES", "OVERDUE", "> 7 DAYS", "> 30 DAYS", "OLDEST"}}
		for _, t := range m.Teams {
			rows = append(
				rows,
				[]string{
					t.Team,
					strconv.Itoa(t.Open),
					strconv.Itoa(t.Unanswered),
					strconv.Itoa(t.Watches),
					strconv.Itoa(t.Overdue),
					strconv.Itoa(t.WeekOld),
					strconv.Itoa(t.MonthOld),
					hours(t.Oldest),
				},
			)
		}
		fmt.Fprintln(out)
		if err := table(out, rows); err != nil {
			return err
		}
	}
	if len(m.Outcomes) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	rows := [][]string{{"MONTH", "OUTCOME", "TASKINGS"}}
	for _, o := range m.Outcomes {
		rows = append(rows, []string{o.Month, strings.ReplaceAll(o.Outcome, "_", " "), strconv.Itoa(o.Count)})
	}
	return table(out, rows)
}

// hours shows a time of hours or days.
func hours(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	default:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	}
}
