package workflows

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/operations"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// letters are the messages that were written, by the local part of the first addressee, decoded enough to be searched.
func (d *deployment) letters(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.outbox, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	letters := map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "=\r\n", "")
		_, to, _ := strings.Cut(text, "\r\nTo: ")
		local, _, _ := strings.Cut(strings.TrimLeft(to, "<"), "@")
		letters[local] += text
	}
	return letters
}

// trouble is what status, watch and metrics say some time after the approval.
func (d *deployment) trouble(t *testing.T, after time.Duration) casework.Trouble {
	t.Helper()
	current, err := nights.LoadCurrent(t.Context(), d.store)
	if err != nil || current == nil {
		t.Fatal(current, err)
	}
	trouble, err := tasking.Trouble(t.Context(), d.store, current.At.Add(after))
	if err != nil {
		t.Fatal(err)
	}
	return trouble
}

// One order that fails keeps neither the others nor the digests; it is reported, tried again, and in the end carried
// out with the deadline that the digest has told.
func TestOneOrderFails(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	send, hide := d.acts.Tasking.SendOrder, d.acts.Tasking.Pseudonym
	left := 4 // attempts that fail
	var seen casework.Trouble
	d.acts.Tasking.SendOrder = func(ctx context.Context, o schemas.TaskingOrder) error {
		if o.Reference == hide("S-2") && left > 0 {
			if left--; left == 0 {
				seen = d.trouble(t, 2*time.Hour) // before it is carried out
			}
			return errors.New("the tasking is damaged")
		}
		return send(ctx, o)
	}
	got := d.approve(t, d.night(t, "night", schemas.NightRequest{AsOf: asOf})).Tasking
	if want := (TaskingCount{Sent: 33, LateOrders: 1}); got != want || d.mails(t) != 33 {
		t.Errorf("%+v, %d mails", got, d.mails(t))
	}
	if want := []string{hide("S-2") + " of Hackney (the tasking is damaged)"}; !slices.Equal(seen.LateOrders, want) || len(seen.Untold) > 0 {
		t.Errorf("%+v", seen)
	}
	// The test's environment runs the retries too: here, it is over.
	if after := d.trouble(t, 2*time.Hour); left != 0 || len(after.LateOrders) != 0 {
		t.Errorf("%d failures are left, %+v", left, after)
	}
	for _, suspect := range []string{"S-1", "S-2", "S-3"} {
		got, err := casework.Load(t.Context(), d.store, hide(suspect))
		if err != nil || got == nil || got.State != schemas.TaskingIssued {
			t.Fatalf("%s: %+v, %v", suspect, got, err)
		}
		team := map[string]string{"S-3": "barnet"}[suspect]
		if team == "" {
			team = "hackney"
		}
		if says := "acknowledge by " + got.Chase.Lead.In(schemas.London).Format("Monday 2 January 2006, 15:04"); !strings.Contains(d.letters(t)[team], says) {
			t.Errorf("%s: the digest does not say %q", suspect, says)
		}
	}
}

// A tasking whose file is damaged keeps nobody from the night after: not the plan, not the orders, not the digests, not
// the measures. Once it is mended, its order is carried out.
func TestDamagedTasking(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	hide := d.acts.Tasking.Pseudonym
	d.approve(t, d.night(t, "night-1", schemas.NightRequest{AsOf: asOf}))
	key := "taskings/cases/" + hide("S-1") + "/000001.json"
	good := read(t, d.store, key)
	if err := d.store.Replace(t.Context(), key, []byte("{")); err != nil {
		t.Fatal(err)
	}
	d.write(t, append(threeSuspects(), rape("S-1", "Hackney", "2026-07-01", 3), rape("S-3", "Barnet", "2026-07-01", 2))...)
	n := d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)})
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.OnWorkflow(LateTasking, mock.Anything, mock.Anything).Return(LateResult{}, nil) // three days of it
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", &answer{}, request(n)) }, time.Hour)
	})
	if want := (TaskingCount{Sent: 33, LateOrders: 1}); err != nil || result.Tasking != want {
		t.Errorf("%+v, %v", result.Tasking, err)
	}
	other, err := casework.Load(t.Context(), d.store, hide("S-3"))
	if err != nil || other.Version != 2 {
		t.Errorf("another team's tasking: %+v, %v", other, err)
	}
	m, err := tasking.Measure(t.Context(), d.store, time.Now())
	if err != nil || m.Unreadable != 1 || m.Open != 2 || len(m.LateOrders) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	again := func(want int) {
		t.Helper()
		done, still, err := tasking.SendAgain(t.Context(), d.store, d.acts.Tasking.SendOrder)
		if err != nil || done != want || len(still) != 1-want {
			t.Errorf("%d done, %+v, %v", done, still, err)
		}
	}
	again(0)
	if err := d.store.Replace(t.Context(), key, good); err != nil {
		t.Fatal(err)
	}
	again(1)
	if got, err := casework.Load(t.Context(), d.store, hide("S-1")); err != nil || got.Version != 2 || got.Facts.Allegations != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if after := d.trouble(t, 2*time.Hour); len(after.LateOrders) != 0 {
		t.Errorf("%+v", after)
	}
}

// mailServer takes messages over SMTP, but for what answer says of the n-th time that an address is asked for.
type mailServer struct {
	answer func(address string, n int) error

	mu    sync.Mutex
	asked map[string]int
	got   map[string][]string // messages by address
}

type mailSession struct {
	s  *mailServer
	to []string
}

func (x *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (x *mailSession) Reset()                               { x.to = nil }
func (x *mailSession) Logout() error                        { return nil }
func (x *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.asked[to]++
	if err := x.s.answer(to, x.s.asked[to]); err != nil {
		return err
	}
	x.to = append(x.to, to)
	return nil
}
func (x *mailSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	for _, to := range x.to {
		x.s.got[to] = append(x.s.got[to], string(data))
	}
	return err
}

// mailTo has the deployment send to a mail server, and to three addresses of Westminster's.
func (d *deployment) mailTo(t *testing.T, s *mailServer) {
	t.Helper()
	s.asked, s.got = map[string]int{}, map[string][]string{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{s: s}, nil }))
	server.Domain = "localhost"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	number, _ := strconv.Atoi(port)
	mailer, err := digest.NewSMTP(digest.SMTPConfig{Host: host, Port: number, TLS: digest.NoTLS, From: "harmstack@example.police.uk"})
	if err != nil {
		t.Fatal(err)
	}
	const one = `Westminster: {mail: ["Westminster VAWG <vawg.westminster@example.police.uk>"]}`
	declared := strings.Replace(string(teams.Example()), one, `Westminster: {mail: [one@example.police.uk, two@example.police.uk, three@example.police.uk]}`, 1)
	if !strings.Contains(declared, "two@") {
		t.Fatal("the example says otherwise")
	}
	d.acts.Tasking.Mailer, d.acts.Operations.Mailer = mailer, mailer
	d.acts.Tasking.Teams = func() (*teams.Teams, error) { return teams.Parse([]byte(declared), os.Getenv, reference.Default()) }
	d.acts.Operations.Teams = d.acts.Tasking.Teams
}

// One dead mailbox of a team's three: the others get the digest, once, whatever becomes of it.
func TestOneDeadMailbox(t *testing.T) {
	code := func(n int) error { return &smtp.SMTPError{Code: n, Message: "two@example.police.uk: no"} }
	for _, c := range []struct {
		scenario string
		answer   func(n int) error // to the second address
		want     TaskingCount
		got      int // messages for the second address at the end
		unmet    string
		state    string // of the second address at the end
	}{
		{"refused for good", func(int) error { return code(550) }, TaskingCount{Sent: 33, RefusedAddresses: 1}, 0,
			"Westminster (mail server: recipient 2 of 3: reply 550, refused for good: check the address, the sender and the account)", ledger.Refused},
		{"greylisted", func(n int) error {
			if n < 4 {
				return code(451)
			}
			return nil
		}, TaskingCount{Sent: 33, LateAddresses: 1}, 1, "", ledger.Sent},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t, threeSuspects()...)
			s := &mailServer{answer: func(address string, n int) error {
				if address == "two@example.police.uk" {
					return c.answer(n)
				}
				return nil
			}}
			d.mailTo(t, s)
			if got := d.approve(t, d.night(t, "night", schemas.NightRequest{AsOf: asOf})).Tasking; got != c.want {
				t.Errorf("%+v", got)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			one, two, three := s.got["one@example.police.uk"], s.got["two@example.police.uk"], s.got["three@example.police.uk"]
			if len(one) != 1 || len(two) != c.got || len(three) != 1 || one[0] != three[0] || c.got > 0 && two[0] != one[0] {
				t.Errorf("%d, %d and %d messages, or not the same", len(one), len(two), len(three))
			}
			trouble := d.trouble(t, 2*time.Hour)
			if strings.Join(trouble.Unmet, ", ") != c.unmet || len(trouble.Untold) > 0 {
				t.Errorf("%+v", trouble)
			}
			entries, err := ledger.Read(t.Context(), d.store)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.Team == "Westminster" })
			if e := entries[i]; e.State != ledger.Sent || len(e.Recipients) != 3 || !e.Is(c.state) || e.Count(ledger.Sent) != 2+c.got {
				t.Errorf("%+v", e)
			}
			log, err := audit.Read(t.Context(), d.store)
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, e := range log {
				if strings.Contains(e.Did, "to Westminster") {
					_, to, _ := strings.Cut(e.Did, " to ")
					told = append(told, to)
				}
			}
			want := []string{"Westminster (2 of 3 addresses)", "Westminster"}
			if !slices.Equal(told, want[:1+c.got]) {
				t.Errorf("the log says %q", told)
			}
			keys, err := d.store.List(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				// The log alone says to whom a message went.
				if data := read(t, d.store, key); bytes.Contains(data, []byte("two@example")) && !strings.HasPrefix(key, "audit/") {
					t.Errorf("%s repeats the address", key)
				}
			}
		})
	}
}

// A team whose every address is refused is not told, which those who run the system hear at once; a team that nobody
// can tell for an hour too, although it is told in the end.
func TestUntoldTeamIsAFinding(t *testing.T) {
	const hackney = "vawg.hackney@example.police.uk"
	alerts := func(t *testing.T, d *deployment) (found []string) {
		entries, err := ledger.Read(t.Context(), d.store)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Team == teams.Operations {
				found = append(found, e.Kind+" "+e.State)
			}
		}
		return found
	}
	t.Run("refused for good", func(t *testing.T) {
		d := newDeployment(t, threeSuspects()...)
		s := &mailServer{answer: func(address string, _ int) error {
			if address == hackney {
				return &smtp.SMTPError{Code: 550, Message: "no"}
			}
			return nil
		}}
		d.mailTo(t, s)
		if got := d.approve(t, d.night(t, "night", schemas.NightRequest{AsOf: asOf})).Tasking; got != (TaskingCount{Sent: 32, Failed: 1}) {
			t.Errorf("%+v", got)
		}
		if got := d.trouble(t, 59*time.Minute); len(got.Untold) > 0 {
			t.Errorf("too early: %+v", got)
		}
		if got := d.trouble(t, 2*time.Hour); !slices.Equal(got.Untold, []string{"Hackney"}) {
			t.Errorf("%+v", got)
		}
		if got := alerts(t, d); !slices.Equal(got, []string{operations.KindTeamUntold + " sent"}) {
			t.Errorf("%q", got)
		}
	})
	t.Run("away for 90 minutes", func(t *testing.T) {
		d := newDeployment(t, threeSuspects()...)
		n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
		result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
			// The environment gives an activity up after ten attempts, which are less than an hour: here the whole
			// borough takes its time.
			env.OnWorkflow(BoroughTasking, mock.Anything, mock.Anything).Return(func(ctx workflow.Context, p BoroughParams) (tasking.DeliverResult, error) {
				if p.Team == "Hackney" {
					return tasking.DeliverResult{Outcome: tasking.Sent}, workflow.Sleep(ctx, 90*time.Minute)
				}
				return tasking.DeliverResult{Outcome: tasking.Sent}, nil
			})
			env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", &answer{}, request(n)) }, time.Hour)
		})
		if err != nil || result.Tasking != (TaskingCount{Sent: 33}) {
			t.Errorf("%+v, %v", result.Tasking, err)
		}
		if got := alerts(t, d); !slices.Equal(got, []string{operations.KindTeamUntold + " sent"}) {
			t.Errorf("%q", got)
		}
	})
}

// The digest and the tasking give the same deadline, also when the teams' file changes between the plan and the order,
// and when the digest is sent late.
func TestOneDeadline(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	send, hide := d.acts.Tasking.SendOrder, d.acts.Tasking.Pseudonym
	longer := strings.Replace(string(teams.Example()), "lead: 8h", "lead: 12h", 1)
	who, err := teams.Parse([]byte(longer), os.Getenv, reference.Default())
	if err != nil {
		t.Fatal(err)
	}
	before, changed := d.acts.Tasking.Teams, atomic.Bool{} // orders are sent some at once
	d.acts.Tasking.Teams = func() (*teams.Teams, error) {
		if changed.Load() {
			return who, nil
		}
		return before()
	}
	d.acts.Tasking.SendOrder = func(ctx context.Context, o schemas.TaskingOrder) error {
		changed.Store(true)
		return send(ctx, o)
	}
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	_, err = d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		down := away(env.Now, env.Now().Add(90*time.Minute))
		d.acts.Tasking.Mailer = &flaky{Mailer: d.acts.Tasking.Mailer, before: func(m digest.Message) error {
			if isHackney(m) {
				return down(m)
			}
			return nil
		}}
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", &answer{}, request(n)) }, time.Hour)
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(slices.Collect(maps.Values(d.letters(t))), "")
	for _, suspect := range []string{"S-1", "S-2", "S-3"} {
		got, err := casework.Load(t.Context(), d.store, hide(suspect))
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		// Where the teams' file says nothing else: eight working hours after the plan.
		if want := teams.Nowhere().Deadlines(got.Since); got.Chase != schemas.TaskingDeadlines(want) {
			t.Errorf("%s: %+v, want %+v", suspect, got.Chase, want)
		}
		if says := "acknowledge by " + got.Chase.Lead.In(schemas.London).Format("Monday 2 January 2006, 15:04"); !strings.Contains(all, says) {
			t.Errorf("%s: no digest says %q", suspect, says)
		}
	}
}

// A receiver that asks to be left alone for ten minutes is tried again after ten.
func TestWebhookIsLeftAlone(t *testing.T) {
	var mu sync.Mutex
	var tries []time.Time
	var now func() time.Time
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if tries = append(tries, now()); len(tries) < 3 {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer system.Close()
	d := newDeployment(t)
	const hackney = `  Hackney: {mail: ["Hackney VAWG <vawg.hackney@example.police.uk>"]`
	declared := strings.Replace(string(teams.Example()), hackney, hackney+`, webhook: {url: "`+system.URL+`", secret_env: HOOK}`, 1)
	d.acts.Tasking.Teams = func() (*teams.Teams, error) {
		return teams.Parse([]byte(declared), func(string) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) }, reference.Default())
	}
	d.life(t, func(env *testsuite.TestWorkflowEnvironment, _ func(string, func())) { now = env.Now })
	mu.Lock()
	defer mu.Unlock()
	if len(tries) < 3 || tries[1].Sub(tries[0]) < 10*time.Minute || tries[2].Sub(tries[1]) < 10*time.Minute || tries[2].Sub(tries[0]) > 25*time.Minute {
		t.Errorf("%s", tries)
	}
}
