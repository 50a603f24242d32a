package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/worker/config"
	"harmstack/workflows"
)

func revokeCommand() *cobra.Command {
	var night nightFlags
	var request schemas.RevokeRequest
	cmd := &cobra.Command{
		Use:     "revoke --as-of DATE --by WHO --reason TEXT",
		GroupID: groupNight,
		Short:   "Take the approval of the current stack back",
		Long: `Take the approval of the current stack back, for good. The stack that was approved before is the current
one again, or none is, and the taskings follow: those only on the revoked stack are stood down with the
reason, those of the former one are issued again. Nothing is deleted. The date can be run again, as its
next revision.`,
		Example: `  starter revoke --as-of 2026-06-30 --by "Supt B. Officer 0042" --reason "The extract lacked two boroughs"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			c, cfg, st, err := connect(ctx)
			if err != nil {
				return err
			}
			defer closeBoth(c, st)
			id, err := night.approved(ctx, st)
			if err != nil {
				return err
			}
			request.AsOf, request.Revision = id.AsOf, id.Revision
			if err := request.Validate(); err != nil {
				return err
			}
			r, err := revoke(ctx, c, cfg, request, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			now := "No stack is approved now"
			if r.Current != (schemas.ManifestRef{}) {
				now = fmt.Sprintf("The stack of night %s is the current one again", r.Current.NightID)
			}
			say(
				cmd.OutOrStdout(),
				"The approval of night %s was taken back by %s.\n%s; workflow %s tells the teams.\n",
				id,
				r.Revocation.By,
				now,
				r.Retask,
			)
			return nil
		},
	}
	night.add(cmd)
	cmd.Flags().Lookup("revision").Usage = "its revision (default: the approved one)"
	f := cmd.Flags()
	f.StringVar(&request.By, "by", "", "`who` takes it back: name and warrant number")
	f.StringVar(&request.Reason, "reason", "", "why")
	required(cmd, "as-of", "by", "reason")
	return cmd
}

// approved is the night whose approval is meant: without a revision the current one of that date, else the newest,
// which then cannot be taken back and is named in the refusal.
func (n *nightFlags) approved(ctx context.Context, st *store.Store) (schemas.NightID, error) {
	id := schemas.NightID{AsOf: n.asOf, Revision: n.revision}
	if id.Revision != 0 {
		return id, nil
	}
	current, err := nights.LoadCurrent(ctx, st)
	if err == nil && current != nil && current.Manifest.AsOf == n.asOf {
		return current.Manifest.NightID, nil
	}
	if err != nil {
		return id, err
	}
	return newest(ctx, st, n.asOf)
}

// revoke starts the workflow that takes the approval back, and waits until that is recorded. What keeps it from that is
// said on progress.
func revoke(
	ctx context.Context,
	c client.Client,
	cfg config.Config,
	request schemas.RevokeRequest,
	progress io.Writer,
) (
	r workflows.RevokeResult, err error) {
	l, err := newLooker(c, cfg)
	if err != nil {
		return r, err
	}
	to := where(c, cfg, nil)
	run, err := to.StartRevocation(ctx, request)
	if err != nil {
		return r, err
	}
	l.while(ctx, run.GetID(), run.GetRunID(), progress, func() { r, err = to.Revoked(ctx, run) })
	return r, err
}
