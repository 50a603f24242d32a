package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/store"
	"harmstack/activities/store/seal"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/worker/config"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "keys",
		GroupID: groupNight,
		Short:   "Change the key that seals the store, or the one of pseudonyms; or seal a plain store",
		Long: `The files of a store are sealed under data keys: of each night two (its rows as read, and the rest), of the
taskings one a month, and one for every other folder. They lie in its folder keys, wrapped by the key that
HARMSTACK_STORE_KEY names.`,
	}
	cmd.AddCommand(rotateCommand(), sealCommand(), rotatePseudonymsCommand())
	return cmd
}

func sealCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "seal",
		Short: "Seal a store of an earlier version, whose files are plain",
		Long: `Write every file of a plain store anew, sealed under the key that HARMSTACK_STORE_KEY names. Stop the workers
first: from its beginning to its end nobody can use the store. One that breaks off is completed by the same command.
What the disk or a bucket's versions keep of the plain files, and backups of them, stay readable: do away with them.`,
		Example: `  HARMSTACK_STORE_KEY=file:///etc/harmstack/store.key starter keys seal`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, st, err := openPlace(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, st.Close()) }()
			if cfg.StoreKey == seal.None {
				return errors.New("HARMSTACK_STORE_KEY: name the key under which the store is to be sealed")
			}
			n, err := st.SealPlain(cmd.Context(), cfg.StoreKey, func(n, of int) {
				if n%1000 == 0 {
					say(cmd.ErrOrStderr(), "%s of %s\n", text.Number(n), text.Count(of, "file"))
				}
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(
				cmd.OutOrStdout(),
				"%s sealed. Start the workers with the same HARMSTACK_STORE_KEY.\n",
				text.Count(n, "file was", "files were"),
			)
			return err
		},
	}
}

// openPlace opens the deployment's store without unlocking it.
func openPlace(ctx context.Context) (config.Config, *store.Store, error) {
	cfg, err := config.LoadPlace(os.Getenv)
	if err != nil {
		return cfg, nil, err
	}
	st, id, err := store.OpenSetUp(ctx, cfg.Store)
	if err != nil {
		return cfg, nil, err
	}
	st.Temp = cfg.TempDir
	if err := id.Match(string(cfg.Deployment), ""); err != nil {
		return cfg, nil, errors.Join(fmt.Errorf("store %s: %w", st.URL(), err), st.Close())
	}
	return cfg, st, nil
}

func rotateCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "rotate --to URL",
		Short: "Wrap every data key under another key; no other file is touched",
		Long: `Wrap every data key of the store, now wrapped under the key that HARMSTACK_STORE_KEY names, under the one that --to names.
No other file is read or written. Stop the workers first; then give them, and whoever runs the starter, the new key in
HARMSTACK_STORE_KEY and start them. One that still has the old key writes and reads nothing and says so.

A rotation that breaks off is completed by the same command. Once it is done and the new key is backed up, destroy the old
one: then copies of the store from before, with their data keys in them, can be read no more either.`,
		Example: `  openssl rand -base64 32 > store-2027.key
  starter keys rotate --to file://$PWD/store-2027.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if to == "" {
				return errors.New("name the new key by --to, such as file:///etc/harmstack/store-2027.key")
			}
			cfg, st, err := openPlace(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, st.Close()) }()
			n, err := st.Rotate(cmd.Context(), cfg.StoreKey, to)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(
				cmd.OutOrStdout(),
				"%s wrapped anew. Set HARMSTACK_STORE_KEY to the new key and start the workers; then destroy the old one.\n",
				text.Count(n, "key was", "keys were"),
			)
			return err
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "`URL` of the new key, as for HARMSTACK_STORE_KEY")
	return cmd
}

func rotatePseudonymsCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:   "rotate-pseudonyms --why TEXT",
		Short: "Name people under another key; who has a tasking keeps their name",
		Long: `Make the first key of HARMSTACK_PSEUDONYM_KEY the one of the store; the key in use follows it, after a comma. Stop the
workers first, also those of a bucket, which do not notice. Everybody who has or had a tasking keeps their pseudonym, so
that nobody is tasked anew: workers, and whoever looks with the key, need both keys for as long. Everybody else is named
under the new one. It is noted in the log; one that breaks off is completed by the same command.`,
		Example: `  HARMSTACK_PSEUDONYM_KEY="$(openssl rand -base64 32),$HARMSTACK_PSEUDONYM_KEY" starter keys rotate-pseudonyms --why "the yearly change"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := cmd.Context()
			keys, err := config.LoadPseudonyms(os.Getenv)
			if err == nil && len(keys) < 2 {
				err = errors.New("HARMSTACK_PSEUDONYM_KEY: give the new key, a comma, and the one in use")
			}
			if err == nil && schemas.TrimSpace(why) == "" {
				err = errors.New("--why: say why the key is changed; the reason goes into the log")
			}
			if err == nil {
				err = schemas.CheckText("why", why, schemas.MaxReason)
			}
			if err != nil {
				return err
			}
			st, err := openStoreAt(ctx, "")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, st.Close()) }()
			if st.Keys.Checks() && !st.Keys.Signs() {
				return errors.New("give HARMSTACK_SIGNING_KEY: the record of the rotation is signed by the worker's key")
			}
			// Those who were named under a key before the one in use need that too.
			if _, err := config.Names(ctx, st, keys); err != nil {
				return err
			}
			kept, done, err := casework.RotatePseudonyms(ctx, st, pseudonym.Fingerprint(keys[1]), pseudonym.Fingerprint(keys[0]),
				audit.Claims(whoami()), schemas.TrimSpace(why), now())
			if err != nil {
				return err
			}
			if done {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "The store goes by this key already.")
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The store goes by the new key. %s. Start the workers with both, the new one first.\n",
				text.Count(kept, "person keeps their name", "people keep their names"))
			return err
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "the `reason`, for the log")
	return cmd
}
