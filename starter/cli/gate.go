package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/starter/desk"
	"harmstack/worker/config"
)

// deskVariable names the desk by which acts go, and looks where no store is named. Without it acts go straight to
// Temporal and the store, which is for a trial: workers that require identity refuse them.
const deskVariable = "HARMSTACK_DESK"

// gate is the desk, for somebody who is signed in there.
type gate struct {
	url   *url.URL
	token string
}

// signedIn is what `starter login` keeps, of one desk, where only this user can read it.
type signedIn struct {
	Issuer   string        `json:"issuer,omitempty"`
	ClientID string        `json:"client_id,omitempty"`
	Scopes   []string      `json:"scopes,omitempty"`
	Token    *oauth2.Token `json:"token,omitempty"`
	Identity string        `json:"identity"` // what is shown to the desk
}

// theDesk is the desk that the environment names; nil when it names none.
func theDesk(ctx context.Context) (*gate, error) {
	u, err := deskURL()
	if err != nil || u == nil {
		return nil, err
	}
	kept, err := loadLogin(u)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return nil, fmt.Errorf("you are not signed in at %s: `starter login` does that", u)
	}
	if kept.Token != nil && !kept.Token.Valid() {
		if err := kept.refresh(ctx); err != nil {
			return nil, fmt.Errorf("you are no longer signed in at %s: `starter login` does that again", u)
		}
		if err := saveLogin(u, kept); err != nil {
			return nil, err
		}
	}
	return &gate{u, kept.Identity}, nil
}

func deskURL() (*url.URL, error) {
	u, err := config.ParseDesk(os.Getenv(deskVariable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", deskVariable, err)
	}
	return u, nil
}

// refresh gets a newer token.
func (s *signedIn) refresh(ctx context.Context) error {
	flow, _, err := deviceFlow(ctx, desk.Login{Issuer: s.Issuer, ClientID: s.ClientID, Scopes: s.Scopes})
	if err != nil {
		return err
	}
	token, err := flow.TokenSource(ctx, s.Token).Token()
	if err != nil {
		return err
	}
	return s.take(token)
}

// take keeps a token, which must say who somebody is.
func (s *signedIn) take(token *oauth2.Token) error {
	id, _ := token.Extra("id_token").(string)
	if id == "" {
		return errors.New("the identity provider gives no identity token")
	}
	s.Token, s.Identity = token, id
	return nil
}

// loginFile is where the sign-in at a desk is kept.
func loginFile(u *url.URL) (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "harmstack", url.PathEscape(u.Host)+".json"), err
}

func loadLogin(u *url.URL) (*signedIn, error) {
	path, err := loginFile(u)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	kept := new(signedIn)
	if err == nil {
		err = json.Unmarshal(data, kept)
	}
	if err != nil {
		return nil, fmt.Errorf("the sign-in that is kept in %s cannot be read: `starter login` makes it anew", path)
	}
	return kept, nil
}

func saveLogin(u *url.URL, kept *signedIn) error {
	path, err := loginFile(u)
	if err != nil {
		return err
	}
	data, err := json.Marshal(kept)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// call asks the desk. Its refusals are errors of their kind, in one line.
func (g *gate) call(ctx context.Context, method, path string, body, into any) error {
	data := []byte(nil)
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	path, query, _ := strings.Cut(path, "?")
	to := g.url.JoinPath(path)
	to.RawQuery = query
	r, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+g.token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := deskClient.Do(r)
	if err != nil {
		return fmt.Errorf("the desk does not answer: %w", err)
	}
	defer answer.Body.Close()
	data, err = io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("the desk's answer broke off: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return json.Unmarshal(data, into)
	}
	var problem desk.Problem
	if err := json.Unmarshal(data, &problem); err != nil || problem.Message == "" {
		return fmt.Errorf("the desk answers %s, and not what it does: is %s the right address?", answer.Status, g.url)
	}
	return fault.New(problem.Kind, problem.Message)
}

var deskClient = &http.Client{
	Timeout: 2 * time.Minute,
	// What is sent there names somebody, and is for the desk alone.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// byDesk refuses a name that is typed where the desk knows who it is.
func byDesk(by string) error {
	if by != "" {
		return errors.New("--by: the desk knows who you are, leave it out (`starter login` says as whom you are signed in)")
	}
	return nil
}

// decide is an officer's decision, through the desk.
func (g *gate) decide(ctx context.Context, v verdict, night nightFlags, r schemas.DecisionRequest) (d schemas.Decision, err error) {
	var shown desk.Night
	if err := g.call(ctx, http.MethodGet, night.path(), nil, &shown); err != nil {
		return d, err
	}
	call := desk.DecisionCall{Decision: v.name, ManifestSHA256: cmp.Or(r.ManifestSHA256, shown.ManifestSHA256), Reason: r.Reason, Override: r.Override}
	night.revision = shown.Night.Revision
	return d, g.call(ctx, http.MethodPost, night.path()+"/decision", call, &d)
}

// run starts a night through the desk, which does not follow it.
func (g *gate) run(cmd *cobra.Command, r schemas.NightRequest, asJSON bool) error {
	var started desk.Started
	if err := g.call(cmd.Context(), http.MethodPost, "/api/v1/nights", r, &started); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), started)
	}
	say(cmd.OutOrStdout(), "The night of %s began: workflow %s. Follow it in the web UI.\n", started.AsOf, started.Workflow)
	return nil
}

func loginCommand() *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use:     "login",
		GroupID: groupTask,
		Short:   "Sign in at the desk, for every command that decides, answers or looks",
		Long: `Sign in at the desk that HARMSTACK_DESK names: you confirm a code in a browser, on any machine. What is kept
is readable for you alone, and ends when the identity provider says so. In a demo, --as says who to be.`,
		Example: `  HARMSTACK_DESK=https://desk.example.police.uk starter login
  starter login --as officer`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			u, err := deskURL()
			if err == nil && u == nil {
				err = errors.New(deskVariable + ": name the desk to sign in at")
			}
			if err != nil {
				return err
			}
			var l desk.Login
			if err := (&gate{url: u}).call(ctx, http.MethodGet, "/api/v1/login", nil, &l); err != nil {
				return err
			}
			kept := &signedIn{Issuer: l.Issuer, ClientID: l.ClientID, Scopes: l.Scopes}
			switch {
			case as == "" && len(l.People) > 0:
				return fmt.Errorf("it is a demo: say who to be, --as %s", strings.Join(l.People, ", or "))
			case as != "" && !slices.Contains(l.People, as):
				return errors.New("--as: nobody can be somebody else there, but in a demo one of its own people")
			case as != "":
				kept.Identity = as
			case l.ClientID == "":
				return errors.New("the desk does not say by which client the command line signs in: HARMSTACK_OIDC_CLI is missing there")
			default:
				if err := kept.confirm(ctx, l, cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			var me desk.Me
			if err := (&gate{u, kept.Identity}).call(ctx, http.MethodGet, "/api/v1/me", nil, &me); err != nil {
				return err
			}
			if err := saveLogin(u, kept); err != nil {
				return err
			}
			say(cmd.OutOrStdout(), "Signed in as %s: %s.\n", me.Name, cmp.Or(strings.Join(me.Roles, ", "), "no role"))
			return nil
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "in a demo: `who` to be")
	return cmd
}

func logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "logout",
		GroupID: groupTask,
		Short:   "Forget the sign-in at the desk",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			u, err := deskURL()
			if err == nil && u == nil {
				err = errors.New(deskVariable + ": name the desk")
			}
			if err != nil {
				return err
			}
			path, err := loginFile(u)
			if err == nil {
				err = os.Remove(path)
			}
			if errors.Is(err, os.ErrNotExist) {
				err = nil
			}
			return err
		},
	}
}

// deviceFlow is how the command line signs in.
func deviceFlow(ctx context.Context, l desk.Login) (*oauth2.Config, *oidc.Provider, error) {
	provider, err := oidc.NewProvider(ctx, l.Issuer)
	if err != nil {
		return nil, nil, fmt.Errorf("the identity provider does not answer: %w", err)
	}
	return &oauth2.Config{ClientID: l.ClientID, Endpoint: provider.Endpoint(), Scopes: append(slices.Clone(l.Scopes), oidc.ScopeOfflineAccess)}, provider, nil
}

// confirm lets the person confirm a code in a browser.
func (s *signedIn) confirm(ctx context.Context, l desk.Login, out io.Writer) error {
	flow, _, err := deviceFlow(ctx, l)
	if err != nil {
		return err
	}
	device, err := flow.DeviceAuth(ctx)
	if err != nil {
		return fmt.Errorf("the identity provider does not let a device sign in: %w", err)
	}
	say(out, "Open %s in a browser and confirm the code %s.\n", cmp.Or(device.VerificationURIComplete, device.VerificationURI), device.UserCode)
	token, err := flow.DeviceAccessToken(ctx, device)
	if err != nil {
		return fmt.Errorf("nobody confirmed the code: %w", err)
	}
	return s.take(token)
}
