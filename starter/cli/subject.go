package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"harmstack/activities/messages/digest"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/subject"
	"harmstack/schemas/text"
	"harmstack/worker/config"
)

func subjectCommand() *cobra.Command {
	var why string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "subject SUSPECT",
		GroupID: groupLook,
		Short:   "Everything that is held and was done about one person",
		Long: `Show everything that is held about one person and was done about them: the nights that name them, their rows, positions
and changes, taskings, messages, and who looked. The person is named by any of their ids, as suspect or as victim. What
was disposed of is said to be. It reads every night whole: give it time. --json has every row.

Whose pseudonyms they are follows from HARMSTACK_PSEUDONYM_KEY. That somebody asked is noted in the log, with --why.`,
		Example: `  starter subject P-1234567 --why "a request to see what is held, ref 26/118" --json > held.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			hide, err := config.LoadPseudonym(os.Getenv)
			if err == nil && hide == nil {
				err = errors.New("HARMSTACK_PSEUDONYM_KEY: give the key, by which taskings, messages and the log name people")
			}
			if err != nil {
				return err
			}
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			if err := askWhy(cmd, &why); err != nil {
				return err
			}
			h, err := subject.Find(ctx, st, hide, args[0])
			if err != nil {
				return err
			}
			err = audit.Append(ctx, st, audit.Entry{At: now(), Operation: audit.Consultation, Actor: audit.Claims(whoami()),
				Did: "looked at everything about one person", On: audit.Object{Pseudonyms: h.Pseudonyms}, Why: why})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(out, h)
			}
			return printHeld(cmd, h)
		},
	}
	storeFlag(cmd)
	whyFlag(cmd, &why)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: every row")
	return cmd
}

func printHeld(cmd *cobra.Command, h subject.Held) error {
	out := cmd.OutOrStdout()
	say(out, "%s: %s. In taskings, messages and the log: %s.\n\n", text.Noun(len(h.IDs), "The id", "The ids"),
		strings.Join(h.IDs, ", "), strings.Join(h.Pseudonyms, ", "))
	rows := [][]string{{"NIGHT", "STATUS", "POSITION", "SCORE DAYS", "ON THE STACK", "CHANGE", "ROWS AS SUSPECT", "AS VICTIM", "NOT READ"}}
	for _, n := range h.Nights {
		var positions, days, changes []string
		for _, r := range n.Ranked {
			positions, days = append(positions, fmt.Sprint(r.Position)), append(days, text.DaysTenth(r.ScoreDays))
		}
		for _, c := range n.Changes {
			changes = append(changes, c.Kind)
		}
		rows = append(rows, []string{n.NightID.String(), n.Status, strings.Join(positions, ", "), strings.Join(days, ", "),
			map[bool]string{true: "yes"}[n.OnStack], strings.Join(changes, ", "), fmt.Sprint(len(n.AsSuspect)),
			fmt.Sprint(len(n.AsVictim)), fmt.Sprint(n.Quarantined)})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	for _, t := range h.Taskings {
		say(out, "\nTasking %s, with %s. %s. %s.\n", t.Reference, t.Team, digest.StateText(t), text.Count(len(t.Events), "event"))
	}
	say(out, "\n%s about them alone.\n\n", text.Count(len(h.Messages), "message"))
	rows = [][]string{{"AT", "OPERATION", "WHO", "HOW SURE", "DID", "OUTCOME", "WHY"}}
	for _, e := range h.Log {
		rows = append(rows, []string{londonMinute(e.At), string(e.Operation), e.Actor.Name, e.Actor.Verified, e.Did, e.Outcome, e.Why})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	for _, l := range h.Lacking {
		say(out, "Not told: %s.\n", l)
	}
	return nil
}
