package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/starter/desk/idp"
	"harmstack/workflows"
)

// clerk is somebody at a machine that holds neither store nor keys, signed in at a desk that runs as its own process.
type clerk struct {
	d   *deployment
	env []string
}

// freePort is a port of this machine that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startDesk runs `starter desk` on an address, and returns its URL and the process.
func startDesk(t *testing.T, d *deployment, people *idp.Provider, seed []byte, at string) (string, *typed) {
	t.Helper()
	access := filepath.Join(d.dir, "access.yaml")
	rules := `groups: {vawg-analysts: [analyst], vawg-superintendents: [officer], hackney-vawg: ["team:Hackney"],
  professional-standards: [restricted, officer], platform: [operator]}`
	if err := os.WriteFile(access, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	c := d.typing([]string{"HARMSTACK_DESK_URL=http://" + at, "HARMSTACK_DESK_LISTEN=" + at, "HARMSTACK_ACCESS=" + access,
		"HARMSTACK_DESK_KEY=desk=" + base64.StdEncoding.EncodeToString(seed), "HARMSTACK_OIDC_ISSUER=" + people.Issuer,
		"HARMSTACK_OIDC_CLIENT_ID=" + idp.Desk, "HARMSTACK_OIDC_CLIENT_SECRET=" + idp.DeskSecret, "HARMSTACK_OIDC_CLI=" + idp.CLI,
	}, "desk")
	d.eventually(func() bool { return strings.Contains(c.out.String(), "the desk serves") })
	return "http://" + at, c
}

// signIn keeps the sign-in of a person as `starter login` does.
func signIn(t *testing.T, d *deployment, people *idp.Provider, desk, login string) clerk {
	t.Helper()
	home := t.TempDir()
	kept, err := json.Marshal(map[string]string{"identity": people.Token(t, idp.CLI, login)})
	at, parseErr := url.Parse(desk)
	if err != nil || parseErr != nil {
		t.Fatal(err, parseErr)
	}
	folder := filepath.Join(home, "harmstack")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, url.PathEscape(at.Host)+".json"), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"E2E_WORKER=", "E2E_STARTER=1", "XDG_CONFIG_HOME=" + home, "HARMSTACK_DESK=" + desk}
	for _, v := range d.env { // neither store nor key, nor where Temporal is
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "HARMSTACK_") {
			env = append(env, name+"=")
		}
	}
	return clerk{d, append(env, "HARMSTACK_DESK="+desk, "TEMPORAL_ADDRESS=127.0.0.1:1")}
}

func (c clerk) starter(args ...string) (out, fault string, code int) {
	c.d.t.Helper()
	typed := c.d.typing(c.env, args...)
	code = typed.wait()
	return typed.out.String(), typed.err.String(), code
}

// What somebody sees through the desk, on a machine without store, keys and Temporal, is to the byte what is seen where
// the store is; restricted suspects are their desk's there, and the log says who looked, and why.
func TestLooksThroughTheDesk(t *testing.T) {
	t.Parallel()
	people := idp.Start(t, "0")
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = 7
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	rows := extract(120)
	for i := range rows {
		if *rows[i].SuspectID == "marked-s-5" {
			rows[i].Handling = new(schemas.HandlingRestricted)
		}
	}
	address := "127.0.0.1:" + freePort(t)
	d := deploy(t, rows, "", payloadKeys("k1"), "HARMSTACK_IDENTITY="+schemas.IdentityRequired, "HARMSTACK_DESK=http://"+address,
		"HARMSTACK_DESK_KEYS=desk="+base64.StdEncoding.EncodeToString(public))
	at, _ := startDesk(t, d, people, seed, address)
	oscar, ann := signIn(t, d, people, at, "oscar"), signIn(t, d, people, at, "ann")
	percy, harry := signIn(t, d, people, at, "percy"), signIn(t, d, people, at, "harry")

	if out, fault, code := ann.starter("run", "--as-of", asOf.String()); code != 0 {
		t.Fatal(out, fault)
	}
	var n workflows.NightResult
	if err := d.client.GetWorkflow(t.Context(), workflows.NightWorkflowID(asOf), "").Get(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	if _, fault, code := oscar.starter("stack", "--why", "too early"); code != 1 || !strings.Contains(fault, "no stack is approved yet") {
		t.Error(fault)
	}
	if out, fault, code := oscar.starter("approve", "--as-of", asOf.String(), "--reason", "looked at all of it"); code != 0 {
		t.Fatal(out, fault)
	}
	var decided workflows.DecisionResult
	if err := d.client.GetWorkflow(t.Context(), n.Decision, "").Get(t.Context(), &decided); err != nil {
		t.Fatal(err)
	}
	hackney := ""
	for reference, tasking := range d.taskings() {
		if tasking.Team == "Hackney" {
			hackney = reference
		}
	}
	if _, fault, code := harry.starter("ack", hackney); code != 0 {
		t.Fatal(fault)
	}
	for _, line := range []string{
		"stack --why briefing", "stack --top 3 --why briefing", "stack --csv --why briefing", "stack --json --why briefing",
		"stack --as-of 2026-06-30 --revision 1 --why briefing", "stack --from 101 --to 110 --why briefing",
		"stack --from 99 --json --why briefing", "stack --to 7 --why briefing",
		"explain #1 --why briefing", "explain marked-s-3 --as-of 2026-06-30 --json --why briefing", "explain #110 --why briefing",
		"case #2 --why briefing", "case #2 --json --why briefing", "tasking list", "tasking list --json", "tasking list --team hackney",
		"tasking list --all --state acknowledged", "tasking show " + hackney, "tasking show " + hackney + " --json",
		"tasking show " + hackney + " --pack text --why briefing", "tasking show " + hackney + " --pack html --why briefing",
		"status", "status --json",
		// What is refused is refused alike.
		"stack", "stack --from 0 --why briefing", "stack --from 9 --to 8 --why briefing", "stack --from 1000 --why briefing",
		"stack --as-of 2026-06-29 --why briefing", "explain nobody --why briefing", "explain marked-s-5 --why briefing",
		"explain #1", "tasking show " + hackney + " --pack text", "tasking show " + hackney + " --pack pdf --why briefing",
	} {
		out, fault, code := oscar.starter(strings.Fields(line)...)
		want, wantFault, wantCode := d.starter(strings.Fields(line)...)
		ages := regexp.MustCompile(`"oldest_ns": \d+`) // which grow between the two
		out, want = ages.ReplaceAllString(out, ""), ages.ReplaceAllString(want, "")
		if out != want || code != wantCode || code == 0 && out == "" {
			t.Errorf("%s: exit %d\n%s%s\nand where the store is: exit %d\n%s%s", line, code, out, fault, wantCode, want, wantFault)
		}
	}
	// The mails of the night lead to the desk, and name nobody.
	d.mail.mu.Lock()
	mails := strings.Join(d.mail.bodies, "\n")
	d.mail.mu.Unlock()
	if strings.Contains(mails, "marked-") || !strings.Contains(mails, at+"/taskings/"+hackney) || !strings.Contains(mails, at+"/teams/Hackney") {
		t.Errorf("the mails of the night: %.3000s", mails)
	}
	// The restricted suspect: an officer is told of a count, their desk of everything.
	for _, c := range []struct {
		who   clerk
		line  string
		shows bool
		says  string
	}{
		{oscar, "stack --why briefing", false, "1 suspect is restricted and not shown."},
		{oscar, "tasking list", false, "1 restricted tasking is not listed."},
		{oscar, "explain marked-s-5 --why briefing", false, "nobody of that name"},
		{oscar, "explain marked-s-5 --why briefing --team Professional-standards", false, "the desk knows for which teams you speak"},
		{percy, "stack --why briefing", true, "marked-s-5"},
		{percy, "explain marked-s-5 --why briefing", true, "allegation"},
		{percy, "case marked-s-5 --why briefing", true, "marked-a-5-0"},
		{percy, "tasking list", true, teams.RestrictedDesk},
		{harry, "tasking list", false, "1 restricted tasking is not listed."},
		{harry, "stack --why briefing", false, "takes the role analyst or officer"},
		{harry, "status", false, "takes the role"},
		{oscar, "diff 2026-06-29 2026-06-30 --why briefing", false, "the desk does not do this"},
	} {
		out, fault, _ := c.who.starter(strings.Fields(c.line)...)
		if out += fault; !strings.Contains(out, c.says) || !c.shows && (strings.Contains(out, "marked-s-5\n") || strings.Contains(out, "marked-a-5-")) {
			t.Errorf("%s: %s", c.line, out)
		}
	}
	// Where the store is it takes somebody's word, which the log keeps.
	if out := d.succeed("case", "marked-s-5", "--why", "briefing", "--team", teams.RestrictedDesk); !strings.Contains(out, "marked-a-5-0") {
		t.Error(out)
	}
	log, err := audit.Read(t.Context(), d.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ subject, did, why string }{
		{"oscar", "looked at the stack", "briefing"}, {"oscar", "looked at positions 101 to 110", "briefing"},
		{"oscar", "looked at position 1", "briefing"}, {"oscar", "looked at the pack", "briefing"},
		{"", "looked at the pack", "briefing"}, {"", ", for " + teams.RestrictedDesk, "briefing"}, {"harry", "looked at the taskings", ""},
	} {
		if !slices.ContainsFunc(log, func(e audit.Entry) bool {
			return e.Actor.Subject == want.subject && strings.HasSuffix(e.Did, want.did) && e.Why == want.why
		}) {
			t.Errorf("the log does not say %+v", want)
		}
	}
}
