package cli

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
)

// signingAs sets the keys of the environment: a worker's, made from one byte.
func signingAs(t *testing.T, b byte) {
	t.Helper()
	seed := bytes.Repeat([]byte{b}, ed25519.SeedSize)
	t.Setenv("HARMSTACK_SIGNING_KEY", base64.StdEncoding.EncodeToString(seed))
	t.Setenv("HARMSTACK_SIGNED_BY", "worker="+sign.Public(ed25519.NewKeyFromSeed(seed)))
}

// signedNight is oneNight in a store whose records are all taken for old ones, under the worker's key.
func signedNight(t *testing.T) (dir string) {
	t.Helper()
	_, _, dir = oneNight(t, "S-1")
	t.Setenv("HARMSTACK_STORE", dir)
	signingAs(t, 1)
	if said, err := run(t, "verify", "--adopt", "--why", "it begins"); err != nil || !strings.Contains(said, " without a signature taken for old.") {
		t.Fatalf("%s, %v", said, err)
	}
	return dir
}

func TestAuditList(t *testing.T) {
	_, _, dir := oneNight(t, "S-1")
	t.Setenv("HARMSTACK_STORE", dir)
	if _, err := run(t, "explain", "#1", "--why", "a question of the =court"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args       string
		has, hasNo string
	}{
		{"", "published a night", ""},
		{"--night 2026-06-30", "a question of the =court", ""},
		{"--night 2026-06-29", "NUMBER", "2026-06-30"},
		{"--who " + whoami(), "a question of the =court", "harmstack  system"},
		{"--who nobody-of-that-name", "NUMBER", "2026-06-30"},
		{"--subject k7qd-2m4x-9w3t-c5hn", "NUMBER", "a question"},
		{"--from 2026-01-01 --to 2026-01-02", "NUMBER", "2026-06-30"},
		{"--csv", "NUMBER,AT,OPERATION,WHO", ""},
	} {
		said, err := run(t, append([]string{"audit", "list"}, strings.Fields(c.args)...)...)
		if err != nil || !strings.Contains(said, c.has) || c.hasNo != "" && strings.Contains(said, c.hasNo) || strings.Contains(said, "S-1") {
			t.Errorf("%s: %v\n%s", c.args, err, said)
		}
	}
	said, err := run(t, "audit", "list", "--json", "--who", whoami())
	var entries []audit.Entry
	if err != nil || json.Unmarshal([]byte(said), &entries) != nil || len(entries) != 1 || entries[0].Operation != audit.Consultation || entries[0].Actor.Verified != audit.Claimed {
		t.Errorf("%v\n%s", err, said)
	}
}

// What is shown was verified first: a forged manifest, decision, approval or tasking is refused, not shown.
func TestWhatIsForgedIsNotShown(t *testing.T) {
	const night = "nights/2026-06-30/r1/"
	for _, c := range []struct {
		scenario, file, old, new string
		commands                 []string
	}{
		{"a manifest", night + "manifest.json", `"suspects": 1`, `"suspects": 2`, []string{"stack --why x", "explain #1 --why x", "case #1 --why x", "diff 2026-06-30 2026-06-30 --why x"}},
		{"an approval", "approvals/000001.json", `"approved_by": "DCI`, `"approved_by": "PC`, []string{"stack --why x", "explain #1 --why x", "case #1 --why x"}},
		{"a decision", night + "decision.json", `"by": "DCI`, `"by": "PC`, []string{"status"}},
		{"a tasking", "taskings/cases/k7qd-2m4x-9w3t-c5hn/000001.json", "Hackney", "Barnet", []string{"tasking show k7qd-2m4x-9w3t-c5hn"}},
		{"a message", "deliveries/2-refused/one.json", "Hackney", "Barnet", []string{"tasking deliveries"}},
		{"a stack", night + "stack.parquet", "PAR1", "PAR2", []string{"stack --why x"}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			dir := signedNight(t)
			for _, command := range c.commands {
				if said, err := run(t, strings.Fields(command)...); err != nil {
					t.Fatalf("%s: %v\n%s", command, err, said)
				}
			}
			data := read(t, dir, c.file)
			if !bytes.Contains(data, []byte(c.old)) {
				t.Fatalf("%s", data)
			}
			if err := os.WriteFile(filepath.Join(dir, c.file), bytes.Replace(data, []byte(c.old), []byte(c.new), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, command := range append(c.commands, "verify") {
				said, err := run(t, strings.Fields(command)...)
				if err == nil || !strings.Contains(said+err.Error(), c.file) {
					t.Errorf("%s: %v\n%s", command, err, said)
				}
			}
		})
	}
}

func TestVerifyAndCheckpoints(t *testing.T) {
	dir := signedNight(t)
	if said, err := run(t, "verify"); err != nil || !strings.Contains(said, "Everything is as it was written: 1 night, ") || !strings.Contains(said, "its signatures hold") {
		t.Fatalf("%s, %v", said, err)
	}
	checkpoint, err := run(t, "audit", "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "checkpoint.txt")
	if err := os.WriteFile(file, []byte("Dear auditor\n\n"+checkpoint), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"audit verify --against " + file, "verify --against " + file} {
		if said, err := run(t, strings.Fields(command)...); err != nil || !strings.Contains(said, "1 checkpoint") {
			t.Errorf("%s: %s, %v", command, said, err)
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "audit", "*.json"))
	if err != nil || os.Remove(logs[len(logs)-1]) != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"audit verify --against " + file, "verify --against " + file} {
		if said, err := run(t, strings.Fields(command)...); err == nil || !strings.Contains(said, "1 record was cut off at its end") {
			t.Errorf("%s: %s, %v", command, said, err)
		}
	}
	signingAs(t, 2)
	if said, err := run(t, "audit", "verify", "--against", file); err == nil || !strings.Contains(err.Error(), "no key of HARMSTACK_SIGNED_BY signed it") {
		t.Errorf("by a stranger's keys: %s, %v", said, err)
	}
	t.Setenv("HARMSTACK_SIGNING_KEY", "")
	t.Setenv("HARMSTACK_SIGNED_BY", "")
	if said, err := run(t, "audit", "verify"); err != nil || !strings.Contains(said, "NOT checked") {
		t.Errorf("without keys: %s, %v", said, err)
	}
	if said, err := run(t, "audit", "verify", "--against", file); err == nil {
		t.Errorf("without keys: %s", said)
	}
}

func TestAuditKey(t *testing.T) {
	t.Setenv("HARMSTACK_SIGNING_KEY", "")
	made, err := run(t, "audit", "key", "--name", "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(made), "\n")
	seed, ok := strings.CutPrefix(lines[0], "HARMSTACK_SIGNING_KEY=")
	line, ok2 := strings.CutPrefix(lines[1], "HARMSTACK_SIGNED_BY=")
	if k, err := sign.Parse(seed, line); !ok || !ok2 || err != nil || !k.Signs() {
		t.Errorf("%v\n%s", err, made)
	}
	t.Setenv("HARMSTACK_SIGNING_KEY", seed)
	if again, err := run(t, "audit", "key", "--name", "worker-1"); err != nil || strings.TrimSpace(again) != lines[1] {
		t.Errorf("%v\n%s", err, again)
	}
}
