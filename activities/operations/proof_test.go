package operations

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// The morning's watch sends the auditor a checkpoint, once, keeps it in the second store, and finds what was forged or
// cut off, whatever else cannot be read for it.
func TestTheWatchProves(t *testing.T) {
	dir := t.TempDir()
	seed := bytes.Repeat([]byte{1}, ed25519.SeedSize)
	keys, err := sign.Parse(base64.StdEncoding.EncodeToString(seed), "worker="+sign.Public(ed25519.NewKeyFromSeed(seed)))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	st.Keys = keys
	outbox := filepath.Join(dir, "outbox")
	mailer, err := digest.NewOutbox(outbox, "harmstack@example.police.uk")
	if err != nil {
		t.Fatal(err)
	}
	file := bytes.Replace(teams.Example(), []byte("# auditor:"), []byte("auditor:"), 1)
	a := Activities{Store: st, Mailer: mailer, Checkpoints: filepath.Join(dir, "second"),
		Teams: func() (*teams.Teams, error) { return teams.Parse(file, os.Getenv, reference.Default()) }}
	if _, err := nights.Claim(t.Context(), st, day.AddDays(-1), "a run"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		e := audit.Entry{Operation: audit.Alteration, Actor: audit.Worker, Did: "something"}
		if err := audit.Append(t.Context(), st, e); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if findings, err := a.prove(t.Context(), day); err != nil || len(findings) > 0 {
			t.Fatalf("%+v, %v", findings, err)
		}
	}
	mails, err := filepath.Glob(filepath.Join(outbox, "*.eml"))
	if err != nil || len(mails) != 1 {
		t.Fatalf("%q, %v", mails, err)
	}
	mail, err := os.ReadFile(mails[0])
	if err != nil || !bytes.Contains(mail, []byte("audit@example.police.uk")) || !bytes.Contains(mail, []byte("checkpoint.txt")) {
		t.Errorf("%v\n%s", err, mail)
	}
	if c, err := keys.OpenCheckpoint(mail); err != nil || c.Size != 3 {
		t.Errorf("the mail as it was kept: %+v, %v\n%s", c, err, mail)
	}
	kept, err := audit.Kept(t.Context(), a.Checkpoints, keys)
	if err != nil || len(kept) == 0 || kept[0].Size != 3 {
		t.Errorf("%+v, %v", kept, err)
	}

	for _, c := range []struct {
		scenario string
		tamper   func() error
		want     string
	}{
		{"a forged decision", func() error {
			return st.Replace(t.Context(), "nights/2026-07-09/r1/"+schemas.DecisionFile, []byte("{}"))
		}, "nights/2026-07-09/r1/decision.json"},
		{"the log cut off", func() error { return os.RemoveAll(filepath.Join(dir, "store", "audit")) }, "records were cut off at its end"},
	} {
		if err := c.tamper(); err != nil {
			t.Fatal(err)
		}
		findings, err := a.prove(t.Context(), day.AddDays(1))
		if err != nil || len(findings) != 1 || findings[0].Kind != KindStoreDiffers || !strings.Contains(findings[0].Text, c.want) {
			t.Errorf("%s: %+v, %v", c.scenario, findings, err)
		}
	}
}
