// Package config reads what a deployment sets in the environment into one checked struct. The worker and
// the starter read the same variables. It must not know what the values are used for.
package config

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/extract/sources"
	"harmstack/activities/messages/digest"
	"harmstack/activities/nightly"
	"harmstack/activities/nights/lineage"
	"harmstack/activities/nights/quality"
	"harmstack/activities/retention"
	"harmstack/activities/store"
	"harmstack/activities/store/seal"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/text"
	"harmstack/workflows"
	"harmstack/workflows/plugin"
)

// Config is a deployment.
type Config struct {
	Store        string            // folder or URL of the artefact store
	StoreKey     string            // URL of the key-encryption key of the store, or seal.None
	Sources      map[string]string // extracts by name
	Prefixes     sources.Prefixes  // below which a request may name an extract itself
	Mail         Mail
	Checks       quality.Checks
	Stability    schemas.Stability
	Retention    retention.Rules   // for how many days nights are kept
	Tables       *reference.Tables // of offences and weights; nil: the embedded ones
	TeamsFile    string            // YAML: who works where, and by when; empty: nobody, with an outbox
	PseudonymKey []byte
	// OlderPseudonymKeys are those before it, under which some people are still named (starter keys rotate-pseudonyms).
	OlderPseudonymKeys [][]byte
	Signing            *sign.Keys  // who signs records, and whose signatures count; nil: nobody
	Checkpoints        string      // URL of a second store, for checkpoints of the audit log; empty: none
	Desk               digest.Desk // where people reach the desk, for the links of mails; empty: mails name commands
	// Identity is how it is known who decides and who answers.
	Identity attest.Identity
	// TemporalTLS is PlainTemporal where TLS may be missing, or empty.
	TemporalTLS string
	// Payloads are how what passes through Temporal is encrypted; without keys: plain text.
	Payloads   plugin.Encryption
	Threads    int   // of one stage; 0: one a processor
	Memory     int64 // bytes of the worker before it spills; 0: without bound
	ShardRows  int64 // rows that one worker scores alone; 0: the default
	TempDir    string
	Deployment workflows.Deployment // its name, when several share a namespace
	TaskQueue  string
	Lineage    string // where OpenLineage events go; empty: nowhere
	Metrics    string // address on which Prometheus finds the measures; empty: none

	env func(string) string // where the teams' secrets are; nil: the process's
}

// Mail says where digests go: to a server, or into a folder when there is none.
type Mail struct {
	Outbox string
	SMTP   digest.SMTPConfig
}

// nobody sends what goes into an outbox.
const nobody = "Harmstack <harmstack@localhost.invalid>"

// Usage describes the variables, for --help.
const Usage = `Environment:
  HARMSTACK_STORE               folder or URL of the artefact store (required)
  HARMSTACK_STORE_KEY           URL of the key under which the store's data keys are wrapped: file:///path to 32 random bytes in
                                base64 (openssl rand -base64 32), or of a key service (hashivault://, awskms://,
                                azurekeyvault://); "none" on a machine without real data (required)
  HARMSTACK_EXTRACT             path or URL of the default extract
  HARMSTACK_SOURCES             further extracts, name=url, separated by commas or new lines
  HARMSTACK_EXTRACT_PREFIXES    folders and URLs of buckets below which a request may name an extract itself, separated by
                                commas or new lines (default: none, only configured sources)
  HARMSTACK_PSEUDONYM_KEY       at least 32 random bytes in base64 (openssl rand -base64 32; required)
  HARMSTACK_SIGNING_KEY         32 random bytes in base64: the worker signs what happened with it; "none" on a machine without
                                real data (required)
  HARMSTACK_SIGNED_BY           name=key, the public keys whose signatures count, separated by commas or new lines, the
                                worker's own among them: starter audit key prints it. What starter shows is checked by them
  HARMSTACK_CHECKPOINTS         folder or URL of a second store, under another's control, that signed checkpoints of the
                                audit log are written to (default: none)
  HARMSTACK_PAYLOAD_KEYS        id=key, the key being 32 bytes in base64; the first encrypts what passes
                                through Temporal, the others only decrypt; "older" at the end also reads what
                                was written in clear before there were keys; "none" on a machine without real
                                data (required)
  HARMSTACK_IDENTITY            "required": who decides or answers is verified by a desk; "claimed": names are what people
                                say, for a trial without real data (required)
  HARMSTACK_DESK_KEYS           public keys of the desks that are believed, id=key (starter desk --new-key makes a pair;
                                required with HARMSTACK_IDENTITY=required)
  HARMSTACK_DESK                URL of the desk, to which mails lead (default: none, they name the starter's commands)
  HARMSTACK_OUTBOX              folder for the digests as .eml files, when there is no mail server
  HARMSTACK_SMTP                mail server, host or host:port
  HARMSTACK_SMTP_TLS            starttls (default), implicit or none
  HARMSTACK_SMTP_USER           with HARMSTACK_SMTP_PASSWORD, where the server wants a login
  HARMSTACK_MAIL_FROM           sender, "Harmstack <harmstack@example.police.uk>"
  HARMSTACK_TEAMS               YAML file of the teams, their addresses, specialists and deadlines (required with
                                HARMSTACK_SMTP): starter teams --example prints one
  HARMSTACK_STABILITY           YAML file of the models that a stack is compared with (default: schemas/stability.yaml)
  HARMSTACK_CHECKS              YAML file of the checks of a night (default: starter checks --example)
  HARMSTACK_KEEP_EXTRACTS       days for which the rows as read are kept (default: for ever)
  HARMSTACK_KEEP_NIGHTS         days for which whole nights are kept; their records stay (default: for ever)
  HARMSTACK_EDITION             CSV file of another edition of the index, laid out like schemas/reference/cchi-2020.csv
  HARMSTACK_RULES, HARMSTACK_SUPPLEMENT, HARMSTACK_RESOLUTIONS
                                the same for vawg-offences.csv, vawg-supplement.csv, resolutions.csv (default: as built in)
  HARMSTACK_THREADS             goroutines that read an extract (default: one a processor)
  HARMSTACK_MEMORY              what a worker holds before it spills, such as 2GiB, shared by the two stages that run at once
                                (default: all in memory)
  HARMSTACK_SHARD_ROWS          rows that one worker scores alone (default: 50 million); a larger night is shared among workers
  HARMSTACK_TEMP                folder for what spills and for what is fetched from a bucket (default: the system's)
  HARMSTACK_DEPLOYMENT          a name, where several deployments share a namespace: a-z, 0-9 and dashes (default: none)
  HARMSTACK_TASK_QUEUE          default "harmstack", after the deployment's name and a dot; stages are taken from the queue of that name and "-compute"
  HARMSTACK_LINEAGE             where OpenLineage events of the stages go: file:///path/events.ndjson or https://host/api/v1/lineage
  HARMSTACK_METRICS             address for Prometheus, such as localhost:9090 (default: none); counts by team only, as old as
                                harmstack_measures_age_seconds says
  TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_..., TEMPORAL_PROFILE
                                where Temporal is, as for the Temporal CLI (default localhost:7233)
  HARMSTACK_TEMPORAL_TLS        "none" to speak without TLS to a Temporal that is not on this machine (default: refused)

HARMSTACK_PSEUDONYM_KEY, HARMSTACK_SIGNING_KEY, HARMSTACK_PAYLOAD_KEYS and HARMSTACK_SMTP_PASSWORD may be read from files: add
_FILE to the name and give a path.
`

// LoadClient reads and checks what those need who only start and follow nights: the store, the task queue
// and the keys of what passes through Temporal.
func LoadClient(env func(string) string) (Config, error) {
	l := loader{env: env}
	c := l.client()
	return c, errors.Join(l.faults...)
}

// place is where the store is, and whose.
func (l *loader) place() Config {
	c := Config{
		env:        l.env,
		Store:      l.env("HARMSTACK_STORE"),
		Deployment: workflows.Deployment(l.env("HARMSTACK_DEPLOYMENT")),
	}
	if !deploymentName.MatchString(string(c.Deployment)) {
		l.fault("HARMSTACK_DEPLOYMENT", errors.New("give a name of at most 40 lower-case letters, digits and dashes"))
	}
	c.TaskQueue = cmp.Or(l.env("HARMSTACK_TASK_QUEUE"), c.Deployment.TaskQueue())
	if c.TemporalTLS = l.env("HARMSTACK_TEMPORAL_TLS"); c.TemporalTLS != "" && c.TemporalTLS != PlainTemporal {
		l.fault("HARMSTACK_TEMPORAL_TLS", fmt.Errorf("leave it empty, or say %q", PlainTemporal))
	}
	c.TempDir = cmp.Or(l.env("HARMSTACK_TEMP"), os.TempDir())
	c.Signing, c.Checkpoints = l.signing(), l.env("HARMSTACK_CHECKPOINTS")
	if c.Store == "" {
		l.fault("HARMSTACK_STORE", errors.New("name the folder or URL of the artefact store"))
	}
	// In words, as for the payloads: forgetting the key must not be enough to keep rows in clear.
	if c.StoreKey = strings.TrimSpace(l.env("HARMSTACK_STORE_KEY")); c.StoreKey == "" {
		l.fault("HARMSTACK_STORE_KEY", fmt.Errorf(
			"name the key that seals the store, such as file:///etc/harmstack/store.key, or %q where no real data is",
			seal.None,
		))
	}
	return c
}

func (l *loader) client() Config {
	c := l.place()
	keys := l.secret("HARMSTACK_PAYLOAD_KEYS")
	if keys == NoKeys {
		return c
	}
	var err error
	if c.Payloads.Keys, c.Payloads.Older, err = plugin.ParseKeys(keys); err == nil && len(c.Payloads.Keys) == 0 {
		err = fmt.Errorf("give id=key to encrypt what passes through Temporal, or %q where no real data is", NoKeys)
	}
	if err != nil {
		l.fault("HARMSTACK_PAYLOAD_KEYS", err)
	}
	return c
}

var deploymentName = regexp.MustCompile(`^[a-z0-9-]{0,40}$`)

// NoKeys is what HARMSTACK_PAYLOAD_KEYS says where nothing needs to be encrypted. Worker and starter are told so in
// words: forgetting the keys must not be enough to send requests and results in clear.
const NoKeys = "none"

// Load reads and checks the environment of a worker. The error names every variable that is wrong, and
// never repeats a value that may be a secret.
func Load(env func(string) string) (Config, error) {
	l := loader{env: env}
	c := l.client()
	c.Sources = l.sources()
	var err error
	if c.Prefixes, err = sources.ParsePrefixes(env("HARMSTACK_EXTRACT_PREFIXES")); err != nil {
		l.fault("HARMSTACK_EXTRACT_PREFIXES", err)
	}
	c.Metrics, c.Lineage = env("HARMSTACK_METRICS"), env("HARMSTACK_LINEAGE")
	if _, err := lineage.New(c.Lineage, nil); err != nil {
		l.fault("HARMSTACK_LINEAGE", err)
	}
	c.Threads = int(l.number("HARMSTACK_THREADS", parseCount))
	c.Memory = l.number("HARMSTACK_MEMORY", ParseBytes)
	c.ShardRows = l.number("HARMSTACK_SHARD_ROWS", parseCount)
	c.setPseudonymKeys(l.pseudonymKeys())
	if l.secret("HARMSTACK_SIGNING_KEY") == "" {
		l.fault("HARMSTACK_SIGNING_KEY", fmt.Errorf("give 32 random bytes in base64 (openssl rand -base64 32) and their "+
			"public key in HARMSTACK_SIGNED_BY, or %q where no real data is", sign.None))
	}
	c.Identity = l.identity()
	c.Retention = l.retention()
	c.Mail = l.mail()
	if at, err := ParseDesk(env("HARMSTACK_DESK")); err != nil {
		l.fault("HARMSTACK_DESK", err)
	} else if at != nil {
		c.Desk = digest.Desk(strings.TrimRight(at.String(), "/"))
	}
	if c.Checks, err = quality.Load(env("HARMSTACK_CHECKS")); err != nil {
		l.fault("HARMSTACK_CHECKS", err)
	}
	if c.Stability, err = schemas.LoadStability(env("HARMSTACK_STABILITY")); err != nil {
		l.fault("HARMSTACK_STABILITY", err)
	}
	if c.Tables, err = LoadTables(env); err != nil {
		l.fault("HARMSTACK_EDITION, _RULES, _SUPPLEMENT, _RESOLUTIONS", err)
	} else if err := c.Tables.CheckEditions(c.Stability); err != nil {
		l.fault("HARMSTACK_STABILITY", err)
	}
	if c.TeamsFile = env("HARMSTACK_TEAMS"); c.TeamsFile == "" && c.Mail.SMTP.Host != "" {
		l.fault("HARMSTACK_TEAMS", errors.New("name the YAML file of the teams: `starter teams --example` prints one"))
	} else if _, err := c.LoadTeams(); err != nil {
		l.fault("HARMSTACK_TEAMS", err)
	}
	return c, errors.Join(l.faults...)
}

func (l *loader) identity() (i attest.Identity) {
	var err error
	if i.Keys, err = attest.ParseKeys(l.env("HARMSTACK_DESK_KEYS")); err != nil {
		l.fault("HARMSTACK_DESK_KEYS", err)
	}
	switch l.env("HARMSTACK_IDENTITY") {
	case schemas.IdentityRequired:
		if i.Required = true; err == nil && len(i.Keys) == 0 {
			l.fault("HARMSTACK_DESK_KEYS", errors.New("give the public key of the desk: `starter desk --new-key` makes a pair"))
		}
	case schemas.IdentityClaimed:
	default:
		l.fault("HARMSTACK_IDENTITY", fmt.Errorf("say %q, or %q for a trial without real data, where names are what people say",
			schemas.IdentityRequired, schemas.IdentityClaimed))
	}
	return i
}

// LoadTables reads the tables of offences and weights alone.
func LoadTables(env func(string) string) (*reference.Tables, error) {
	return reference.LoadPaths(reference.Paths{Edition: env("HARMSTACK_EDITION"), Rules: env("HARMSTACK_RULES"),
		Supplement: env("HARMSTACK_SUPPLEMENT"), Resolutions: env("HARMSTACK_RESOLUTIONS")})
}

// LoadSetup reads what a store is set up with: where it is, the deployment's name, and the pseudonym key.
func LoadSetup(env func(string) string) (Config, error) {
	l := loader{env: env}
	c := l.place()
	c.setPseudonymKeys(l.pseudonymKeys())
	return c, errors.Join(l.faults...)
}

// pseudonymKeys are those of people's names, the one in use first.
func (l *loader) pseudonymKeys() (keys [][]byte) {
	for field := range strings.SplitSeq(l.secret("HARMSTACK_PSEUDONYM_KEY"), ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(field))
		if err != nil || len(key) < pseudonym.KeyBytes {
			l.fault(
				"HARMSTACK_PSEUDONYM_KEY",
				fmt.Errorf(
					"give at least %d random bytes in base64 (openssl rand -base64 %d); older keys follow after a comma",
					pseudonym.KeyBytes,
					pseudonym.KeyBytes,
				),
			)
		}
		keys = append(keys, key)
	}
	return keys
}

func (c *Config) setPseudonymKeys(keys [][]byte) {
	c.PseudonymKey, c.OlderPseudonymKeys = keys[0], keys[1:]
}

// PseudonymKeys are all of them, the one in use first.
func (c Config) PseudonymKeys() [][]byte {
	return append([][]byte{c.PseudonymKey}, c.OlderPseudonymKeys...)
}

// Names are the names of people in a store, by the keys of the configuration. The error says so when one is missing
// under which somebody is still named.
func (c Config) Names(ctx context.Context, st *store.Store) (pseudonym.Names, error) {
	return Names(ctx, st, c.PseudonymKeys())
}

// Names is Config.Names for some keys.
func Names(ctx context.Context, st *store.Store, keys [][]byte) (n pseudonym.Names, err error) {
	var fingerprints []string
	for _, key := range keys {
		fingerprints = append(fingerprints, pseudonym.Fingerprint(key))
	}
	kept, err := casework.Kept(ctx, st, fingerprints)
	if err != nil {
		return n, err
	}
	return pseudonym.Open(keys, kept)
}

// LoadPseudonyms reads the pseudonym keys alone; nil: there is none.
func LoadPseudonyms(env func(string) string) ([][]byte, error) {
	l := loader{env: env}
	if l.secret("HARMSTACK_PSEUDONYM_KEY") == "" {
		return nil, errors.Join(l.faults...)
	}
	keys := l.pseudonymKeys()
	return keys, errors.Join(l.faults...)
}

// LoadSigning reads the keys of signatures alone.
func LoadSigning(env func(string) string) (*sign.Keys, error) {
	l := loader{env: env}
	k := l.signing()
	return k, errors.Join(l.faults...)
}

// SigningSeed is the signing key alone, in base64.
func SigningSeed(env func(string) string) (string, error) {
	l := loader{env: env}
	seed := l.secret("HARMSTACK_SIGNING_KEY")
	return seed, errors.Join(l.faults...)
}

func (l *loader) signing() *sign.Keys {
	k, err := sign.Parse(l.secret("HARMSTACK_SIGNING_KEY"), l.env("HARMSTACK_SIGNED_BY"))
	if err != nil {
		l.fault("HARMSTACK_SIGNING_KEY, HARMSTACK_SIGNED_BY", err)
	}
	return k
}

// LoadPlace reads where the store is, whose, and what seals it.
func LoadPlace(env func(string) string) (Config, error) {
	l := loader{env: env}
	c := l.place()
	return c, errors.Join(l.faults...)
}

// LoadRetention reads the rules of retention alone.
func LoadRetention(env func(string) string) (retention.Rules, error) {
	l := loader{env: env}
	r := l.retention()
	return r, errors.Join(l.faults...)
}

func (l *loader) retention() retention.Rules {
	r := retention.Rules{
		Extract: int(l.number("HARMSTACK_KEEP_EXTRACTS", parseCount)),
		Night:   int(l.number("HARMSTACK_KEEP_NIGHTS", parseCount)),
		Tasking: int(l.number("HARMSTACK_KEEP_TASKINGS", parseCount)),
		Outbox:  l.env("HARMSTACK_OUTBOX"),
	}
	switch {
	case r.Tasking == 0 && r.Night > 0:
		r.Tasking = max(retention.DefaultTasking, r.Night)
	case r.Tasking > 0 && r.Tasking < retention.LeastTasking:
		l.fault("HARMSTACK_KEEP_TASKINGS", fmt.Errorf("give %s or more: new taskings may come by the month, by the plans "+
			"of its first night", text.Count(retention.LeastTasking, "day")))
	}
	return r
}

type loader struct {
	env    func(string) string
	faults []error
}

func (l *loader) fault(name string, err error) {
	l.faults = append(l.faults, fmt.Errorf("%s: %w", name, err))
}

// secret reads a variable, or the file that its _FILE twin names.
func (l *loader) secret(name string) string {
	path := l.env(name + "_FILE")
	if path == "" {
		return l.env(name)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		l.fault(name+"_FILE", err)
	}
	return strings.TrimSpace(string(data))
}

func (l *loader) number(name string, parse func(string) (int64, error)) int64 {
	text := l.env(name)
	if text == "" {
		return 0
	}
	n, err := parse(text)
	if err != nil {
		l.fault(name, err)
	}
	return n
}

func parseCount(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no count: give a whole number from 1", text)
	}
	return n, nil
}

// ParseBytes reads an amount of memory such as 512MiB or 2GiB.
func ParseBytes(text string) (int64, error) {
	for shift, unit := range []string{"", "KiB", "MiB", "GiB"} {
		number, ok := strings.CutSuffix(text, unit)
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
		if ok && err == nil && n > 0 {
			return n << (10 * shift), nil
		}
	}
	return 0, fmt.Errorf("%q is no amount of memory: write it like 512MiB or 2GiB", text)
}

func (l *loader) sources() map[string]string {
	byName := map[string]string{}
	if url := l.env("HARMSTACK_EXTRACT"); url != "" {
		byName[nightly.DefaultSource] = url
	}
	for _, field := range strings.FieldsFunc(l.env("HARMSTACK_SOURCES"), func(r rune) bool { return r == ',' || r == '\n' }) {
		name, url, ok := strings.Cut(strings.TrimSpace(field), "=")
		switch _, taken := byName[name]; {
		case !ok || name == "" || url == "" || strings.ContainsAny(name, `/\`):
			l.fault("HARMSTACK_SOURCES", errors.New("write each source as name=url"))
		case taken:
			l.fault("HARMSTACK_SOURCES", fmt.Errorf("the source %q is there twice", name))
		default:
			byName[name] = url
		}
	}
	return byName
}

func (l *loader) mail() Mail {
	m := Mail{Outbox: l.env("HARMSTACK_OUTBOX"), SMTP: digest.SMTPConfig{
		Host: l.env("HARMSTACK_SMTP"), From: cmp.Or(l.env("HARMSTACK_MAIL_FROM"), nobody),
		TLS: digest.TLS(l.env("HARMSTACK_SMTP_TLS")), Username: l.env("HARMSTACK_SMTP_USER"), Password: l.secret("HARMSTACK_SMTP_PASSWORD")}}
	switch {
	case m.SMTP.Host == "" && m.Outbox == "":
		l.fault("HARMSTACK_SMTP", errors.New("name a mail server, or a folder in HARMSTACK_OUTBOX"))
	case m.SMTP.Host != "" && m.Outbox != "":
		l.fault("HARMSTACK_SMTP", errors.New("give a mail server or HARMSTACK_OUTBOX, not both"))
	case m.SMTP.Host != "" && l.env("HARMSTACK_MAIL_FROM") == "":
		l.fault("HARMSTACK_MAIL_FROM", errors.New("name the sender"))
	}
	if host, port, err := net.SplitHostPort(m.SMTP.Host); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			l.fault("HARMSTACK_SMTP", fmt.Errorf("port %q is none", port))
		}
		m.SMTP.Host, m.SMTP.Port = host, int(n)
	}
	return m
}

// Mailer is the mailer of the configuration.
func (m Mail) Mailer() (digest.Mailer, error) {
	if m.Outbox != "" {
		return digest.NewOutbox(m.Outbox, m.SMTP.From)
	}
	return digest.NewSMTP(m.SMTP)
}

// LoadTeams reads who works where. Without a file, and so without a mail server, every message leads nowhere. Packs
// that would lie in a folder in clear are refused.
func (c Config) LoadTeams() (*teams.Teams, error) {
	if c.TeamsFile == "" {
		return teams.Nowhere(), nil
	}
	env := c.env
	if env == nil {
		env = os.Getenv
	}
	who, err := teams.Load(c.TeamsFile, env, cmp.Or(c.Tables, reference.Default()))
	if err == nil && c.Mail.Outbox != "" && len(who.PackDomains()) > 0 {
		return nil, digest.ErrPacksInFolder
	}
	return who, err
}

// Dial connects to the Temporal that the TEMPORAL_ variables or its configuration file name.
func (c *Config) Dial(logger log.Logger) (client.Client, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("the configuration of Temporal: %w", err)
	}
	return c.DialTo(options, logger)
}

// DialTo connects to a given Temporal, speaking as the deployment does, and notes the namespace: payloads are bound to it.
func (c *Config) DialTo(options client.Options, logger log.Logger) (client.Client, error) {
	if err := c.checkTLS(options); err != nil {
		return nil, err
	}
	options.Namespace = cmp.Or(options.Namespace, client.DefaultNamespace)
	c.Payloads.Namespace = options.Namespace
	if c.Payloads.Refused == nil {
		c.Payloads.Refused = plugin.NewRefusals()
	}
	p, err := plugin.New(c.Payloads, logger)
	if err != nil {
		return nil, err
	}
	options.Plugins = append(options.Plugins, p)
	cl, err := client.Dial(options)
	if err != nil {
		return nil, fmt.Errorf("no Temporal at %s: %w", cmp.Or(options.HostPort, client.DefaultHostPort), err)
	}
	return cl, nil
}

// checkTLS refuses to speak in clear to a Temporal that is not on this machine, unless HARMSTACK_TEMPORAL_TLS says so:
// who listens reads names and pseudonyms, and who answers for the server hands out nights.
func (c Config) checkTLS(options client.Options) error {
	// With an API key the client takes TLS by itself.
	connection := options.ConnectionOptions
	secured := connection.TLS != nil || options.Credentials != nil && !connection.TLSDisabled
	if c.TemporalTLS == PlainTemporal || secured {
		return nil
	}
	address := cmp.Or(options.HostPort, client.DefaultHostPort)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() || strings.HasPrefix(address, "unix:") {
		return nil
	}
	return fmt.Errorf("HARMSTACK_TEMPORAL_TLS: Temporal is not on this machine and is spoken to without TLS: "+
		"set TEMPORAL_TLS or TEMPORAL_TLS_..., or say %q where nobody else can listen", PlainTemporal)
}

// PlainTemporal is what HARMSTACK_TEMPORAL_TLS says where Temporal is spoken to without TLS though it is elsewhere.
const PlainTemporal = "none"

// OutboxMail puts digests into a folder.
func OutboxMail(folder string) Mail {
	return Mail{Outbox: folder, SMTP: digest.SMTPConfig{From: nobody}}
}
