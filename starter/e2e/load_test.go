package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/schemas"
	"harmstack/workflows"
)

// BenchmarkDesk lets 300 people who are signed in read and answer, each every two to four seconds, while a night runs, for
// HARMSTACK_LOAD (30s). It reports how long pages took and how many went wrong, and that each note stands in its
// tasking once.
//
//	HARMSTACK_LOAD=5m go test ./starter/e2e -run '^$' -bench Desk -benchtime 1x -timeout 30m
func BenchmarkDesk(b *testing.B) {
	lasts := 30 * time.Second
	if text := os.Getenv("HARMSTACK_LOAD"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		l := &load{b: b, gate: withDesk(b, extract(120)), until: time.Now().Add(time.Hour)}
		l.night("2026-06-30", true)
		l.prepare()
		l.until = time.Now().Add(lasts)
		var all sync.WaitGroup
		all.Go(func() { // a night runs all the while
			for n := 0; time.Now().Before(l.until); n++ {
				l.night(fmt.Sprintf("2026-06-%02d", 1+n%29), false)
			}
		})
		for n := range 300 {
			who := []string{"harry", "barbara", "harry", "barbara", "ann", "oscar", "aud"}[n%7]
			browser := l.signIn(fmt.Sprintf("%s-%d", who, n))
			all.Go(func() { l.person(n, who, browser) })
		}
		all.Wait()
		l.report()
	}
}

type load struct {
	*gate
	b     *testing.B
	until time.Time
	own   map[string][]string // taskings by who answers them
	mu    sync.Mutex
	took  []time.Duration
	wrong []string
	notes map[string]string // of a text, its tasking
}

// night runs a night, and has it approved.
func (l *load) night(asOf string, approve bool) {
	code, body := l.ask("chief", "POST", "/api/v1/nights", `{"as_of": "`+asOf+`", "force": true}`)
	var n workflows.NightResult
	err := l.d.client.GetWorkflow(l.b.Context(), workflows.NightWorkflowID(schemas.MustDate(asOf)), "").Get(l.b.Context(), &n)
	if code != 200 || err != nil {
		l.b.Errorf("night %s: %d %s, %v", asOf, code, body, err)
	}
	if approve {
		code, body := l.ask("oscar", "POST", "/api/v1/nights/"+asOf+"/decision",
			`{"decision": "approve", "manifest_sha256": "`+n.Manifest.SHA256+`", "reason": "looked at it"}`)
		if code != 200 {
			l.b.Fatal(code, body)
		}
	}
}

// prepare lets the sergeants take on all that is theirs.
func (l *load) prepare() {
	l.d.eventually(func() bool { return len(l.d.taskings()) >= 100 })
	l.own, l.notes = map[string][]string{}, map[string]string{}
	for reference, t := range l.d.taskings() {
		who := map[string]string{"Hackney": "harry", "Barnet": "barbara"}[t.Team]
		if who == "" {
			continue
		}
		l.own[who] = append(l.own[who], reference)
		l.d.eventually(func() bool {
			code, _ := l.ask(who, "POST", "/api/v1/taskings/"+reference+"/acknowledge", `{}`)
			return code == 200
		})
	}
}

// signIn is a browser of somebody whom the provider named.
func (l *load) signIn(who string) *http.Client {
	browser := l.people.Browser(l.b)
	r := l.people.Login(l.b, browser, l.url+"/sign-in", who)
	r.Body.Close()
	r, err := browser.Get(r.Header.Get("Location"))
	if err != nil || r.StatusCode != http.StatusSeeOther {
		l.b.Fatal(r, err)
	}
	r.Body.Close()
	return browser
}

var formToken = regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`)
var formVersion = regexp.MustCompile(`name="version" value="(\d+)"`)

// person reads, and now and then answers, until the time is over.
func (l *load) person(n int, who string, browser *http.Client) {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	pages := map[string][]string{
		"harry": {"/", "/teams/Hackney"}, "barbara": {"/", "/teams/Barnet"}, "ann": {"/", "/stack", "/nights/2026-06-30/r1/changes", "/teams", "/nights"},
		"oscar": {"/", "/nights/2026-06-30/r1", "/meeting", "/measures"}, "aud": {"/", "/audit", "/measures"},
	}[who]
	for i := 0; ; i++ {
		time.Sleep(2*time.Second + time.Duration(random.Int64N(int64(2*time.Second))))
		if time.Now().After(l.until) {
			return
		}
		path := pages[random.IntN(len(pages))]
		if own := l.own[who]; len(own) > 0 && i%3 == 2 {
			path = "/taskings/" + own[random.IntN(len(own))]
		}
		page := l.get(browser, path)
		if !strings.HasPrefix(path, "/taskings/") || i%6 != 5 || page == "" {
			continue
		}
		text := fmt.Sprintf("note %d of person %d", i, n)
		fields := url.Values{"do": {"progress"}, "note": {text}, "csrf": formToken.FindStringSubmatch(page)[1:]}
		if v := formVersion.FindStringSubmatch(page); v != nil {
			fields["version"] = v[1:]
		}
		r, err := browser.PostForm(l.url+path, fields)
		l.mu.Lock()
		if err != nil || r.StatusCode != http.StatusSeeOther {
			l.wrong = append(l.wrong, fmt.Sprintf("answering %s: %v %v", path, r, err))
		} else {
			l.notes[text] = strings.TrimPrefix(path, "/taskings/")
		}
		l.mu.Unlock()
		if err == nil {
			r.Body.Close()
		}
	}
}

func (l *load) get(browser *http.Client, path string) string {
	began := time.Now()
	r, err := browser.Get(l.url + path)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wrong = append(l.wrong, path+": "+err.Error())
		return ""
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, took)
	if err != nil || r.StatusCode != http.StatusOK {
		l.wrong = append(l.wrong, fmt.Sprintf("%s: %s, %v", path, r.Status, err))
		return ""
	}
	return string(page)
}

func (l *load) report() {
	slices.Sort(l.took)
	at := func(share float64) float64 { return float64(l.took[int(share*float64(len(l.took)-1))].Milliseconds()) }
	l.b.ReportMetric(float64(len(l.took)), "pages")
	l.b.ReportMetric(at(0.5), "ms/median")
	l.b.ReportMetric(at(0.95), "ms/95%")
	l.b.ReportMetric(at(0.99), "ms/99%")
	l.b.ReportMetric(float64(len(l.notes)), "notes")
	l.b.ReportMetric(float64(len(l.wrong)), "wrong")
	for _, w := range l.wrong[:min(len(l.wrong), 5)] {
		l.b.Log(w)
	}
	stands := map[string]int{}
	err := casework.All(l.b.Context(), l.d.store, func(t *schemas.Tasking) error {
		for _, e := range t.Events {
			stands[e.Reason]++
		}
		return nil
	})
	if err != nil {
		l.b.Fatal(err)
	}
	for text := range l.notes {
		if stands[text] != 1 {
			l.b.Errorf("%q stands %d times", text, stands[text])
		}
	}
}
