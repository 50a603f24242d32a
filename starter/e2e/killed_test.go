package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/schemas"
	"harmstack/starter/desk/idp"
	"harmstack/workflows"
)

// The desk is killed at some moment of an act. Whoever opens the page again reads there whether it was done, and the same
// form, sent again, leaves it done once.
func TestTheDeskIsKilled(t *testing.T) {
	t.Parallel()
	people := idp.Start(t, "0")
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = 7
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	address := "127.0.0.1:" + freePort(t)
	d := deploy(t, extract(40), "", payloadKeys("k1"), "HARMSTACK_IDENTITY="+schemas.IdentityRequired, "HARMSTACK_DESK=http://"+address,
		"HARMSTACK_DESK_KEYS=desk="+base64.StdEncoding.EncodeToString(public))
	at, process := startDesk(t, d, people, seed, address)
	g := &gate{d: d, people: people, url: at, tokens: map[string]string{}}
	if code, body := g.ask("ann", "POST", "/api/v1/nights", `{"as_of": "2026-06-30"}`); code != 200 {
		t.Fatal(body)
	}
	var n workflows.NightResult
	if err := d.client.GetWorkflow(t.Context(), workflows.NightWorkflowID(asOf), "").Get(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	// The approval itself is the first act during which it dies.
	approval := url.Values{"do": {"approve"}, "manifest_sha256": {n.Manifest.SHA256}, "reason": {"looked at all of it"}}
	process = g.killed(process, seed, address, "oscar", "/nights/2026-06-30/r1", approval, 15*time.Millisecond)
	if code, _ := g.form("oscar", "/nights/2026-06-30/r1", approval); code != http.StatusSeeOther {
		t.Fatalf("the same decision again: %d", code)
	}
	if page := g.page("oscar", "/nights/2026-06-30/r1"); !strings.Contains(page, "looked at all of it") {
		t.Error("the page does not say that it was approved")
	}
	d.eventually(func() bool { return len(d.taskings()) == 40 })
	reference := ""
	for r, tasking := range d.taskings() {
		if tasking.Team == "Hackney" {
			reference = r
		}
	}
	path := "/taskings/" + reference
	d.eventually(func() bool {
		code, _ := g.form("harry", path, url.Values{"do": {"acknowledge"}, "version": {"1"}})
		return code == http.StatusSeeOther
	})
	done := 0
	for i := range 8 {
		standing, err := casework.History(t.Context(), d.store, reference)
		if err != nil {
			t.Fatal(err)
		}
		note := fmt.Sprintf("note number %d of that day", i)
		fields := url.Values{"do": {"progress"}, "note": {note}, "version": {fmt.Sprint(standing.Version)}}
		process = g.killed(process, seed, address, "harry", path, fields, time.Duration(4*i)*time.Millisecond)
		shown := strings.Count(g.page("harry", path), note)
		done += shown
		if code, _ := g.form("harry", path, fields); code != http.StatusSeeOther {
			t.Errorf("%d: the same form again: %d", i, code)
		}
		if again := strings.Count(g.page("harry", path), note); again != 1 || shown > 1 {
			t.Errorf("%d: it stood on the page %d times, and %d times after it was sent again", i, shown, again)
		}
	}
	t.Logf("%d of 8 were done when it died", done)
}

// killed sends a form, kills the desk after some time, and starts it again.
func (g *gate) killed(process *typed, seed []byte, address, login, path string, fields url.Values, after time.Duration) *typed {
	g.d.t.Helper()
	if g.tokens[login] == "" {
		g.tokens[login] = g.people.Token(g.d.t, idp.CLI, login)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r, err := http.NewRequest("POST", g.url+path, strings.NewReader(fields.Encode()))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+g.tokens[login])
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if a, err := http.DefaultTransport.RoundTrip(r); err == nil {
			a.Body.Close()
		}
	}()
	time.Sleep(after)
	process.stop()
	<-sent
	_, process = startDesk(g.d.t.(*testing.T), g.d, g.people, seed, address)
	return process
}

// page is what somebody who is signed in reads there.
func (g *gate) page(login, path string) string {
	g.d.t.Helper()
	r, err := http.NewRequestWithContext(g.d.t.Context(), "GET", g.url+path, nil)
	if err != nil {
		g.d.t.Fatal(err)
	}
	if g.tokens[login] == "" {
		g.tokens[login] = g.people.Token(g.d.t, idp.CLI, login)
	}
	r.Header.Set("Authorization", "Bearer "+g.tokens[login])
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		g.d.t.Fatal(err)
	}
	defer a.Body.Close()
	page, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		g.d.t.Fatalf("%s: %s %v", path, a.Status, err)
	}
	return string(page)
}
