package cli

import (
	"context"
	"errors"
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
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			st, m, err := night.open(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			var stack []schemas.Ranked
			did := "looked at the stack"
			if ranged := cmd.Flags().Changed("from") || cmd.Flags().Changed("to"); ranged {
				if !cmd.Flags().Changed("to") {
					to = max(from, from+m.Cut.Depth-1)
				}
				if stack, err = positions(ctx, st, m, from, to); err != nil {
					return err
				}
				did = fmt.Sprintf("looked at positions %d to %d", from, stack[len(stack)-1].Position)
			} else if stack, err = nights.ReadFile[schemas.Ranked](ctx, st, m, schemas.StackFile); err != nil {
				return err
			}
			if err := askWhy(cmd, &why); err != nil {
				return err
			}
			if err := look(ctx, st, did, m.NightID, why); err != nil {
				return err
			}
			stack, restricted := shown(stack)
			if top > 0 && top < len(stack) {
				stack = stack[:top]
			}
			switch {
			case asJSON:
				return printJSON(out, stack)
			case asCSV:
				return spreadsheet(out, rankedRows(stack))
			}
			say(
				out,
				"Night of %s, revision %d: %s ranked, %s on the stack.%s\n\n",
				m.AsOf,
				m.Revision,
				text.Count(m.Suspects, "suspect"),
				text.Number(m.Cut.Stack),
				cutNote(m.Cut)+restricted,
			)
			return table(out, rankedRows(stack))
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

// positions are the rows of a night's ranking from one position to another, both included: at least one.
func positions(
	ctx context.Context, st *store.Store, m schemas.Manifest, from, to int64,
) (list []schemas.Ranked, err error) {
	if from < 1 || to < from {
		return nil, fmt.Errorf("--from %d --to %d: positions begin at 1, and --to is not before --from", from, to)
	}
	if from > m.Suspects {
		ranked := text.Count(m.Suspects, "suspect is", "suspects are")
		return nil, fmt.Errorf("--from %d: nobody is there: %s ranked", from, ranked)
	}
	everybody, err := nights.EachRow[schemas.Ranked](ctx, st, m, schemas.RankingFile)
	if err != nil {
		return nil, err
	}
	for r, err := range everybody {
		if err != nil {
			return nil, nights.WhyMissing(ctx, st, m.NightID, err)
		}
		if r.Position > to {
			break
		}
		if r.Position >= from {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("night %s: %s holds no position from %d on", m.NightID, schemas.RankingFile, from)
	}
	return list, nil
}

// shown are the rows of those who are not restricted, and a sentence that counts the others: those are their desk's
// alone (contract, section 8).
func shown(stack []schemas.Ranked) (rows []schemas.Ranked, note string) {
	for _, r := range stack {
		if !r.Restricted {
			rows = append(rows, r)
		}
	}
	if n := len(stack) - len(rows); n > 0 {
		note = " " + notShown(n)
	}
	return rows, note
}

// notShown says that so many are restricted.
func notShown(n int) string {
	return text.Count(n, "suspect is", "suspects are") + " restricted and not shown."
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
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			all, err := nights.List(ctx, st)
			if err != nil {
				return err
			}
			current, err := nights.LoadCurrent(ctx, st)
			if err != nil {
				return err
			}
			lines := make([]nightLine, len(all))
			for i, n := range all {
				m, _, err := nights.LoadManifest(ctx, st, n.ID)
				if err != nil {
					return err
				}
				lines[i] = nightLine{
					n.ID,
					n.Status,
					current != nil && current.Manifest.NightID == n.ID,
					n.Disposed,
					m.RowsRead,
					m.Suspects,
					m.Changes,
					n.Decision,
					n.Revocation,
				}
			}
			// What is known is shown, also where Temporal is away or a tasking cannot be read.
			now, notAsked := lookAtRunning(ctx, st, all)
			measures, notMeasured := tasking.Measure(ctx, st, time.Now())
			undelivered, err := ledger.Open(ctx, st)
			if err != nil {
				return err
			}
			if asJSON {
				why := ""
				if notAsked != nil {
					why = oneLine(notAsked)
				}
				return errors.Join(notMeasured, printJSON(out, struct {
					Nights      []nightLine       `json:"nights"`
					Running     running           `json:"running"`
					NotAsked    string            `json:"running_unknown,omitempty"`
					Taskings    casework.Measures `json:"taskings"`
					Undelivered int               `json:"messages_undelivered"`
				}{lines, now, why, measures, undelivered}))
			}
			printRunning := func() error {
				if notAsked != nil {
					say(out, "\nWhich nights run or failed is not shown: %s\n", oneLine(notAsked))
				}
				return now.print(out)
			}
			if len(lines) == 0 {
				fmt.Fprintln(out, "No night is published yet: `starter run` makes one.")
				return printRunning()
			}
			if err := table(out, nightRows(lines)); err != nil {
				return err
			}
			for _, l := range lines {
				putAside(out, l.Night, l.Status)
			}
			if err := printRunning(); err != nil || notMeasured != nil {
				return errors.Join(notMeasured, err)
			}
			return printMeasures(out, measures, undelivered)
		},
	}
	storeFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// nightLine is what status tells of a night.
type nightLine struct {
	Night    schemas.NightID      `json:"night"`
	Status   string               `json:"status"`
	Current  bool                 `json:"current"`
	Disposed bool                 `json:"disposed,omitempty"`
	RowsRead int64                `json:"rows_read"`
	Suspects int64                `json:"suspects"`
	Changes  *schemas.ChangeCount `json:"changes,omitempty"`
	Decision *schemas.Decision    `json:"decision,omitempty"`
	// Revocation is who took the approval back.
	Revocation *schemas.Revocation `json:"revocation,omitempty"`
}

func nightRows(lines []nightLine) [][]string {
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
