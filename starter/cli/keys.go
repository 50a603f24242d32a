package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"harmstack/activities/store"
	"harmstack/schemas/text"
	"harmstack/worker/config"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "keys",
		GroupID: groupNight,
		Short:   "Change the key under which the store's data keys are wrapped",
		Long: `The files of a store are sealed under data keys: of each night two (its rows as read, and the rest), of the taskings one
a month, and one for every other folder. They lie in its folder keys, wrapped by the key that HARMSTACK_STORE_KEY names.`,
	}
	cmd.AddCommand(rotateCommand())
	return cmd
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
			cfg, err := config.LoadPlace(os.Getenv)
			if err != nil {
				return err
			}
			if to == "" {
				return errors.New("name the new key by --to, such as file:///etc/harmstack/store-2027.key")
			}
			st, id, err := store.OpenSetUp(cmd.Context(), cfg.Store)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, st.Close()) }()
			if err := id.Match(string(cfg.Deployment), ""); err != nil {
				return fmt.Errorf("store %s: %w", st.URL(), err)
			}
			n, err := st.Rotate(cmd.Context(), cfg.StoreKey, to)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s wrapped anew. Set HARMSTACK_STORE_KEY to the new key and start the workers; then destroy the old one.\n",
				text.Count(n, "key was", "keys were"))
			return err
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "`URL` of the new key, as for HARMSTACK_STORE_KEY")
	return cmd
}
