package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/verify"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

func verifyCommand() *cobra.Command {
	var against []string
	var adopt, asJSON bool
	var why string
	cmd := &cobra.Command{
		Use:     "verify",
		GroupID: groupLook,
		Short:   "Is everything in the store what was written to it?",
		Long: `Verify the whole store: every artefact by its manifest's sha256; manifests, decisions, approvals, plans, taskings and
messages by their signatures (HARMSTACK_SIGNED_BY) and by each other; all of them by the audit log, and the log by its
chain and by checkpoints that were kept elsewhere. Names each file that differs, and ends with an error. The watch does
the same every morning, but for the artefacts of older nights, whose sizes it compares.

--adopt takes the records that bear no signature for those from before anything was signed, once, when signing begins
in a store that is in use: look at them first. It needs HARMSTACK_SIGNING_KEY and is noted in the log.`,
		Example: `  starter verify
  starter verify --against checkpoint.txt
  starter verify --adopt --why "signing begins today; the store was in our hands alone"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			if adopt != (schemas.TrimSpace(why) != "") {
				return errors.New("give --adopt and --why together")
			}
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			if adopt {
				n, err := verify.Adopt(ctx, st, audit.Claims(whoami()), schemas.TrimSpace(why), now())
				if err == nil {
					say(out, "%s without a signature taken for old.\n", text.Count(n, "record is", "records are"))
				}
				return err
			}
			checkpoints, err := loadCheckpoints(ctx, st, against)
			if err != nil {
				return err
			}
			r, err := verify.Store(ctx, st, verify.Options{Now: now(), Checkpoints: checkpoints})
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(out, r); err != nil {
					return err
				}
				if len(r.Problems) > 0 {
					return fmt.Errorf("%s not as written", text.Count(len(r.Problems), "thing is", "things are"))
				}
				return nil
			}
			if len(r.Problems) > 0 {
				return problems(out, r.Problems)
			}
			say(out, "Everything is as it was written: %s, %s (%s), %s and an audit log of %s; %s, and %s agreed.\n",
				text.Count(r.Nights, "night"), text.Count(r.Artefacts, "artefact"), text.Count(r.Bytes, "byte"),
				text.Count(r.Records, "record"), text.Count(r.Entries, "entry", "entries"), signatures(st),
				text.Count(len(checkpoints), "checkpoint"))
			return nil
		},
	}
	storeFlag(cmd)
	againstFlag(cmd, &against)
	cmd.Flags().BoolVar(&adopt, "adopt", false, "take what bears no signature for older than signing")
	cmd.Flags().StringVar(&why, "why", "", "the `reason` for --adopt")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
