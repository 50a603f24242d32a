package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"harmstack/activities/retention"
	"harmstack/schemas/text"
	"harmstack/worker/config"
)

func retentionCommand() *cobra.Command {
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:     "retention",
		GroupID: groupNight,
		Short:   "Dispose of what is over its time, and keep the record that it was",
		Long: `Dispose of what is over its time, as the schedule does every morning. HARMSTACK_KEEP_EXTRACTS is for how many
days after a night's date the rows as read are kept, HARMSTACK_KEEP_NIGHTS for how many the whole night; without
them everything is kept. The manifest, the decision and a record of what went, when and under which rule stay.

HARMSTACK_KEEP_TASKINGS is for how many days taskings are kept after they ended, plans and receipts after their night's
date, and messages in the ledger after they were sent: six years (2192) where nights are kept for a time and it says
nothing. Messages in the outbox go with the nights. Of all that a signed record of names and hashes stays (disposals/).

The approved stack, a night that waits for its decision, what either was compared with, the newest night and whatever
is younger than a week never go; nor does a tasking that is open or on the stack, nor what the ledger has about it.`,
		Example: `  starter retention --dry-run
  HARMSTACK_KEEP_EXTRACTS=90 HARMSTACK_KEEP_NIGHTS=400 starter retention --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules, err := config.LoadRetention(os.Getenv)
			if err != nil {
				return err
			}
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			gone, err := retention.Dispose(cmd.Context(), st, rules, now(), dryRun)
			if err == nil && !dryRun {
				err = retention.Clean(cmd.Context(), st, now())
			}
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return printJSON(out, gone)
			}
			say(out, "Rows as read are kept %s, nights %s, taskings %s.\n", keptFor(rules.Extract), keptFor(rules.Night),
				keptFor(rules.Tasking))
			if len(gone) == 0 {
				fmt.Fprintln(out, "Nothing is over its time.")
				return nil
			}
			rows := [][]string{{"WHAT", "FILES", "BYTES", "RULE"}}
			for _, g := range gone {
				rows = append(rows, []string{g.Of(), text.Number(g.Files), text.Number(g.Bytes), g.Rule})
			}
			if err := table(out, rows); err != nil {
				return err
			}
			if dryRun {
				fmt.Fprintln(out, "A dry run: nothing was deleted.")
			}
			return nil
		},
	}
	storeFlag(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would go")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// keptFor says for how long something is kept.
func keptFor(n int) string {
	if n == 0 {
		return "for ever"
	}
	return "for " + text.Count(n, "day")
}
