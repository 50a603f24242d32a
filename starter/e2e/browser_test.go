package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"harmstack/schemas"
	"harmstack/workflows"
)

// browser is a walk through the desk in a real Chromium (deploy/browser). The test is skipped where neither it nor what
// drives it is installed, unless HARMSTACK_E2E is full.
func browser(t *testing.T, desk string, args ...string) {
	t.Helper()
	folder := filepath.Join("..", "..", "deploy", "browser")
	_, err := os.Stat(filepath.Join(folder, "node_modules", "puppeteer-core"))
	chromium := os.Getenv("CHROMIUM")
	if err == nil && chromium == "" {
		chromium, err = exec.LookPath("chromium")
	}
	if err != nil {
		skip := t.Skipf
		if os.Getenv("HARMSTACK_E2E") == "full" {
			skip = t.Fatalf
		}
		skip("no browser: apt-get install chromium, npm install --prefix deploy/browser --no-package-lock (%v)", err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"desk.mjs", "--desk", desk, "--chromium", chromium}, args...)...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}

// A morning of each of the desk's people, on a telephone by keyboard alone and without scripts, and on a screen: from
// the sign-in at a real provider to the sign-out, with axe-core on every page.
func TestMornings(t *testing.T) {
	t.Parallel()
	g := withDesk(t, extract(40))
	for i, how := range [][]string{{"--width", "390", "--no-script", "--keyboard"}, {"--width", "1280"}} {
		asOf := schemas.MustDate("2026-06-29").AddDays(i)
		if code, body := g.ask("chief", "POST", "/api/v1/nights", `{"as_of": "`+asOf.String()+`"}`); code != 200 {
			t.Fatal(code, body)
		}
		var n workflows.NightResult
		if err := g.d.client.GetWorkflow(t.Context(), workflows.NightWorkflowID(asOf), "").Get(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
		args := append(how, "--night", asOf.String()+"/r"+strconv.Itoa(n.Night.Revision))
		if folder := os.Getenv("HARMSTACK_PICTURES"); folder != "" {
			args = append(args, "--pictures", folder)
		}
		browser(t, g.url, append(args, "officer")...)
		// The teams are told once the approval is carried out.
		g.d.eventually(func() bool {
			for reference, t := range g.d.taskings() {
				if t.Team == "Hackney" && t.State.Unanswered() {
					code, _ := g.ask("harry", "GET", "/api/v1/taskings/"+reference, "")
					return code == 200
				}
			}
			return false
		})
		browser(t, g.url, append(args, "sergeant", "analyst", "auditor")...)
	}
}
