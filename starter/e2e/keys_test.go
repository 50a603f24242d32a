package e2e

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"harmstack/schemas"
	"harmstack/worker/config"
)

// payloadKeys are HARMSTACK_PAYLOAD_KEYS with those keys, each of which is made from the last letter of its id.
func payloadKeys(ids ...string) string {
	for i, id := range ids {
		ids[i] = id + "=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{id[len(id)-1]}, 32))
	}
	return "HARMSTACK_PAYLOAD_KEYS=" + strings.Join(ids, ",")
}

// Without the keys of what runs there, or a word on them, no command that speaks to Temporal starts: nothing is sent in
// clear to those who are encrypted.
func TestStarterNeedsTheKeys(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "", payloadKeys("k1"))
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	commands := [][]string{
		append([]string{"approve"}, byHand(n)...), append([]string{"hold"}, byHand(n)...),
		append([]string{"revoke", "--revision", "1"}, byHand(n)...),
		{"run", "--as-of", asOf.AddDays(1).String()}, {"backfill", "--from", asOf.AddDays(1).String(), "--to", asOf.AddDays(1).String()},
		{"schedule", "apply"}, {"schedule", "show"}, {"schedule", "pause", "--reason", "x"}, {"schedule", "trigger"}, {"tasking", "resume"},
		{"ack", "k7qd-2m4x-9w3t-c5hn", "--team", "Hackney", "--by", "PS Example"},
	}
	for _, c := range []struct{ scenario, keys, says string }{
		{"no word", "HARMSTACK_PAYLOAD_KEYS=", "HARMSTACK_PAYLOAD_KEYS: give id=key"},
		{"none", "HARMSTACK_PAYLOAD_KEYS=" + config.NoKeys, `encrypted with the key "k1"`},
		{"another key", payloadKeys("k2"), `encrypted with the key "k1"`},
	} {
		for _, args := range commands {
			command := d.typing([]string{c.keys}, args...)
			if code := command.wait(); code != 1 || !strings.Contains(command.err.String(), c.says) {
				t.Errorf("%s, %v: exit %d: %s", c.scenario, args, code, command.err.String())
			}
		}
		// Looking needs no keys, and says what it cannot show.
		looking := d.typing([]string{c.keys}, "status")
		if code := looking.wait(); code != 0 || !strings.Contains(looking.out.String(), asOf.String()) {
			t.Errorf("%s, status: exit %d: %s", c.scenario, code, looking.err.String())
		}
	}
	for _, e := range d.history(n.Decision, "").Events {
		if e.GetWorkflowExecutionUpdateAcceptedEventAttributes() != nil {
			t.Error("something was sent to the decision")
		}
	}
	if _, err := d.client.DescribeWorkflowExecution(t.Context(), "night-"+asOf.AddDays(1).String(), ""); err == nil {
		t.Error("a night was started")
	}
	d.succeed(commands[0]...)
}

// The workers have a newer key than the starter: what they answer cannot be read, but what was done is said to be done.
func TestUnreadableAnswer(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "", payloadKeys("k1"))
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	d.mu.Lock()
	d.env = append(d.env, payloadKeys("k2", "k1"))
	d.mu.Unlock()
	d.kill()
	old := payloadKeys("k1")
	approving := d.typing([]string{old}, append([]string{"approve"}, byHand(n)...)...)
	if code := approving.wait(); code != 0 || !strings.Contains(approving.err.String(), "but the decision is recorded") ||
		!strings.Contains(approving.out.String(), "Night 2026-06-30-r1 is approved by DCI Example") {
		t.Errorf("exit %d: %s%s", code, approving.out.String(), approving.err.String())
	}
	// From then on the new key is seen before anything is sent.
	d.eventually(func() bool { return len(d.taskings()) == 40 })
	running := d.typing([]string{old}, "run", "--as-of", asOf.AddDays(1).String())
	if code := running.wait(); code != 1 || !strings.Contains(running.err.String(), `encrypted with the key "k2"`) {
		t.Errorf("exit %d: %s", code, running.err.String())
	}
}
