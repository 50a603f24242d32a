package workflows

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/messages/digest"
	"harmstack/activities/nights"
	"harmstack/activities/task"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// flaky is a mailer that fails in its own ways before it sends, or after.
type flaky struct {
	digest.Mailer
	before, after func(digest.Message) error
}

func (f *flaky) Send(ctx context.Context, m digest.Message) error {
	if f.before != nil {
		if err := f.before(m); err != nil {
			return err
		}
	}
	if err := f.Mailer.Send(ctx, m); err != nil {
		return err
	}
	if f.after != nil {
		return f.after(m)
	}
	return nil
}

func isHackney(m digest.Message) bool { return strings.HasPrefix(m.To[0].Address, "hackney@") }

func TestMailTrouble(t *testing.T) {
	tries := 0
	for _, c := range []struct {
		scenario string
		flaky    flaky
		want     TaskingCount
		tries    int
	}{
		{"the server is away for a while", flaky{before: func(m digest.Message) error {
			if isHackney(m) {
				if tries++; tries < 5 {
					return &digest.SendError{Step: "connect", Code: 451}
				}
			}
			return nil
		}}, TaskingCount{Sent: 33}, 5},
		{"the worker dies between the sending and the record", flaky{after: func(m digest.Message) error {
			if isHackney(m) {
				if tries++; tries == 1 {
					return errors.New("the worker died")
				}
			}
			return nil
		}}, TaskingCount{Sent: 33}, 2},
		{"the server refuses one team for good", flaky{before: func(m digest.Message) error {
			if isHackney(m) {
				tries++
				return &digest.SendError{Step: "recipient 1 of 1", Code: 550, Permanent: true}
			}
			return nil
		}}, TaskingCount{Sent: 32, Failed: 1}, 1},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			tries = 0
			d := newDeployment(t, threeSuspects()...)
			c.flaky.Mailer = d.acts.Tasking.Mailer
			d.acts.Tasking.Mailer = &c.flaky
			got := d.approve(t, d.night(t, "night", schemas.NightRequest{AsOf: asOf})).Tasking
			alerts := 0
			if c.want.Failed > 0 {
				alerts = 1 // those who run the system are told which team was not
			}
			if got != c.want || tries != c.tries || d.mails(t) != c.want.Sent+alerts {
				t.Errorf("%+v after %d tries, %d mails", got, tries, d.mails(t))
			}
		})
	}
}

// Whatever an approval was meant to do, a team is written to from the current stack only, and never from
// one that was not approved.
func TestDeliverOnlyTheCurrentStack(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	first := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	deliver := func(n NightResult) (result tasking.DeliverResult, err error) {
		env := d.env(t, BoroughWorkflowID(n.Night, "Hackney"))
		env.ExecuteWorkflow(BoroughTasking, BoroughParams{Manifest: *n.Manifest, Team: "Hackney"})
		if err := env.GetWorkflowError(); err != nil {
			return result, err
		}
		return result, env.GetWorkflowResult(&result)
	}
	if _, err := deliver(first); !task.Is(err, fault.BadRequest) {
		t.Errorf("a night that is not approved: %v", err)
	}
	other := first
	other.Manifest = &schemas.ManifestRef{NightID: first.Night, URI: first.Manifest.URI, SHA256: strings.Repeat("0", 64)}
	if _, err := deliver(other); !task.Is(err, fault.OtherManifest) {
		t.Errorf("another manifest: %v", err)
	}
	d.approve(t, first)
	second := d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)})
	d.approve(t, second)
	before := d.mails(t)
	if got, err := deliver(first); err != nil || got.Outcome != tasking.Outdated || d.mails(t) != before {
		t.Errorf("an older stack: %+v, %v", got, err)
	}
	if got, err := deliver(second); err != nil || got.Outcome != tasking.Unchanged || got.Suspects != 2 || d.mails(t) != before {
		t.Errorf("the current one again: %+v, %v", got, err)
	}
	if current, err := nights.LoadCurrent(t.Context(), d.store); err != nil || current.Manifest != *second.Manifest {
		t.Errorf("%+v, %v", current, err)
	}
}

// An order that is late, because its worker was away, does nothing once a newer stack is current: that one's plan did
// not reckon with it.
func TestLateOrder(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	d.approve(t, d.night(t, "night-1", schemas.NightRequest{AsOf: asOf}))
	send := d.acts.Tasking.SendOrder
	var mu sync.Mutex // orders are sent some at once
	var late []schemas.TaskingOrder
	d.acts.Tasking.SendOrder = func(_ context.Context, o schemas.TaskingOrder) error {
		mu.Lock()
		defer mu.Unlock()
		late = append(late, o)
		return nil
	}
	d.write(t, threeSuspects()[:3]...)
	without := d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)})
	d.approve(t, without)
	d.acts.Tasking.SendOrder = send
	if len(late) != 1 || late[0].Team != "Barnet" {
		t.Fatalf("%+v", late)
	}
	d.write(t, threeSuspects()...)
	d.approve(t, d.night(t, "night-3", schemas.NightRequest{AsOf: asOf.AddDays(2)}))
	if err := d.acts.Tasking.SendOrder(t.Context(), late[0]); err != nil {
		t.Error(err)
	}
	got, err := casework.Load(t.Context(), d.store, late[0].Reference)
	if err != nil || got == nil || !got.OnStack || got.State != schemas.TaskingIssued {
		t.Errorf("%+v, %v", got, err)
	}
}

// The team that a tasking is transferred to has never read of the suspect: where its address may hold packs it is sent
// the pack at once. The team that hands it over is not.
func TestTransferBringsThePack(t *testing.T) {
	for domain, packs := range map[string]int{"example.police.uk": 2, "elsewhere.example": 0, "": 0} {
		d := newDeployment(t, threeSuspects()...)
		if d.declare(t, "cadence: nightly", "cadence: nightly"+"\n"); domain != "" {
			d.packsTo(t, domain)
		}
		sent := map[string]digest.Message{}
		d.acts.Tasking.Mailer = &flaky{Mailer: d.acts.Tasking.Mailer, before: func(m digest.Message) error {
			if strings.HasPrefix(m.Subject, "Tasking ") {
				local, _, _ := strings.Cut(m.To[0].Address, "@")
				sent[local] = m
			}
			return nil
		}}
		d.approve(t, d.night(t, "night", schemas.NightRequest{AsOf: asOf}))
		reference := d.acts.Tasking.Pseudonym("S-3")
		env := d.env(t, TaskingWorkflowID(reference))
		answer := &reply{}
		env.RegisterDelayedCallback(func() {
			env.UpdateWorkflow(Transfer.Name, "u1", answer, schemas.TaskingRequest{Team: "Barnet", By: "PS Example", To: "Hackney", Note: "moved"})
		}, time.Minute)
		env.RegisterDelayedCallback(env.CancelWorkflow, 10*time.Minute)
		env.ExecuteWorkflow(Tasking, TaskingParams{Reference: reference})
		barnet, hackney := sent["vawg.barnet"], sent["vawg.hackney"]
		if answer.err != nil || len(sent) != 2 || len(barnet.Packs) != 0 || len(hackney.Packs) != packs {
			t.Fatalf("%q: %v, %+v", domain, answer.err, sent)
		}
		for _, a := range hackney.Packs {
			if text := string(a.Data); !strings.Contains(a.Name, reference) || !strings.Contains(text, "S-3") || strings.Contains(text, "S-2") {
				t.Errorf("%s: %s", a.Name, text)
			}
		}
		if strings.Contains(hackney.Subject+hackney.Text+hackney.HTML, "S-3") {
			t.Error("the id stands in the message")
		}
		log, err := audit.Read(t.Context(), d.store)
		if err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(log, func(e audit.Entry) bool {
			return e.Operation == audit.Disclosure && strings.HasPrefix(e.Did, "sent the transferred ") &&
				strings.Contains(e.Did, " to Hackney, with packs for 1 of 1 address, of example.police.uk")
		})
		if told != (packs > 0) {
			t.Errorf("%q: the log tells of packs: %v", domain, told)
		}
	}
}

// away is a mail server that answers nobody before a time.
func away(now func() time.Time, until time.Time) func(digest.Message) error {
	return func(digest.Message) error {
		if now().Before(until) {
			return &digest.SendError{Step: "connect"}
		}
		return nil
	}
}
