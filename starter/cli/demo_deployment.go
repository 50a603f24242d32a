package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nightly"
	"harmstack/activities/nights/quality"
	"harmstack/activities/store"
	"harmstack/activities/store/seal"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
	"harmstack/starter/desk"
	"harmstack/starter/devserver"
	"harmstack/worker/config"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
	"harmstack/workflows/plugin"
)

// demoPeople are who can be had without a password at the desk of a demo. The first starts its night, the second
// approves it.
var demoPeople = []desk.Person{
	{Subject: "analyst", Name: "A. Nalyst (demo)", Roles: []string{string(access.Analyst)}},
	{Subject: "officer", Name: "Supt D. Emo (demo)", Roles: []string{string(access.Officer)}},
	{Subject: "officer-2", Name: "Supt E. Xample (demo)", Roles: []string{string(access.Officer)}},
	{Subject: "lambeth", Name: "PS L. Ambeth (demo)", Roles: []string{string(access.TeamRole("Lambeth"))}},
	{Subject: "westminster", Name: "PS W. Estminster (demo)", Roles: []string{string(access.TeamRole("Westminster"))}},
	{Subject: "desk", Name: "DS C. Entral (demo)", Roles: []string{string(access.Desk)}},
	{Subject: "auditor", Name: "A. Uditor (demo)", Roles: []string{string(access.Auditor)}},
}

func demoNames() string {
	names := make([]string, len(demoPeople))
	for i, p := range demoPeople {
		names[i] = p.Subject
	}
	return strings.Join(names, ", ")
}

// demoDeployment is a deployment inside one folder, with keys of its own. Nothing of it comes from the environment, so
// that a demo can never touch a real stack.
type demoDeployment struct {
	config.Config
	dir      string
	deskKey  string // as HARMSTACK_DESK_KEY has it
	payloads string // as HARMSTACK_PAYLOAD_KEYS has it
	signedBy string // as HARMSTACK_SIGNED_BY has it
}

func demoConfig(r demoRequest) (d demoDeployment, err error) {
	if d.dir, err = filepath.Abs(r.dir); err == nil {
		err = os.MkdirAll(d.dir, 0o700)
	}
	if err != nil {
		return d, err
	}
	// A folder of an older demo has histories in clear.
	older := ""
	if _, err := os.Stat(filepath.Join(d.dir, "temporal.db")); err == nil {
		older = "," + plugin.Older
	}
	pseudonyms, err := kept(filepath.Join(d.dir, "pseudonym.key"), random)
	if err == nil {
		d.payloads, err = kept(filepath.Join(d.dir, "payload.keys"), func() string { return "demo=" + random() + older })
	}
	if err == nil {
		d.deskKey, err = kept(filepath.Join(d.dir, "desk.key"), func() string {
			secret, _ := attest.NewKey("demo")
			return secret
		})
	}
	if err != nil {
		return d, err
	}
	d.Config = config.Config{
		Store:     filepath.Join(d.dir, "store"),
		Sources:   map[string]string{nightly.DefaultSource: filepath.Join(d.dir, "extract.parquet")},
		Mail:      config.OutboxMail(filepath.Join(d.dir, "outbox")),
		Checks:    quality.Standard(),
		TempDir:   os.TempDir(),
		TaskQueue: "harmstack-demo",
	}
	if d.PseudonymKey, err = base64.StdEncoding.DecodeString(pseudonyms); err != nil {
		return d, err
	}
	if d.Payloads.Keys, d.Payloads.Older, err = plugin.ParseKeys(d.payloads); err != nil {
		return d, err
	}
	// The store of an older demo is plain and bears no signatures: what is new would be refused beside it.
	unlessOlder := func() string {
		if _, err := os.Stat(d.Store); err == nil {
			return sign.None
		}
		return random()
	}
	seed, err := kept(filepath.Join(d.dir, "signing.key"), unlessOlder)
	if err != nil {
		return d, err
	}
	storeKey := filepath.Join(d.dir, "store.key")
	if key, err := kept(storeKey, unlessOlder); err != nil {
		return d, err
	} else if d.StoreKey = "file://" + storeKey; key == sign.None {
		d.StoreKey = seal.None
	}
	if d.signedBy = sign.None; seed != sign.None {
		raw, err := base64.StdEncoding.DecodeString(seed)
		if err != nil || len(raw) != ed25519.SeedSize {
			return d, fmt.Errorf("%s is no key: delete the folder, and the demo begins anew", filepath.Join(d.dir, "signing.key"))
		}
		d.signedBy = "demo=" + sign.Public(ed25519.NewKeyFromSeed(raw))
	}
	if d.Signing, err = sign.Parse(seed, d.signedBy); err != nil {
		return d, err
	}
	signer, err := attest.ParseSigner(d.deskKey)
	if err != nil {
		return d, err
	}
	id, public := signer.Public()
	d.Identity = attest.Identity{Required: true, Keys: attest.Keys{id: public}}
	return d, nil
}

func random() string {
	key := make([]byte, 32)
	rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// kept makes a key once, so that a second demo in the folder has the same.
func kept(path string, make func() string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key := make()
		return key, os.WriteFile(path, []byte(key), 0o600)
	}
	return strings.TrimSpace(string(text)), err
}

// copyOut leaves a readable copy of a night's file beside the sealed store: nobody in it exists.
func (d demoDeployment) copyOut(ctx context.Context, st *store.Store, m schemas.Manifest, file string) (path string, err error) {
	path = filepath.Join(d.dir, file)
	ref, ok := m.Output(file)
	if !ok {
		return path, fmt.Errorf("night %s has no %s", m.NightID, file)
	}
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return path, err
	}
	defer artifact.Close()
	return path, writeFile(path, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(artifact, 0, ref.Bytes))
		return err
	})
}

// writeEnv leaves a file that a shell can source, so that every command works on what the demo left.
func (d demoDeployment) writeEnv(dir, temporal string, deskURL *url.URL) error {
	id, public := "", ""
	for i, k := range d.Identity.Keys {
		id, public = i, base64.StdEncoding.EncodeToString(k)
	}
	var lines strings.Builder
	for _, v := range [][2]string{
		{"HARMSTACK_STORE", d.Store},
		{"HARMSTACK_STORE_KEY", d.StoreKey},
		{"HARMSTACK_EXTRACT", d.Sources[nightly.DefaultSource]},
		{"HARMSTACK_OUTBOX", d.Mail.Outbox},
		{"HARMSTACK_PSEUDONYM_KEY_FILE", filepath.Join(d.dir, "pseudonym.key")},
		{"HARMSTACK_PAYLOAD_KEYS_FILE", filepath.Join(d.dir, "payload.keys")},
		{"HARMSTACK_SIGNING_KEY_FILE", filepath.Join(d.dir, "signing.key")},
		{"HARMSTACK_SIGNED_BY", d.signedBy},
		{"HARMSTACK_IDENTITY", d.Identity.Word()},
		{"HARMSTACK_DESK_KEYS", id + "=" + public},
		{"HARMSTACK_DESK", deskURL.String()},
		{"HARMSTACK_TASK_QUEUE", d.TaskQueue},
		{"TEMPORAL_ADDRESS", temporal},
	} {
		fmt.Fprintf(&lines, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return os.WriteFile(filepath.Join(dir, "env"), []byte(lines.String()), 0o600)
}

// demoDoor is where a demo's desk listens. It is opened before the server starts, whose UI must know it.
type demoDoor struct {
	net.Listener
	token string // stands for the analyst, in the UI's codec endpoint
}

// demoDeskPort is the port that the demo prefers for its desk; another is found when it is taken.
const demoDeskPort = 8234

func openDoor() (*demoDoor, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", demoDeskPort))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return &demoDoor{l, rand.Text()}, err
}

func (d *demoDoor) url() *url.URL { return &url.URL{Scheme: "http", Host: d.Addr().String()} }

func (d *demoDoor) codec() string { return d.url().JoinPath("codec", d.token).String() }

// startDesk serves the demo's desk until stop is called.
func (d demoDeployment) startDesk(ctx context.Context, door *demoDoor, to flows.Deployment, ui string) (_ *desk.Desk, stop func() error, err error) {
	o := deskOptions(d.Config, to, slog.New(slog.DiscardHandler))
	o.URL, o.People, o.DemoToken = door.url(), demoPeople, door.token
	o.Teams = func() (*teams.Teams, error) { return teams.Nowhere(), nil }
	o.UIOrigins = []string{ui, strings.Replace(ui, "127.0.0.1", "localhost", 1)}
	if o.Signer, err = attest.ParseSigner(d.deskKey); err != nil {
		return nil, nil, err
	}
	payloads := d.Payloads
	if o.Codec, err = payloads.Codec(); err != nil {
		return nil, nil, err
	}
	people, err := desk.New(o)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- people.Serve(ctx, door) }()
	return people, func() error {
		cancel()
		return <-ended
	}, nil
}

// startServer starts the dev server on the usual ports, or on free ones when those are taken.
func startServer(ctx context.Context, dir, codec string, out io.Writer) (*devserver.Server, error) {
	options := devserver.Options{Port: demoPort, UIPort: demoUIPort, DBFile: filepath.Join(dir, "temporal.db"), UICodec: codec,
		SearchAttributes: workflows.SearchAttributes(), Log: out}
	server, err := devserver.Start(ctx, options)
	if err != nil && ctx.Err() == nil {
		options.Port, options.UIPort = 0, 0
		server, err = devserver.Start(ctx, options)
	}
	return server, err
}
