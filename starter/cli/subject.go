package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/messages/digest"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/subject"
	"harmstack/schemas/text"
	"harmstack/worker/config"
)

func subjectCommand() *cobra.Command {
	var why string
	var asJSON, erase, yes bool
	cmd := &cobra.Command{
		Use:     "subject SUSPECT",
		GroupID: groupLook,
		Short:   "Everything that is held and was done about one person, and how to erase it",
		Long: `Show everything that is held about one person and was done about them: the nights that name them, their rows, positions
and changes, taskings, messages, and who looked. The person is named by any of their ids, as suspect or as victim. What
was disposed of is said to be. It reads every night whole: give it time. --json has every row.

Whose pseudonyms they are follows from HARMSTACK_PSEUDONYM_KEY. That somebody asked is noted in the log, with --why.

--erase erases them: every file of every night that names them, under any of their ids, is written anew without their
rows; where somebody else is alleged to have harmed them, the row stays without their id. A signed record of old and new
hashes stands in the night's folder, by which starter verify goes. Others stay at the positions that were published.
Taskings, the ledger and the log keep the pseudonym alone. Messages in the outbox that name them go. It says first what
it will change, and asks; --yes answers. One that breaks off is ended by the same command. It needs the worker's
HARMSTACK_SIGNING_KEY. Erase them from the source first: the next night reads what that has.`,
		Example: `  starter subject P-1234567 --why "the court's order of 3 May" --erase
  starter subject P-1234567 --why "a request to see what is held, ref 26/118" --json > held.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			keys, err := config.LoadPseudonyms(os.Getenv)
			if err == nil && keys == nil {
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
			names, err := config.Names(ctx, st, keys)
			if err != nil {
				return err
			}
			if err := askWhy(cmd, &why); err != nil {
				return err
			}
			if erase {
				return erasePerson(cmd, st, names, args[0], why, yes)
			}
			h, err := subject.Find(ctx, st, names, args[0])
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
	cmd.Flags().BoolVar(&erase, "erase", false, "erase the person from every file")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before erasing")
	return cmd
}

// erasePerson says what will be changed, asks, and erases somebody.
func erasePerson(cmd *cobra.Command, st *store.Store, names pseudonym.Names, id, why string, yes bool) error {
	ctx, out, outbox := cmd.Context(), cmd.OutOrStdout(), os.Getenv("HARMSTACK_OUTBOX")
	ids, err := subject.IDs(ctx, st, id)
	if err != nil {
		return err
	}
	ids, begun, err := subject.Known(ctx, st, ids)
	if err == nil {
		err = subject.Allowed(st, ids, why)
	}
	if err != nil {
		return err
	}
	will, err := subject.Preview(ctx, st, names, ids, outbox)
	if err != nil {
		return err
	}
	if len(will.Files)+will.Messages == 0 && !begun {
		fmt.Fprintln(out, "No file names them. Nothing was changed.")
		return nil
	}
	if begun {
		fmt.Fprintln(out, "Erasing them was begun and has not ended. What is left:")
	}
	err = audit.Append(ctx, st, audit.Entry{At: now(), Operation: audit.Consultation, Actor: audit.Claims(whoami()),
		Did: "looked at what erasing one person would change", On: audit.Object{Pseudonyms: names.All(ids)}, Why: why})
	if err != nil {
		return err
	}
	rows := [][]string{{"NIGHT", "FILE", "ROWS THAT GO", "ROWS THAT STAY WITHOUT THE ID"}}
	for _, f := range will.Files {
		rows = append(rows, []string{f.Night.String(), f.File, text.Number(f.Removed), text.Number(f.Blanked)})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	say(out, "%s of %s, %s in the outbox; %s of work go whole. It cannot be undone.\n", text.Count(len(will.Files), "file"),
		text.Count(will.Nights(), "night"), text.Count(will.Messages, "message"), text.Count(will.Work, "file"))
	if !yes {
		if err := confirm(cmd, "Erase them? Type yes: "); err != nil {
			return err
		}
	}
	done, err := subject.Erase(ctx, st, names, ids, subject.Erasing{By: audit.Claims(whoami()), Why: why, Now: now(), Outbox: outbox})
	if err != nil {
		return err
	}
	say(out, "Erased one person from %s of %s. `starter verify` goes by the records of it. Backups still hold them.\n",
		text.Count(len(done.Files), "file"), text.Count(done.Nights(), "night"))
	return nil
}

// confirm asks at a terminal, and refuses elsewhere.
func confirm(cmd *cobra.Command, question string) error {
	refused := errors.New("nothing was changed: give --yes, or type yes at a terminal")
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok {
		return refused
	}
	if info, err := in.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return refused
	}
	fmt.Fprint(cmd.ErrOrStderr(), question)
	if answer, _ := bufio.NewReader(in).ReadString('\n'); strings.TrimSpace(answer) != "yes" {
		return refused
	}
	return nil
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
