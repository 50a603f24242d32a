package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"

	"harmstack/activities/nights"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/schemas"
	"harmstack/starter/desk"
	"harmstack/worker/config"
	flows "harmstack/workflows/client"
)

func deskCommand() *cobra.Command {
	var newKey, example bool
	cmd := &cobra.Command{
		Use:     "desk",
		GroupID: groupNight,
		Short:   "Serve the desk: where people sign in, decide, answer and look",
		Long: `Serve the desk: the one service by which people decide, answer and look. It signs them in by OpenID Connect,
knows their roles by access.yaml, and vouches for each act with a signed word that the workers verify. Its API is
described at /api/v1/openapi.json; /codec/decode and /codec/encode let Temporal's web UI show what is encrypted.

` + config.DeskUsage,
		Example: `  starter desk --new-key
  starter desk --example > access.yaml
  starter desk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			switch {
			case newKey:
				secret, public := attest.NewKey("desk-" + schemas.LondonDate(now()).String())
				say(out, "HARMSTACK_DESK_KEY=%s\nHARMSTACK_DESK_KEYS=%s\n", secret, public)
				say(cmd.ErrOrStderr(), "The first is the desk's alone: keep it where only the desk can read it. The second is for every worker.\n")
				return nil
			case example:
				_, err := io.WriteString(out, access.Example)
				return err
			}
			return serveDesk(cmd.Context(), out)
		},
	}
	cmd.Flags().BoolVar(&newKey, "new-key", false, "make a key for the desk, and the public key for the workers")
	cmd.Flags().BoolVar(&example, "example", false, "print an access.yaml to start from")
	cmd.MarkFlagsMutuallyExclusive("new-key", "example")
	return cmd
}

// serveDesk serves the desk that the environment describes until ctx ends.
func serveDesk(ctx context.Context, out io.Writer) error {
	cfg, own, err := config.LoadDesk(os.Getenv)
	if err != nil {
		return err
	}
	c, err := cfg.Dial(quiet{})
	if err != nil {
		return err
	}
	defer c.Close()
	st, err := openDeployment(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	o := deskOptions(cfg, where(c, cfg, st), slog.New(slog.NewJSONHandler(out, nil)))
	o.URL, o.Signer, o.Rules, o.UIOrigins = own.URL, own.Signer, own.Rules, own.UIOrigins
	o.Provider = &desk.Provider{Issuer: own.Issuer, ClientID: own.ClientID, ClientSecret: own.ClientSecret, CLI: own.CLI, Audiences: own.Audiences}
	if len(cfg.Payloads.Keys) > 0 {
		if o.Codec, err = cfg.Payloads.Codec(); err != nil {
			return err
		}
	}
	d, err := desk.New(o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", own.Listen)
	if err != nil {
		return fmt.Errorf("HARMSTACK_DESK_LISTEN: %w", err)
	}
	if own.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(own.CertFile, own.KeyFile)
		if err != nil {
			return fmt.Errorf("HARMSTACK_DESK_TLS: %w", err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	o.Log.Info("the desk serves", "address", l.Addr().String(), "url", own.URL.String(), "identity", cfg.Identity.Word())
	return d.Serve(ctx, l)
}

// deskOptions are what a desk has of a deployment.
func deskOptions(cfg config.Config, to flows.Deployment, log *slog.Logger) desk.Options {
	return desk.Options{
		To: to,
		Status: func(ctx context.Context) (desk.Status, error) {
			return statusOf(ctx, to.Store, func(all []nights.Night) (desk.Running, error) {
				return whatRuns(ctx, to.Client, cfg, to.Store, all)
			})
		},
		Identity:  cfg.Identity,
		Namespace: cfg.Payloads.Namespace,
		Teams:     cfg.LoadTeams,
		Log:       log,
		Now:       now,
		Night: func(st *store.Store, m schemas.Manifest) (n pipeline.Night, err error) {
			n = pipeline.Night{NightID: m.NightID, Store: st, Threads: scoring.Threads(), Temp: cfg.TempDir}
			n.Tables, n.Model, err = basisAtHand(m, cfg.Tables)
			return n, err
		},
	}
}
