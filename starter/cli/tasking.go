package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/starter/desk"
	"harmstack/worker/config"
	flows "harmstack/workflows/client"
)

func taskingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tasking",
		GroupID: groupTask,
		Short:   "Look at the taskings: who has which, since when, who has not answered",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(taskingListCommand(), taskingShowCommand(), deliveriesCommand(), resumeCommand())
	return cmd
}

func taskingListCommand() *cobra.Command {
	var team, state string
	var overdue, unanswered, all, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the open taskings",
		Example: `  starter tasking list --team Hackney
  starter tasking list --overdue
  starter tasking list --all --state closed --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, at := cmd.OutOrStdout(), now()
			seen, err := taskingsAnywhere(cmd, team, all || state != "")
			// Those that can be read are listed whatever became of the others, which the command's error names.
			if err != nil && seen.Unreadable == 0 {
				return err
			}
			found := slices.DeleteFunc(seen.Taskings, func(t *schemas.Tasking) bool {
				theirs := func(name string) bool { return teams.Slug(name) == teams.Slug(team) }
				return team != "" && !theirs(t.Team) && !slices.ContainsFunc(t.Specialists, theirs) ||
					state != "" && state != string(t.State) ||
					overdue && !casework.Overdue(t, at) ||
					unanswered && !t.State.Unanswered()
			})
			if asJSON {
				return errors.Join(printJSON(out, found), err)
			}
			if seen.Restricted > 0 {
				others := text.Count(seen.Restricted, "restricted tasking is", "restricted taskings are")
				defer say(out, "%s not listed.\n", others)
			}
			if len(found) == 0 {
				fmt.Fprintln(out, "No tasking is like that.")
				return err
			}
			rows := [][]string{
				{
					"TASKING",
					"TEAM",
					"STATE",
					"SINCE",
					"ACKNOWLEDGE BY",
					"POSITION",
					"ALLEGATIONS",
					"VICTIMS",
					"SPECIALISTS",
				},
			}
			for _, t := range found {
				due := ""
				if d, ok := t.Due(); ok {
					due = londonMinute(d)
					if casework.Overdue(t, at) {
						due += " OVERDUE"
					}
				}
				rows = append(
					rows,
					[]string{
						t.Reference,
						t.Team,
						strings.TrimSpace(string(t.State) + " " + t.Outcome + watchNote(t)),
						londonMinute(t.Since),
						due,
						fmt.Sprint(t.Position),
						fmt.Sprint(
							t.Facts.Allegations,
						),
						fmt.Sprint(t.Facts.Victims),
						strings.Join(t.Specialists, ", "),
					},
				)
			}
			return errors.Join(table(out, rows), err)
		},
	}
	storeFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&team, "team", "", "those of one `team`, or those that a specialist team was added to")
	f.StringVar(
		&state,
		"state",
		"",
		"those in one `state`: issued, transferred, escalated, acknowledged, in_progress, closed, stood_down",
	)
	f.BoolVar(&overdue, "overdue", false, "those that should have been acknowledged by now")
	f.BoolVar(&unanswered, "unanswered", false, "those that nobody has acknowledged")
	f.BoolVar(&all, "all", false, "also those that are closed or stood down")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// taskingsAnywhere asks the desk, or looks at the store, where a team's word is believed: all taskings, or the open ones.
// An error that says which cannot be read comes with the others.
func taskingsAnywhere(cmd *cobra.Command, team string, all bool) (found desk.Taskings, err error) {
	g, err := lookingDesk(cmd)
	if err != nil {
		return found, err
	}
	if g != nil {
		return g.taskings(cmd.Context(), all)
	}
	st, err := openStore(cmd)
	if err != nil {
		return found, err
	}
	defer st.Close()
	return desk.TaskingsOf(cmd.Context(), st, all, func(t *schemas.Tasking) bool { return believed(t, team) })
}

// believed tells whether somebody who says that they speak for a team may see a tasking in the store.
func believed(t *schemas.Tasking, team string) bool {
	return !t.Restricted || teams.Slug(team) == teams.Slug(t.Team)
}

// watchNote marks a release watch.
func watchNote(t *schemas.Tasking) string {
	if t.Watch && t.State.Open() {
		return "release watch"
	}
	return ""
}

func londonMinute(t time.Time) string { return t.In(schemas.London).Format("2006-01-02 15:04") }

func taskingShowCommand() *cobra.Command {
	var asJSON bool
	var format, team, why string
	cmd := &cobra.Command{
		Use:   "show TASKING",
		Short: "Show one tasking: where it stands and all that happened, or its pack",
		Long: `Show one tasking: where it stands and all that happened to it. With --pack, everything about the
suspect and each allegation, ids included: handle it as you handle crime reports. At a terminal it then asks
why you look; elsewhere give --why. The reason goes into the log.`,
		Example: `  starter tasking show k7qd-2m4x-9w3t-c5hn
  starter tasking show k7qd-2m4x-9w3t-c5hn --pack html --why "arrest of 2 July" > pack.html`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			reference := taskingReference(args[0])
			if format != "" {
				return printPack(cmd, reference, team, format, why)
			}
			t, err := taskingAnywhere(cmd, reference, team)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), t)
			}
			return printTasking(cmd.OutOrStdout(), t)
		},
	}
	storeFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&team, "team", "", "the `team` you speak for, where no desk knows: a restricted tasking is shown to its own")
	cmd.Flags().StringVar(&format, "pack", "", "print the pack instead, as `text or html`")
	whyFlag(cmd, &why)
	cmd.MarkFlagsMutuallyExclusive("json", "pack")
	return cmd
}

func printTasking(out io.Writer, t *schemas.Tasking) error {
	say(out, "Tasking %s, with %s. %s.\n", t.Reference, t.Team, digest.StateText(t))
	say(out, "Position %d on the stack of %s. %s.\n\n", t.Position, t.Night.AsOf, digest.FactsText(t.Facts))
	rows := [][]string{{"#", "WHEN", "WHAT", "TEAM", "BY", "WHY"}}
	for _, e := range digest.Story(t) {
		rows = append(rows, []string{fmt.Sprint(e.Number), londonMinute(e.At), e.What, e.Team, e.Who, strings.Join(e.Why, "; ")})
	}
	return table(out, rows)
}

// taskingAnywhere asks the desk for a tasking with all that happened to it, or looks at the store.
func taskingAnywhere(cmd *cobra.Command, reference, team string) (*schemas.Tasking, error) {
	g, err := lookingDesk(cmd)
	if err != nil {
		return nil, err
	}
	if g != nil {
		if team != "" {
			return nil, errTeamKnown
		}
		return g.tasking(cmd.Context(), reference)
	}
	st, err := openStore(cmd)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return taskingHere(cmd.Context(), st, reference, team)
}

func taskingHere(ctx context.Context, st *store.Store, reference, team string) (*schemas.Tasking, error) {
	t, err := casework.History(ctx, st, reference)
	if err != nil {
		return nil, err
	}
	if t == nil || !believed(t, team) {
		return nil, fmt.Errorf("there is no tasking %s: `starter tasking list --all` lists them", reference)
	}
	return t.Bare(), nil
}

// taskingReference takes a tasking's pseudonym also as its workflow's id.
func taskingReference(arg string) string {
	return strings.TrimPrefix(strings.TrimSpace(arg), "tasking-")
}

// printPack asks the desk for a tasking's pack, or makes it from the store and notes the look.
func printPack(cmd *cobra.Command, reference, team, format, why string) error {
	if format != "text" && format != "html" {
		return fmt.Errorf("--pack %s: give text or html", format)
	}
	g, err := lookingDesk(cmd)
	if err != nil {
		return err
	}
	var p desk.Pack
	if g != nil {
		if team != "" {
			return errTeamKnown
		}
		if err = askWhy(cmd, &why); err == nil {
			p, err = g.pack(cmd.Context(), reference, why)
		}
	} else {
		p, err = packHere(cmd, reference, team, why)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(cmd.OutOrStdout(), map[string]string{"text": p.Text, "html": p.HTML}[format])
	return err
}

func packHere(cmd *cobra.Command, reference, team, why string) (p desk.Pack, err error) {
	ctx := cmd.Context()
	st, err := openStore(cmd)
	if err != nil {
		return p, err
	}
	defer st.Close()
	t, err := taskingHere(ctx, st, reference, team)
	if err != nil {
		return p, err
	}
	if err := askWhy(cmd, &why); err != nil {
		return p, err
	}
	if p, err = desk.PackOf(ctx, st, t); err != nil {
		return p, err
	}
	return p, audit.Append(ctx, st, audit.Entry{At: now(), Operation: audit.Consultation, Actor: audit.Claims(whoami()),
		Did: "looked at the pack", On: audit.Object{Team: t.Team, Pseudonyms: []string{t.Reference}}, Why: why})
}

func deliveriesCommand() *cobra.Command {
	var team, state string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "List what was sent to whom, when, with which id",
		Example: `  starter tasking deliveries --team Hackney
  starter tasking deliveries --state refused`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			entries, err := ledger.Read(cmd.Context(), st)
			if err != nil {
				return err
			}
			entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool {
				return team != "" && teams.Slug(team) != teams.Slug(e.Team) || state != "" && !e.Is(state)
			})
			if asJSON {
				return printJSON(cmd.OutOrStdout(), entries)
			}
			rows := [][]string{{"BEGUN", "STATE", "BY", "TO", "WHAT", "ABOUT", "MESSAGE", "WHY"}}
			for _, e := range entries {
				rows = append(
					rows,
					[]string{londonMinute(e.Begun), e.State, e.Channel, e.Team, e.Kind, e.Subject, e.ID, e.Reasons()},
				)
			}
			return table(cmd.OutOrStdout(), rows)
		},
	}
	storeFlag(cmd)
	cmd.Flags().StringVar(&team, "team", "", "those to one `team`")
	cmd.Flags().
		StringVar(&state, "state", "", "`sent`, begun or refused; waiting: some of its addresses have not taken it yet")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume",
		Short: "Start the workflows of all taskings on the stack that do not run, and carry out the orders that failed",
		Long: `Start the workflows of all taskings on the stack that do not run, after a Temporal service was lost, and carry out the
orders of the approved stack that failed. One that fails again keeps nobody from the others.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, cfg, st, err := connect(cmd.Context())
			if err != nil {
				return err
			}
			defer closeBoth(c, st)
			return resume(cmd.Context(), c, cfg, st, cmd.OutOrStdout())
		},
	}
}

func resume(ctx context.Context, c client.Client, cfg config.Config, st *store.Store, out io.Writer) error {
	references, err := casework.Marked(ctx, st)
	if err != nil {
		return err
	}
	var faults []error
	for _, r := range references {
		if err := flows.ResumeTasking(ctx, c, cfg.Deployment, cfg.TaskQueue, r); err != nil {
			faults = append(faults, fmt.Errorf("tasking %s: %w", r, err))
		}
	}
	running := len(references) - len(faults)
	say(out, "%s %s.\n", text.Count(running, "tasking"), text.Noun(running, "runs", "run"))
	done, still, err := tasking.SendAgain(ctx, st, flows.SendOrder(c, cfg.Deployment, cfg.TaskQueue))
	if err != nil {
		return err
	}
	if done > 0 {
		say(out, "%s that had failed %s carried out.\n", text.Count(done, "order"), text.Noun(done, "is", "are"))
	}
	for _, f := range still {
		faults = append(faults, fmt.Errorf("the order to tasking %s of %s fails again: %s", f.Reference, f.Team, f.Why))
	}
	return errors.Join(faults...)
}

// answer is one of the things that a team says of a tasking.
type answer struct {
	name, short, example, do string
	flags                    func(cmd *cobra.Command, r *schemas.TaskingRequest)
}

var answers = []answer{
	{
		"ack",
		"Acknowledge a tasking: the team takes it on",
		`  starter ack k7qd-2m4x-9w3t-c5hn --team Hackney --by "PS B. Officer 4321"`,
		schemas.DoAcknowledge,
		nil,
	},
	{
		"progress",
		"Note what has been done about a tasking",
		`  starter progress k7qd-2m4x-9w3t-c5hn --team Hackney --by "PS B. Officer 4321" --note "Arrest planned for Tuesday"`,
		schemas.DoProgress,
		nil,
	},
	{
		"outcome",
		"Close a tasking with its outcome",
		`  starter outcome k7qd-2m4x-9w3t-c5hn --team Hackney --by "PS B. Officer 4321" --outcome charged`,
		schemas.DoClose,
		func(cmd *cobra.Command, r *schemas.TaskingRequest) {
			cmd.Flags().StringVar(&r.Outcome, "outcome", "", "`one` of "+strings.Join(schemas.Outcomes, ", "))
			required(cmd, "outcome")
		},
	},
	{
		"transfer",
		"Hand a tasking to another borough, or to the central desk",
		`  starter transfer k7qd-2m4x-9w3t-c5hn --team Hackney --by "PS B. Officer 4321" --to Barnet --note "Moved to Barnet in June"`,
		schemas.DoTransfer,
		func(cmd *cobra.Command, r *schemas.TaskingRequest) {
			cmd.Flags().StringVar(&r.To, "to", "", "the `borough` that takes it over")
			required(cmd, "to")
		},
	},
}

func answerCommand(a answer) *cobra.Command {
	var r schemas.TaskingRequest
	var asJSON bool
	cmd := &cobra.Command{
		Use:     a.name + " TASKING",
		GroupID: groupTask,
		Short:   a.short,
		Example: a.example,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := answerAnywhere(cmd.Context(), a, taskingReference(args[0]), r, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), t)
			}
			say(cmd.OutOrStdout(), "Tasking %s, with %s. %s.\n", t.Reference, t.Team, digest.StateText(&t))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Team, "team", "", "the `team` you speak for: needed where no desk knows, or of several teams")
	f.StringVar(&r.By, "by", "", byUsage)
	f.StringVar(&r.Note, "note", "", "what there is to say")
	f.BoolVar(&asJSON, "json", false, "print the tasking as JSON")
	if a.flags != nil {
		a.flags(cmd, &r)
	}
	return cmd
}

// answerAnywhere sends a team's answer through the desk where there is one, else straight.
func answerAnywhere(
	ctx context.Context,
	a answer,
	reference string,
	r schemas.TaskingRequest,
	progress io.Writer,
) (t schemas.Tasking, err error) {
	g, err := theDesk(ctx)
	if err != nil {
		return t, err
	}
	if g != nil {
		if err := byDesk(r.By); err != nil {
			return t, err
		}
		call := desk.AnswerCall{Team: r.Team, Note: r.Note, Outcome: r.Outcome, To: r.To}
		return t, g.call(ctx, http.MethodPost, taskingPath(reference)+"/"+a.do, call, &t)
	}
	c, cfg, st, err := connect(ctx)
	if err != nil {
		return t, err
	}
	defer closeBoth(c, st)
	if err := r.Validate(a.do); err != nil {
		return t, err
	}
	return sendAnswer(ctx, c, cfg, st, a, reference, r, progress)
}

// sendAnswer sends a team's answer, and says on progress what keeps it from being recorded. The same answer to a
// tasking that has not changed since has the same key, so that a double click does no harm.
func sendAnswer(
	ctx context.Context,
	c client.Client,
	cfg config.Config,
	st *store.Store,
	a answer,
	reference string,
	r schemas.TaskingRequest,
	progress io.Writer,
) (t schemas.Tasking, err error) {
	to := where(c, cfg, st)
	id := to.TaskingID(reference)
	l, err := newLooker(c, cfg)
	if err == nil {
		err = readable(ctx, c, cfg, id, "")
	}
	if err != nil {
		return t, err
	}
	var unread flows.Unread
	l.while(ctx, id, "", progress, func() { t, unread, err = to.Answer(ctx, a.do, reference, r, 0) })
	if unread != nil {
		say(progress, "What came back could not be read (%s), but the answer is recorded.\n", oneLine(unread))
	}
	return t, err
}

func teamsCommand() *cobra.Command {
	var example, asJSON bool
	cmd := &cobra.Command{
		Use:     "teams",
		GroupID: groupTask,
		Short:   "Show who is told of what, or print a file to start from",
		Example: `  starter teams --example > teams.yaml
  HARMSTACK_TEAMS=teams.yaml starter teams`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if example {
				_, err := cmd.OutOrStdout().Write(teams.Example())
				return err
			}
			who, err := loadTeams()
			if err != nil {
				return err
			}
			all := append(append(who.Owners(), who.Specialists()...), who.Desk())
			if desk, ok := who.Restricted(); ok {
				all = append(all, desk)
			}
			if asJSON {
				type line struct {
					Team    string   `json:"team"`
					BCU     string   `json:"bcu,omitempty"`
					Mail    []string `json:"mail"`
					Webhook bool     `json:"webhook"`
				}
				lines := make([]line, len(all))
				for i, p := range all {
					lines[i] = line{p.Name, p.BCU, p.Mail, p.Webhook != nil}
				}
				return printJSON(cmd.OutOrStdout(), lines)
			}
			rows := [][]string{{"TEAM", "BCU", "MAIL", "WEBHOOK"}}
			for _, p := range all {
				hook := ""
				if p.Webhook != nil {
					hook = "yes"
				}
				rows = append(rows, []string{p.Name, p.BCU, strings.Join(p.Mail, ", "), hook})
			}
			return table(cmd.OutOrStdout(), rows)
		},
	}
	cmd.Flags().BoolVar(&example, "example", false, "print a complete YAML file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
