package config

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/trust/sign"
	"harmstack/schemas/reference"
)

var secret = base64.StdEncoding.EncodeToString([]byte("hunter2-hunter2-hunter2-hunter2-"))

func good() map[string]string {
	return map[string]string{"HARMSTACK_STORE": "/data/store", "HARMSTACK_PSEUDONYM_KEY": secret, "HARMSTACK_OUTBOX": "/data/outbox", "HARMSTACK_PAYLOAD_KEYS": NoKeys, "HARMSTACK_STORE_KEY": "none", "HARMSTACK_SIGNING_KEY": sign.None, "HARMSTACK_IDENTITY": "claimed"}
}

func load(env map[string]string) (Config, error) {
	return Load(func(name string) string { return env[name] })
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	c, err := load(good())
	if err != nil {
		t.Fatal(err)
	}
	if c.TaskQueue != "harmstack" || c.Threads != 0 || c.Memory != 0 || len(c.Payloads.Keys) != 0 || len(c.Sources) != 0 || c.TempDir == "" {
		t.Errorf("%+v", c)
	}
	who, err := c.LoadTeams()
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := who.Find("Hackney"); !ok || p.Mail[0] != "hackney@localhost.invalid" {
		t.Errorf("%+v", p)
	}
}

func TestEverything(t *testing.T) {
	env := good()
	delete(env, "HARMSTACK_OUTBOX")
	delete(env, "HARMSTACK_PSEUDONYM_KEY")
	for name, value := range map[string]string{
		"HARMSTACK_EXTRACT": "/data/x.parquet", "HARMSTACK_SOURCES": "old=/data/old.parquet,\n new=file:///data/new.parquet",
		"HARMSTACK_PSEUDONYM_KEY_FILE": file(t, secret+"\n"), "HARMSTACK_PAYLOAD_KEYS": "k2=" + secret + ",k1=" + secret, "HARMSTACK_IDENTITY": "required", "HARMSTACK_DESK_KEYS": "desk=" + secret,
		"HARMSTACK_SMTP": "mail.example.police.uk:2525", "HARMSTACK_SMTP_TLS": "implicit", "HARMSTACK_SMTP_USER": "me",
		"HARMSTACK_SMTP_PASSWORD_FILE": file(t, "pw\n"), "HARMSTACK_MAIL_FROM": "a@example.police.uk", "HARMSTACK_TEAMS": file(t, packs), "HARMSTACK_DESK": "https://desk.example.police.uk/",
		"HARMSTACK_THREADS": "3", "HARMSTACK_MEMORY": "2GiB", "HARMSTACK_TEMP": "/scratch", "HARMSTACK_TASK_QUEUE": "q",
	} {
		env[name] = value
	}
	c, err := load(env)
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{"default": "/data/x.parquet", "old": "/data/old.parquet", "new": "file:///data/new.parquet"}
	smtp := digest.SMTPConfig{Host: "mail.example.police.uk", Port: 2525, From: "a@example.police.uk", TLS: digest.ImplicitTLS, Username: "me", Password: "pw"}
	if !reflect.DeepEqual(c.Sources, sources) || c.Mail.SMTP != smtp || string(c.PseudonymKey) != "hunter2-hunter2-hunter2-hunter2-" ||
		len(c.Payloads.Keys) != 2 || c.Payloads.Keys[0].ID != "k2" || c.Threads != 3 || c.Memory != 2<<30 || c.TempDir != "/scratch" || c.TaskQueue != "q" ||
		c.Desk != "https://desk.example.police.uk" {
		t.Errorf("%+v", c)
	}
	who, err := c.LoadTeams()
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := who.Find("Hackney"); !ok || p.Mail[0] != "Hackney VAWG <vawg.hackney@example.police.uk>" || len(who.PackDomains()) != 1 {
		t.Errorf("%+v", p)
	}
}

// packs is a teams' file by which addresses get ids.
var packs = strings.NewReplacer("# attachments: packs", "attachments: packs", "# attachment_domains:", "attachment_domains:").
	Replace(string(teams.Example()))

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		scenario, name, value, want string
	}{
		{"no store", "HARMSTACK_STORE", "", "HARMSTACK_STORE: name the folder"},
		{"no pseudonym key", "HARMSTACK_PSEUDONYM_KEY", "", "HARMSTACK_PSEUDONYM_KEY: give at least 32"},
		{"a short one", "HARMSTACK_PSEUDONYM_KEY", "aHVudGVyMg==", "HARMSTACK_PSEUDONYM_KEY: give at least 32"},
		{"one that is no base64", "HARMSTACK_PSEUDONYM_KEY", "hunter2!", "HARMSTACK_PSEUDONYM_KEY: give at least 32"},
		{"a key file that is not there", "HARMSTACK_PSEUDONYM_KEY_FILE", "/nowhere/key", "HARMSTACK_PSEUDONYM_KEY_FILE: open /nowhere/key"},
		{"no word on signatures", "HARMSTACK_SIGNING_KEY", "", "HARMSTACK_SIGNING_KEY: give 32 random bytes"},
		{"a bad signing key", "HARMSTACK_SIGNING_KEY", "hunter2", "HARMSTACK_SIGNED_BY: a signing key is 32 random bytes"},
		{"one whose public key is not there", "HARMSTACK_SIGNING_KEY", secret, "HARMSTACK_SIGNED_BY lacks the signing key's own public key"},
		{"a bad public key", "HARMSTACK_SIGNED_BY", "hunter2", "HARMSTACK_SIGNED_BY: write each public key as name=key"},
		{"no word on encryption", "HARMSTACK_PAYLOAD_KEYS", "", "HARMSTACK_PAYLOAD_KEYS: give id=key"},
		{"no word on identity", "HARMSTACK_IDENTITY", "", `HARMSTACK_IDENTITY: say "required"`},
		{"another word on identity", "HARMSTACK_IDENTITY", "hunter2", `HARMSTACK_IDENTITY: say "required"`},
		{"identity without the desk's key", "HARMSTACK_IDENTITY", "required", "HARMSTACK_DESK_KEYS: give the public key"},
		{"a desk's key that is none", "HARMSTACK_DESK_KEYS", "desk=hunter2", "HARMSTACK_DESK_KEYS: write a key as"},
		{"a bad payload key", "HARMSTACK_PAYLOAD_KEYS", "hunter2", "HARMSTACK_PAYLOAD_KEYS: payload key 1"},
		{"no word on the store's key", "HARMSTACK_STORE_KEY", " ", "HARMSTACK_STORE_KEY: name the key that seals the store"},
		{"no way to send", "HARMSTACK_OUTBOX", "", "HARMSTACK_SMTP: name a mail server"},
		{"two ways to send", "HARMSTACK_SMTP", "host", "not both"},
		{"a source without a URL", "HARMSTACK_SOURCES", "https://me:hunter2@host/x", "HARMSTACK_SOURCES: write each source"},
		{"a source twice", "HARMSTACK_SOURCES", "a=/x,a=/y", `HARMSTACK_SOURCES: the source "a" is there twice`},
		{"no thread", "HARMSTACK_THREADS", "0", "HARMSTACK_THREADS: "},
		{"memory without a unit known", "HARMSTACK_MEMORY", "2GB", `HARMSTACK_MEMORY: "2GB"`},
		{"teams of before", "HARMSTACK_TEAMS", "team,address\nHackney,a@b\n", "HARMSTACK_TEAMS: "},
		{"packs into a folder", "HARMSTACK_TEAMS", packs, "HARMSTACK_TEAMS: attachments: packs takes a mail server"},
		{"a desk by plain HTTP", "HARMSTACK_DESK", "http://hunter2.example.police.uk", "HARMSTACK_DESK: give the desk's URL, https://"},
		{"a desk with a password", "HARMSTACK_DESK", "https://me:hunter2@desk.example", "HARMSTACK_DESK: give the desk's URL"},
		{"teams that lack most", "HARMSTACK_TEAMS", "boroughs: {Hackney: {mail: [a@b.example]}}\n", "boroughs.Barnet"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			env := good()
			env[c.name] = c.value
			if c.name == "HARMSTACK_TEAMS" {
				env[c.name] = file(t, c.value)
			}
			_, err := load(env)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v does not say %q", err, c.want)
			}
		})
	}
}

// The starter, too, is told in words where nothing needs to be encrypted.
func TestClientNeedsAWordOnEncryption(t *testing.T) {
	for _, c := range []struct {
		scenario, keys, want string
		number               int
	}{
		{"no word", "", "HARMSTACK_PAYLOAD_KEYS: give id=key", 0},
		{"blanks", " \n", "HARMSTACK_PAYLOAD_KEYS: give id=key", 0},
		{"none", NoKeys, "", 0},
		{"two keys", "k2=" + secret + ",k1=" + secret, "", 2},
		{"a bad key", "k1=hunter2", "HARMSTACK_PAYLOAD_KEYS: payload key 1", 0},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got, err := LoadClient(func(name string) string {
				return map[string]string{"HARMSTACK_STORE": "/data/store", "HARMSTACK_PAYLOAD_KEYS": c.keys, "HARMSTACK_STORE_KEY": "none"}[name]
			})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || len(got.Payloads.Keys) != c.number {
				t.Errorf("%d keys, %v", len(got.Payloads.Keys), err)
			}
		})
	}
}

func TestMailServerWantsAddresses(t *testing.T) {
	env := good()
	delete(env, "HARMSTACK_OUTBOX")
	env["HARMSTACK_SMTP"] = "mail.example.police.uk"
	_, err := load(env)
	if err == nil || !strings.Contains(err.Error(), "HARMSTACK_TEAMS: name") || !strings.Contains(err.Error(), "HARMSTACK_MAIL_FROM: name") {
		t.Error(err)
	}
}

// The offences of the teams' file are looked up in the tables that the same environment names.
func TestTeamsByTheConfiguredEdition(t *testing.T) {
	index, err := reference.Files.ReadFile(reference.EditionFile)
	if err != nil {
		t.Fatal(err)
	}
	env := good()
	env["HARMSTACK_TEAMS"] = file(t, strings.Replace(string(teams.Example()), `"008/67"`, `"250/01"`, 1))
	if _, err := load(env); err == nil || !strings.Contains(err.Error(), "HARMSTACK_TEAMS: ") {
		t.Errorf("of the edition that is built in: %v", err)
	}
	env["HARMSTACK_EDITION"] = file(t, string(index)+"cchi-2025-001,250/01,250A,A new offence,365,,,,\n")
	if c, err := load(env); err != nil {
		t.Error(err)
	} else if _, err := c.LoadTeams(); err != nil {
		t.Error(err)
	}
}
