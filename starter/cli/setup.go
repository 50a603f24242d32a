package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/worker/config"
)

func setupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "setup",
		GroupID: groupNight,
		Short:   "Set up the store of a deployment, once",
		Long: `Set up the store that HARMSTACK_STORE names, once: it gets store.json, which holds an identity, the deployment's
name (HARMSTACK_DEPLOYMENT) and the fingerprint of the pseudonym key (HARMSTACK_PSEUDONYM_KEY), never the key; and it is
sealed under the key that HARMSTACK_STORE_KEY names, unless that says none. Workers and
commands refuse a store without it, which may be a volume that is not mounted, and one that was set up with another key.
Run it as the user of the worker. Again it only checks. A store of an earlier version is adopted.`,
		Example: `  starter setup`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadSetup(os.Getenv)
			if err != nil {
				return err
			}
			said, err := setUp(cmd.Context(), cfg)
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			}
			return err
		},
	}
	return cmd
}

// setUp sets up the store of a deployment and says what it found.
func setUp(ctx context.Context, cfg config.Config) (said string, err error) {
	st, err := store.Open(ctx, cfg.Store)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	st.Temp = cfg.TempDir
	if err := st.Unlock(ctx, cfg.StoreKey); err != nil && !errors.Is(err, store.ErrPlain) {
		return "", err
	}
	if err := sameNames(ctx, st, cfg.PseudonymKeys()); err != nil {
		return "", err
	}
	id, made, adopted, err := st.SetUp(ctx, string(cfg.Deployment), pseudonym.Fingerprint(cfg.PseudonymKey))
	if err == nil {
		err = st.Seal(ctx, cfg.StoreKey)
	}
	if err != nil {
		return "", err
	}
	said = "was set up before"
	switch {
	case made && adopted:
		said = "holds what an earlier version left: it is adopted"
	case made:
		said = "is set up"
	}
	sealed := "It is sealed."
	if !st.IsSealed() {
		sealed = "It is NOT SEALED: use no real data."
	}
	return fmt.Sprintf(
		"Store %s %s. Its identity is %s, the fingerprint of its pseudonym key %s. %s",
		st.URL(), said, id.Store, id.PseudonymKey, sealed,
	), nil
}

// sameNames makes sure of a store of an earlier version that its taskings were named under one of these keys.
func sameNames(ctx context.Context, st *store.Store, keys [][]byte) error {
	current, err := nights.LoadCurrent(ctx, st)
	if err != nil || current == nil {
		return err
	}
	tasked, err := casework.Marked(ctx, st)
	if err != nil || len(tasked) == 0 {
		return err
	}
	m, _, err := nights.LoadManifest(ctx, st, current.Manifest.NightID)
	if err != nil {
		return err
	}
	stack, err := nights.ReadFile[schemas.Ranked](ctx, st, m, schemas.StackFile)
	if err != nil {
		return err
	}
	names, err := pseudonym.Open(keys, tasked)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(stack, func(r schemas.Ranked) bool { return slices.Contains(tasked, names.Name(r.SuspectID)) }) {
		return fmt.Errorf(
			"store %s: %w: its taskings were named under another key than HARMSTACK_PSEUDONYM_KEY. Under this one everybody would be tasked anew: find the old key",
			st.URL(),
			store.ErrOtherStore,
		)
	}
	return nil
}
