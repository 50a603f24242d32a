package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/schemas/text"
	"harmstack/worker/config"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "audit",
		GroupID: groupLook,
		Short:   "Who did what, to what, and why: the log, and whether it is whole",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(auditListCommand(), auditVerifyCommand(), auditCheckpointCommand(), auditKeyCommand())
	return cmd
}

func auditListCommand() *cobra.Command {
	var filter audit.Filter
	var asCSV, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the log: collections, alterations, looks, messages, combinations, erasures",
		Long: `List the audit log, oldest first. Suspects stand in it by pseudonym only. An actor is attested (signed in, and checked),
claimed (a name that was given) or the system. A log that was tampered with is listed as far as it can be read, and ends
with an error.`,
		Example: `  starter audit list --night 2026-06-30
  starter audit list --subject k7qd-2m4x-9w3t-c5hn --csv
  starter audit list --who example --from 2026-06-01 --to 2026-06-30`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			filter.Subject = taskingReference(filter.Subject)
			log, err := audit.Examine(cmd.Context(), st)
			if err != nil {
				return err
			}
			chosen := []audit.Entry{}
			rows := [][]string{{"NUMBER", "AT", "OPERATION", "WHO", "HOW SURE", "DID", "ON", "OUTCOME", "WHY", "TO"}}
			for _, e := range log.Entries {
				if !filter.Takes(e) {
					continue
				}
				chosen = append(chosen, e)
				rows = append(rows, []string{
					fmt.Sprint(e.Number), londonMinute(e.At), string(e.Operation), e.Actor.Name, e.Actor.Verified, e.Did,
					e.On.String(), e.Outcome, e.Why, strings.Join(e.To, " "),
				})
			}
			out := cmd.OutOrStdout()
			switch {
			case asJSON:
				err = printJSON(out, chosen)
			case asCSV:
				err = spreadsheet(out, rows)
			default:
				err = table(out, rows)
			}
			if err == nil && len(log.Problems) > 0 {
				err = fmt.Errorf("the log was tampered with: %w: `starter audit verify` lists all", log.Problems[0])
			}
			return err
		},
	}
	storeFlag(cmd)
	cmd.Flags().StringVar(&filter.Who, "who", "", "those of one `name`, or a part of it")
	cmd.Flags().StringVar(&filter.Subject, "subject", "", "those about one suspect, by `pseudonym`")
	cmd.Flags().StringVar(&filter.Night, "night", "", "those about one `night`, 2026-06-30 or 2026-06-30-r1")
	cmd.Flags().Var(dateFlag{&filter.From}, "from", "from this `date` on, in London")
	cmd.Flags().Var(dateFlag{&filter.To}, "to", "up to this `date`")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print CSV for a spreadsheet")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("csv", "json")
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var against []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Find entries of the log that were changed, removed, cut off or made up",
		Long: `Find entries of the log that were changed, removed or made up, by its chain of hashes and, with HARMSTACK_SIGNED_BY, by
their signatures. What was cut off at its end, and a log that was rewritten whole, only a checkpoint tells that was kept
elsewhere: give the mail in which one came, and those in the store that HARMSTACK_CHECKPOINTS names are read by
themselves.`,
		Example: `  starter audit verify
  starter audit verify --against checkpoint.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			checkpoints, err := loadCheckpoints(cmd.Context(), st, against)
			if err != nil {
				return err
			}
			log, err := audit.Examine(cmd.Context(), st)
			if err != nil {
				return err
			}
			for _, c := range checkpoints {
				if p := log.Against(c); p != nil {
					log.Problems = append(log.Problems, *p)
				}
			}
			out := cmd.OutOrStdout()
			if len(log.Problems) > 0 {
				return problems(out, log.Problems)
			}
			say(out, "The audit log of %s is unbroken, %s, and goes on from %s.\n", text.Count(len(log.Entries), "entry", "entries"),
				signatures(st), text.Count(len(checkpoints), "checkpoint"))
			return nil
		},
	}
	storeFlag(cmd)
	againstFlag(cmd, &against)
	return cmd
}

// signatures says whether they were checked.
func signatures(st *store.Store) string {
	if st.Keys.Checks() {
		return "its signatures hold"
	}
	return "its signatures NOT checked, for HARMSTACK_SIGNED_BY names no key"
}

func againstFlag(cmd *cobra.Command, against *[]string) {
	cmd.Flags().StringArrayVar(against, "against", nil, "`file` with a checkpoint of the log, such as a mail; may be given again")
}

// problems prints what is not as it was written, and is the error that counts it.
func problems(out interface{ Write([]byte) (int, error) }, all []audit.Problem) error {
	rows := [][]string{{"FILE", "WHAT"}}
	for _, p := range all {
		rows = append(rows, []string{p.File, p.What})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	return fmt.Errorf("%s not as written: keep the store as it is, and find out who could write to it",
		text.Count(len(all), "thing is", "things are"))
}

// loadCheckpoints reads those of files, and those of the second store.
func loadCheckpoints(ctx context.Context, st *store.Store, files []string) (all []sign.Checkpoint, err error) {
	second := os.Getenv("HARMSTACK_CHECKPOINTS")
	if len(files) == 0 && second == "" {
		return nil, nil
	}
	if !st.Keys.Checks() {
		return nil, errors.New("HARMSTACK_SIGNED_BY: give the public keys by which checkpoints are signed")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		c, err := st.Keys.OpenCheckpoint(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, c)
	}
	if second == "" {
		return all, nil
	}
	kept, err := audit.Kept(ctx, second, st.Keys)
	return append(all, kept...), err
}

func auditCheckpointCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print a signed checkpoint of the log, to be kept elsewhere",
		Long: `Print how long the log is and its last entry's hash, signed with HARMSTACK_SIGNING_KEY, in the format of C2SP's
tlog-checkpoint. Kept where nobody who can write to the store can reach, it tells later whether the log was cut off or
rewritten.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			checkpoint, err := audit.Checkpoint(cmd.Context(), st)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(checkpoint)
			}
			return err
		},
	}
	storeFlag(cmd)
	return cmd
}

func auditKeyCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key of HARMSTACK_SIGNING_KEY, or a new pair",
		Long: `Print the line for HARMSTACK_SIGNED_BY that belongs to HARMSTACK_SIGNING_KEY. Without that variable, make a new key and
print both: the first goes to the worker alone, the second to everybody who checks.`,
		Example: `  starter audit key --name worker-2026`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			seed, err := config.SigningSeed(os.Getenv)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if seed == "" || seed == sign.None {
				raw := make([]byte, ed25519.SeedSize)
				rand.Read(raw)
				seed = base64.StdEncoding.EncodeToString(raw)
				say(out, "HARMSTACK_SIGNING_KEY=%s\n", seed)
			}
			raw, err := base64.StdEncoding.DecodeString(seed)
			if err != nil || len(raw) != ed25519.SeedSize {
				return errors.New("HARMSTACK_SIGNING_KEY: give 32 random bytes in base64")
			}
			line := name + "=" + sign.Public(ed25519.NewKeyFromSeed(raw))
			if _, err := sign.Parse(seed, line); err != nil {
				return err
			}
			say(out, "HARMSTACK_SIGNED_BY=%s\n", line)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "worker", "the key's `name` in signatures: a new one for each key")
	return cmd
}
