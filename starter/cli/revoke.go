package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/starter/desk"
	"harmstack/worker/config"
	"harmstack/workflows"
)

func revokeCommand() *cobra.Command {
	var night nightFlags
	var request schemas.RevokeRequest
	cmd := &cobra.Command{
		Use:     "revoke --as-of DATE --reason TEXT",
		GroupID: groupNight,
		Short:   "Take the approval of the current stack back",
		Long: `Take the approval of the current stack back, for good. The stack that was approved before is the current
one again, or none is, and the taskings follow: those only on the revoked stack are stood down with the
reason, those of the former one are issued again. Nothing is deleted. The date can be run again, as its
next revision.`,
		Example: `  starter revoke --as-of 2026-06-30 --by "Supt B. Officer 0042" --reason "The extract lacked two boroughs"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := revokeAnywhere(cmd.Context(), night, request, cmd.ErrOrStderr())
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
				r.Revocation.Manifest.NightID,
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
	f.StringVar(&request.By, "by", "", byUsage)
	f.StringVar(&request.Reason, "reason", "", "why")
	required(cmd, "as-of", "reason")
	return cmd
}

// revokeAnywhere takes an approval back through the desk where there is one, else straight.
func revokeAnywhere(
	ctx context.Context,
	night nightFlags,
	request schemas.RevokeRequest,
	progress io.Writer,
) (r workflows.RevokeResult, err error) {
	g, err := theDesk(ctx)
	if err != nil {
		return r, err
	}
	if g != nil {
		if err := byDesk(request.By); err != nil {
			return r, err
		}
		return r, g.call(ctx, http.MethodPost, night.path()+"/revocation", desk.RevocationCall{Reason: request.Reason}, &r)
	}
	c, cfg, st, err := connect(ctx)
	if err != nil {
		return r, err
	}
	defer closeBoth(c, st)
	id, err := night.approved(ctx, st)
	if err != nil {
		return r, err
	}
	request.AsOf, request.Revision = id.AsOf, id.Revision
	if err := request.Validate(); err != nil {
		return r, err
	}
	return revoke(ctx, c, cfg, request, progress)
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
