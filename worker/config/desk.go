package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"harmstack/activities/casework/teams"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
)

// Desk is what a desk has beside what it shares with the workers.
type Desk struct {
	URL       *url.URL
	Listen    string
	CertFile  string // with KeyFile: the desk speaks TLS itself
	KeyFile   string
	Signer    *attest.Signer
	Rules     access.Rules
	UIOrigins []string

	Issuer, ClientID, ClientSecret, CLI string
	Audiences                           []string
}

// DeskUsage describes the variables of a desk, for --help.
const DeskUsage = `Environment, beside that of the worker (harmstack-worker --help):
  HARMSTACK_DESK_URL            where people reach the desk: https, unless it is on this machine (required)
  HARMSTACK_DESK_LISTEN         address to listen on (default: 127.0.0.1:8234)
  HARMSTACK_DESK_TLS            certificate and key, cert.pem,key.pem; "none" where a proxy before it speaks TLS (required
                                when it listens beyond this machine)
  HARMSTACK_DESK_KEY            the desk's own key, id=seed (starter desk --new-key; required)
  HARMSTACK_DESK_UI             origins of Temporal's web UIs that may ask the codec endpoint, https://host, separated by commas
  HARMSTACK_ACCESS              YAML file of who may do what: starter desk --example prints one (required)
  HARMSTACK_OIDC_ISSUER         the identity provider (required)
  HARMSTACK_OIDC_CLIENT_ID, HARMSTACK_OIDC_CLIENT_SECRET
                                the desk's own client there: authorisation code with PKCE (required)
  HARMSTACK_OIDC_CLI            the client of the command line, which signs in by the device flow
  HARMSTACK_OIDC_AUDIENCES      further clients whose tokens are believed, such as that of Temporal's web UI

HARMSTACK_DESK_KEY and HARMSTACK_OIDC_CLIENT_SECRET may be read from files: add _FILE to the name and give a path.
`

// ParseDesk reads the URL of the desk: https, unless it is on this machine; nil of an empty text.
func ParseDesk(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		return nil, errors.New("give the desk's URL, https://desk.example.police.uk")
	}
	return u, nil
}

// LoadDesk reads and checks the environment of a desk: a worker's, and its own.
func LoadDesk(env func(string) string) (Config, Desk, error) {
	c, err := Load(env)
	if err != nil {
		return c, Desk{}, err
	}
	l := loader{env: env}
	d := l.desk(c)
	return c, d, errors.Join(l.faults...)
}

func (l *loader) desk(c Config) (d Desk) {
	var err error
	if d.URL, err = url.Parse(l.env("HARMSTACK_DESK_URL")); err != nil || d.URL.Host == "" || d.URL.User != nil {
		l.fault("HARMSTACK_DESK_URL", errors.New("give the URL by which people reach the desk, https://desk.example.police.uk"))
	}
	d.Listen = l.env("HARMSTACK_DESK_LISTEN")
	if d.Listen == "" {
		d.Listen = "127.0.0.1:8234"
	}
	host, _, err := net.SplitHostPort(d.Listen)
	if err != nil {
		l.fault("HARMSTACK_DESK_LISTEN", errors.New("give an address and a port, 127.0.0.1:8234"))
	}
	switch tls := l.env("HARMSTACK_DESK_TLS"); {
	case tls == "" && err == nil && !(host == "localhost" || net.ParseIP(host).IsLoopback()):
		l.fault("HARMSTACK_DESK_TLS", errors.New(`the desk listens beyond this machine: give cert.pem,key.pem, or "none" where a proxy before it speaks TLS`))
	case tls != "" && tls != "none":
		var ok bool
		if d.CertFile, d.KeyFile, ok = strings.Cut(tls, ","); !ok {
			l.fault("HARMSTACK_DESK_TLS", errors.New("give two files, cert.pem,key.pem"))
		}
	}
	if d.Signer, err = attest.ParseSigner(l.secret("HARMSTACK_DESK_KEY")); err != nil {
		l.fault("HARMSTACK_DESK_KEY", err)
	}
	d.UIOrigins = list(l.env("HARMSTACK_DESK_UI"))
	for _, o := range d.UIOrigins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || strings.ToLower(o) != o {
			l.fault("HARMSTACK_DESK_UI", errors.New("give origins as a browser sends them: https://temporal.example.police.uk, in lower case, without a path"))
			break
		}
	}
	who, err := c.LoadTeams()
	if err != nil {
		who = teams.Nowhere()
	}
	if d.Rules, err = access.Load(l.env("HARMSTACK_ACCESS"), who); err != nil {
		l.fault("HARMSTACK_ACCESS", err)
	}
	d.Issuer, d.ClientID = l.env("HARMSTACK_OIDC_ISSUER"), l.env("HARMSTACK_OIDC_CLIENT_ID")
	d.ClientSecret, d.CLI = l.secret("HARMSTACK_OIDC_CLIENT_SECRET"), l.env("HARMSTACK_OIDC_CLI")
	d.Audiences = list(l.env("HARMSTACK_OIDC_AUDIENCES"))
	if u, err := url.Parse(d.Issuer); err != nil || u.Host == "" {
		l.fault("HARMSTACK_OIDC_ISSUER", errors.New("give the URL of the identity provider"))
	} else if u.Scheme != "https" && !(u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()) {
		l.fault("HARMSTACK_OIDC_ISSUER", errors.New("it must be https: who answers for it says who everybody is"))
	}
	if d.ClientID == "" {
		l.fault("HARMSTACK_OIDC_CLIENT_ID", errors.New("name the desk's client at the identity provider"))
	}
	if c.Identity.Required && d.Signer != nil {
		if id, key := d.Signer.Public(); !key.Equal(c.Identity.Keys[id]) {
			l.fault("HARMSTACK_DESK_KEYS", fmt.Errorf("the workers would not believe this desk: its public key %q is not among them", id))
		}
	}
	return d
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
}
