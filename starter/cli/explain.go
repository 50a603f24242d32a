package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights/casefile"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/worker/config"
)

func explainCommand() *cobra.Command {
	return explanationCommand(
		&cobra.Command{
			Use:   "explain SUSPECT",
			Short: "Show why a suspect stands where they do: every allegation, what it adds, and what would be without it",
			Long: `Show why a suspect stands where they do in the ranking of a night: every scored allegation, its weight,
age and share, and the position without it; when age alone takes them below the cut; under which
models they are among the first; and what the rest of their case says.
Name the suspect by id, also by one that was merged into theirs, or by position in the ranking: #12. Of somebody who is not on the stack the
rows that the night kept are read.`,
			Example: `  starter explain '#1' --why "briefing of 1 July"
  starter explain S-3F9K2Q --as-of 2026-06-30 --json --why "request of Hackney"`,
		},
		"looked at position %d",
		printExplanation,
	)
}

func caseCommand() *cobra.Command {
	return explanationCommand(
		&cobra.Command{
			Use:   "case SUSPECT",
			Short: "Show every row that names a suspect, as suspect or as victim, and what became of it",
			Long: `Show every row read that names a suspect, as suspect or as victim, in time order: also those that do not
count, and why. Name the suspect by id, or by position in the ranking: #12.`,
			Example: `  starter case '#1' --why "briefing of 1 July"
  starter case S-3F9K2Q --as-of 2026-06-30 --json --why "request of Hackney"`,
		},
		"looked at the case of position %d",
		printCase,
	)
}

// explanationCommand shows one suspect's explanation, or part of it. did is what the log says, by position: it holds no id.
func explanationCommand(
	cmd *cobra.Command,
	did string,
	show func(out io.Writer, night schemas.NightID, e *pipeline.Explanation) error,
) *cobra.Command {
	var night nightFlags
	var asJSON bool
	var why, team string
	cmd.GroupID = groupLook
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, e, err := explainAnywhere(cmd, night, args[0], team, why, did)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), e)
		}
		return show(cmd.OutOrStdout(), id, &e)
	}
	storeFlag(cmd)
	night.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the whole explanation, with the case")
	whyFlag(cmd, &why)
	cmd.Flags().StringVar(&team, "team", "", "the `team` you speak for, where no desk knows: who is restricted is shown to their own")
	return cmd
}

// explainAnywhere asks the desk, or looks at the store and notes the look.
func explainAnywhere(
	cmd *cobra.Command, night nightFlags, name, team, why, did string,
) (id schemas.NightID, e pipeline.Explanation, err error) {
	ctx := cmd.Context()
	g, err := lookingDesk(cmd)
	if err != nil {
		return id, e, err
	}
	if g != nil {
		if team != "" {
			return id, e, errTeamKnown
		}
		if err := askWhy(cmd, &why); err != nil {
			return id, e, err
		}
		return g.explain(ctx, night, name, why)
	}
	st, m, err := night.open(cmd)
	if err != nil {
		return id, e, err
	}
	defer st.Close()
	if err := askWhy(cmd, &why); err != nil {
		return id, e, err
	}
	n := pipeline.Night{NightID: m.NightID, Store: st, Threads: scoring.Threads(), Temp: tempDir(),
		HideRestricted: !speaksForRestricted(team)}
	own, err := config.LoadTables(os.Getenv)
	if err != nil {
		return id, e, err
	}
	if n.Tables, n.Model, err = basisAtHand(m, own); err != nil {
		return id, e, err
	}
	if e, err = n.Explain(ctx, m, name); err != nil {
		return id, e, err
	}
	did = fmt.Sprintf(did, e.Suspect.Position)
	if !n.HideRestricted {
		did += ", for " + teams.RestrictedDesk
	}
	return m.NightID, e, look(ctx, st, did, m.NightID, why, e.Suspect.SuspectID)
}

// whyFlag takes the reason for which somebody looks at people by their ids.
func whyFlag(cmd *cobra.Command, why *string) {
	cmd.Flags().StringVar(why, "why", "", "why you look: the `reason` goes into the log")
}

// askWhy asks for the reason at a terminal, when none was given. Without one nothing is shown.
func askWhy(cmd *cobra.Command, why *string) error {
	if in, ok := cmd.InOrStdin().(*os.File); ok && strings.TrimSpace(*why) == "" {
		if info, err := in.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprint(cmd.ErrOrStderr(), "Why do you look? It goes into the log: ")
			*why, _ = bufio.NewReader(in).ReadString('\n')
		}
	}
	*why = strings.TrimSpace(*why)
	if *why == "" {
		return errors.New("--why: say why you look at somebody; the reason goes into the log")
	}
	return schemas.CheckText("why", *why, schemas.MaxReason)
}

func printExplanation(out io.Writer, night schemas.NightID, e *pipeline.Explanation) error {
	s := &e.Suspect
	say(
		out,
		"Night of %s, revision %d: position %d, rank %d%s, %s from %s.\n",
		night.AsOf,
		night.Revision,
		s.Position,
		s.Rank,
		ties(s.TieSize),
		text.CountDays(s.ScoreDays, "score day"),
		text.CountDays(s.SumDays, "harm day"),
	)
	say(
		out,
		"%s in %s, %s. %s.%s\n",
		text.Count(s.Allegations, "allegation"),
		text.Count(s.Reports, "report"),
		text.Count(s.Victims, "victim"),
		map[bool]string{true: "On the stack", false: "Not on the stack"}[e.OnStack],
		alsoVictim(*s),
	)
	for _, line := range []string{e.Ageing(), e.Among()} {
		if line != "" {
			say(out, "%s\n", line)
		}
	}
	say(out, "\n")
	if err := table(out, explainedRows(e.Contributions)); err != nil {
		return err
	}
	if err := printNotCounted(out, e.Case); err != nil {
		return err
	}
	printFile(out, e.Case)
	for _, line := range e.Lacking {
		say(out, "\nNot told: %s\n", line)
	}
	return nil
}

func explainedRows(list []pipeline.Explained) [][]string {
	rows := [][]string{{"ALLEGATION", "REPORTED", "AGE", "OFFENCE", "HARM DAYS", "RECENCY", "FREQUENCY", "SHARE", "LEAVES ON",
		"WITHOUT IT", "BOROUGH", "OUTCOME", "WEIGHT BY"}}
	for _, c := range list {
		frequency := "-" // set aside by the model, or of a night that did not tell
		if c.FrequencyPPM > 0 {
			frequency = fmt.Sprintf("%.1f", float64(c.FrequencyPPM)/schemas.PPM)
		}
		without := "-"
		if c.Without != nil {
			without = "#" + strconv.FormatInt(*c.Without, 10)
		}
		rows = append(rows, []string{
			c.AllegationID, londonDay(c.ReportedAt), fmt.Sprintf("%3d", c.Age), c.OffenceCode + " " + short(c.Offence, 48),
			fmt.Sprintf("%9s", text.DaysTenth(c.HarmDays)), fmt.Sprintf("%.3f", float64(c.RecencyPPM)/schemas.PPM), frequency,
			fmt.Sprintf("%5.1f %%", 100*c.Share), c.LeavesOn, without, orDash(c.Borough), c.Outcome, c.WeightRule,
		})
	}
	return rows
}

// printNotCounted tells of the rows against the suspect that are not scored, and why.
func printNotCounted(out io.Writer, f casefile.File) error {
	rows := [][]string{{"ALLEGATION", "REPORTED", "OFFENCE", "SOURCE", "OUTCOME", "WHY NOT"}}
	for i := range f.Rows {
		if c := &f.Rows[i]; c.Role == schemas.RoleSuspect && !c.Counted() {
			rows = append(rows, []string{orDash(c.AllegationID), day(c.ReportedAt), orDash(c.OffenceCode), orDash(c.Source), orDash(c.Outcome), words(c.Disposition)})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	say(out, "\nAlleged too, and not counted:\n")
	return table(out, rows)
}

// printFile tells what the rows of a case say together.
func printFile(out io.Writer, f casefile.File) {
	for _, c := range f.Counters {
		say(out, "\nCounter-allegation, with %s: %s.\n", c.With, c.Sequence())
		for i := range c.Rows {
			r := &c.Rows[i]
			say(out, "  %s  %s, %s: %s %s, %s\n", day(r.ReportedAt), orDash(r.AllegationID), casefile.Direction(r.Role), orDash(r.OffenceCode), orDash(r.Outcome), words(r.Disposition))
		}
	}
	for _, line := range f.SharedWords() {
		say(out, "\n%s.\n", line)
	}
	if len(f.Withdrawn) > 0 {
		say(out, "\nThe victim does not support the case: %s. To be met again, by a specialist.\n", strings.Join(casefile.Allegations(f.Withdrawn), ", "))
	}
}

func printCase(out io.Writer, night schemas.NightID, e *pipeline.Explanation) error {
	say(out, "Night of %s, revision %d: %s, position %d, %s.\n\n", night.AsOf, night.Revision, e.Suspect.SuspectID, e.Suspect.Position,
		text.Count(len(e.Case.Rows), "row"))
	rows := [][]string{{"ROLE", "REPORTED", "ALLEGATION", "REPORT", "OTHER", "OFFENCE", "SOURCE", "OUTCOME", "BOROUGH", "HANDLING", "DISPOSITION", "HARM DAYS", "SHARE"}}
	for i := range e.Case.Rows {
		c := &e.Case.Rows[i]
		harm, share := "", ""
		if c.HarmDays != nil {
			harm, share = fmt.Sprintf("%9s", text.DaysTenth(*c.HarmDays)), fmt.Sprintf("%5.1f %%", 100**c.Share)
		}
		disposition := words(c.Disposition)
		if c.OlderStands {
			disposition += ", an older version"
		}
		rows = append(rows, []string{c.Role, day(c.ReportedAt), orDash(c.AllegationID), orDash(c.ReportID), orDash(c.OtherID), orDash(c.OffenceCode),
			orDash(c.Source), orDash(c.Outcome), orDash(c.Borough), orDash(c.Handling), disposition, harm, share})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	printFile(out, e.Case)
	for _, line := range e.Lacking {
		say(out, "\nNot told: %s\n", line)
	}
	return nil
}

// day shows an instant that may be null as a London date.
func day(micros *int64) string {
	if micros == nil {
		return "-"
	}
	return londonDay(*micros)
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }
