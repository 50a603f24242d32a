package teams_test

import (
	"encoding/csv"
	"net/mail"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

func nothing(string) string { return "" }

// edited is the example with each old text, which must stand in it once, replaced by the next one.
func edited(t *testing.T, pairs ...string) []byte {
	t.Helper()
	text := string(teams.Example())
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(text, pairs[i]) != 1 {
			t.Fatalf("the example has %q %d times", pairs[i], strings.Count(text, pairs[i]))
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return []byte(text)
}

func parse(t *testing.T, pairs ...string) *teams.Teams {
	t.Helper()
	parsed, err := teams.Parse(edited(t, pairs...), nothing, reference.Default())
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

const (
	hours     = "hours:\n  from: \"08:00\"\n  to: \"18:00\"\n"
	everyHour = "hours: {every_hour: true}\n"
)

func TestDeadlines(t *testing.T) {
	for _, c := range []struct{ scenario, hours, from, remind, lead, desk string }{
		{"within a day", hours, "2026-07-01T08:00:00+01:00", "2026-07-01T12:00:00+01:00", "2026-07-01T16:00:00+01:00", "2026-07-02T14:00:00+01:00"},
		{"over a weekend", hours, "2026-07-03T17:00:00+01:00", "2026-07-06T11:00:00+01:00", "2026-07-06T15:00:00+01:00", "2026-07-07T13:00:00+01:00"},
		{"from another zone", hours, "2026-07-03T12:00:00-04:00", "2026-07-06T11:00:00+01:00", "2026-07-06T15:00:00+01:00", "2026-07-07T13:00:00+01:00"},
		{"issued at night", hours, "2026-07-01T03:45:00+01:00", "2026-07-01T12:00:00+01:00", "2026-07-01T16:00:00+01:00", "2026-07-02T14:00:00+01:00"},
		{"issued in the evening", hours, "2026-07-01T22:10:00+01:00", "2026-07-02T12:00:00+01:00", "2026-07-02T16:00:00+01:00", "2026-07-03T14:00:00+01:00"},
		{"issued at closing time", hours, "2026-07-01T18:00:00+01:00", "2026-07-02T12:00:00+01:00", "2026-07-02T16:00:00+01:00", "2026-07-03T14:00:00+01:00"},
		{"issued half a second later", hours, "2026-07-01T18:00:00.5+01:00", "2026-07-02T12:00:00+01:00", "2026-07-02T16:00:00+01:00", "2026-07-03T14:00:00+01:00"},
		{"issued on a Saturday night", hours, "2026-07-04T03:45:00+01:00", "2026-07-06T12:00:00+01:00", "2026-07-06T16:00:00+01:00", "2026-07-07T14:00:00+01:00"},
		{"Easter", hours, "2026-04-02T16:00:00+01:00", "2026-04-07T10:00:00+01:00", "2026-04-07T14:00:00+01:00", "2026-04-08T12:00:00+01:00"},
		{"issued on Good Friday", hours, "2026-04-03T09:00:00+01:00", "2026-04-07T12:00:00+01:00", "2026-04-07T16:00:00+01:00", "2026-04-08T14:00:00+01:00"},
		{"Boxing Day on a Saturday", hours, "2026-12-24T17:00:00Z", "2026-12-29T11:00:00Z", "2026-12-29T15:00:00Z", "2026-12-30T13:00:00Z"},
		{"New Year, up to closing time", hours, "2026-12-31T12:00:00Z", "2026-12-31T16:00:00Z", "2027-01-04T10:00:00Z", "2027-01-04T18:00:00Z"},
		{"Christmas Day on a Saturday", hours, "2027-12-24T17:00:00Z", "2027-12-29T11:00:00Z", "2027-12-29T15:00:00Z", "2027-12-30T13:00:00Z"},
		{"clocks go forward", hours, "2026-03-27T17:00:00Z", "2026-03-30T11:00:00+01:00", "2026-03-30T15:00:00+01:00", "2026-03-31T13:00:00+01:00"},
		{"clocks go forward, issued that night", hours, "2026-03-28T23:30:00Z", "2026-03-30T12:00:00+01:00", "2026-03-30T16:00:00+01:00", "2026-03-31T14:00:00+01:00"},
		{"clocks go back", hours, "2026-10-23T17:00:00+01:00", "2026-10-26T11:00:00Z", "2026-10-26T15:00:00Z", "2026-10-27T13:00:00Z"},
		{"clocks go back, issued that night", hours, "2026-10-25T00:30:00+01:00", "2026-10-26T12:00:00Z", "2026-10-26T16:00:00Z", "2026-10-27T14:00:00Z"},
		{"every hour, clocks go forward", everyHour, "2026-03-28T22:00:00Z", "2026-03-29T03:00:00+01:00", "2026-03-29T07:00:00+01:00", "2026-03-29T15:00:00+01:00"},
		{"every hour, Good Friday", everyHour, "2026-04-03T09:00:00+01:00", "2026-04-03T13:00:00+01:00", "2026-04-03T17:00:00+01:00", "2026-04-04T01:00:00+01:00"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			want := teams.Deadlines{Remind: at(t, c.remind), Lead: at(t, c.lead), Desk: at(t, c.desk)}
			if got := parse(t, hours, c.hours).Deadlines(at(t, c.from)); got != want {
				t.Errorf("from %s:\n got %v\nwant %v", c.from, got, want)
			}
		})
	}
}

// at reads an instant, in UTC as Deadlines must give it: a comparison with == tells the zone too.
func at(t *testing.T, s string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.UTC()
}

// The bank holidays of England from Monday to Friday, as gov.uk lists them.
var bankHolidays = []string{
	"2026-01-01", "2026-04-03", "2026-04-06", "2026-05-04", "2026-05-25", "2026-08-31", "2026-12-25", "2026-12-28",
	"2027-01-01", "2027-03-26", "2027-03-29", "2027-05-03", "2027-05-31", "2027-08-30", "2027-12-27", "2027-12-28",
	"2028-01-03", "2028-04-14", "2028-04-17", "2028-05-01", "2028-05-29", "2028-08-28", "2028-12-25", "2028-12-26",
}

func TestDeadlinesMinuteByMinute(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range [][2]string{{"08:00", "18:00"}, {"09:30", "10:30"}, {"00:00", "23:59"}} {
		minutes := func(from time.Time, worked time.Duration) time.Time {
			for ; worked > 0; from = from.Add(time.Minute) {
				wall := from.In(london)
				clock, weekday := wall.Format("15:04"), wall.Weekday()
				if clock >= day[0] && clock < day[1] && weekday != time.Saturday && weekday != time.Sunday && !slices.Contains(bankHolidays, wall.Format(time.DateOnly)) {
					worked -= time.Minute
				}
			}
			return from
		}
		tt := parse(t, hours, "hours: {from: \""+day[0]+"\", to: \""+day[1]+"\"}\n", "remind: 4h, lead: 8h, desk: 16h", "remind: 10m, lead: 59m, desk: 2h30m")
		for from := at(t, "2026-01-01T00:00:00Z"); from.Year() < 2028 || from.YearDay() < 360; from = from.Add(37*time.Hour + 23*time.Minute) {
			want := teams.Deadlines{Remind: minutes(from, 10*time.Minute), Lead: minutes(from, 59*time.Minute), Desk: minutes(from, 150*time.Minute)}
			if got := tt.Deadlines(from); got != want {
				t.Fatalf("%v, from %v:\n got %v\nwant %v", day, from, got, want)
			}
		}
	}
}

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // 24 bytes
	hook   = `, webhook: {url: "https://hooks.example.police.uk/x", secret_env: HOOK}}`
)

func TestFaults(t *testing.T) {
	hackney := `  Hackney: {mail: ["Hackney VAWG <vawg.hackney@example.police.uk>"]}`
	central := `central_desk: {mail: ["VAWG central desk <vawg.central@example.police.uk>"]}`
	withHook := func(webhook string) []string {
		return []string{central, `central_desk: {mail: [a@example.police.uk], webhook: ` + webhook + `}`}
	}
	missing := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		scenario string
		edits    []string
		want     string
	}{
		{"a borough is missing", []string{hackney, ""}, "boroughs.Hackney.mail: give at least one address"},
		{"a borough without an address", []string{hackney, "  Hackney:"}, "boroughs.Hackney.mail: give at least one address"},
		{"a borough is misspelt", []string{"  Hackney: {", "  Hackny: {"}, "boroughs.Hackny: is none of the 32 boroughs: is it Hackney?\nboroughs.Hackney.mail: give at least one address"},
		{"a borough that is none", []string{hackney, hackney + "\n  City of London: {mail: [a@example.police.uk]}"}, "boroughs.City of London: is none of the 32 boroughs: remove it"},
		{"a borough twice", []string{hackney, hackney + "\n  HACKNEY: {mail: [a@example.police.uk]}"}, "boroughs.Hackney: is there twice, in another letter case: keep one"},
		{"an address for a borough", []string{hackney, hackney + "\n  a@example.police.uk: {mail: [a@example.police.uk]}"}, "boroughs.(hidden): is none of the 32 boroughs: remove it"},
		{"an address that is none", []string{hackney, `  Hackney: {mail: ["a@example.police.uk", "example.police.uk"]}`}, "boroughs.Hackney.mail: address 2 of 2 cannot be read: write name@host or Name <name@host>"},
		{"a host that no domain can have", []string{hackney, `  Hackney: {mail: ["a@exämple..police.uk"]}`}, "boroughs.Hackney.mail: address 1 of 1 cannot be read: write name@host or Name <name@host>"},
		{"letters that no domain can have", []string{hackney, "  Hackney: {mail: [\"a@\u0301mple.police.uk\"]}"}, "boroughs.Hackney.mail: address 1 of 1 has a host that no domain can be named: check its letters"},
		{"a BCU is misspelt", []string{"  Central East: {", "  Central Eats: {"}, "bcus.Central Eats: is none of the 12 bcus: is it Central East?\nbcus.Central East.mail: give at least one address"},
		{"other attachments", []string{"# attachments: packs", "attachments: csv"}, "attachments: the one word is packs; without attachments nothing with ids is sent"},
		{"packs for nobody", []string{"# attachments: packs", "attachments: packs"}, "attachments: name in attachment_domains the domains whose addresses may hold ids"},
		{"domains without packs", []string{"# attachment_domains", "attachment_domains"}, "attachment_domains: they count with attachments: packs alone: add that, or remove them"},
		{"an address for a domain", []string{"# attachments: packs", "attachments: packs", "# attachment_domains: [met.police.uk]", "attachment_domains: [met.police.uk, hunter2@x.example]"},
			"attachment_domains: 2 of 2 is no domain: write what follows the @ of an address"},
		{"a BCU twice", []string{"bcus:\n", "bcus:\n  central east: {mail: [a@example.police.uk]}\n"}, "bcus.central east: is there twice, in another letter case: keep one"},
		{"no central desk", []string{central, ""}, "central_desk.mail: give at least one address"},
		{"no specialist desk", []string{`specialist_desk: {mail: ["VAWG specialist desk <vawg.specialist@example.police.uk>"]}`, ""}, "specialist_desk.mail: give at least one address"},

		{"a cadence that is none", []string{"cadence: nightly", "cadence: yearly"}, "cadence: give nightly, weekly or monthly"},
		{"an empty cadence", []string{"cadence: nightly", `cadence: ""`}, "cadence: give nightly, weekly or monthly"},
		{"no position", []string{"# stand_down_after: 120", "stand_down_after: 0"}, "stand_down_after: give a position from 1 to 10000, such as 120"},
		{"a position too far down", []string{"# stand_down_after: 120", "stand_down_after: 10001"}, "stand_down_after: give a position from 1 to 10000, such as 120"},
		{"a restricted desk without an address", []string{`restricted: {mail: ["Professional standards <professional.standards@example.police.uk>"]}`, "restricted: {}"},
			"restricted.mail: give at least one address"},
		{"a specialist team with the restricted desk's name", []string{"name: Child", "name: professional STANDARDS"},
			"specialists.professional STANDARDS.name: Professional standards has this name already: choose another"},

		{"no hours", []string{hours, ""}, "hours.from: it is no time of day: write it like \"08:00\"\nhours.to: it is no time of day: write it like \"08:00\""},
		{"no time of day", []string{`to: "18:00"`, `to: "24:00"`}, `hours.to: it is no time of day: write it like "08:00"`},
		{"a day of under an hour", []string{`to: "18:00"`, `to: "08:59"`}, "hours.to: must be an hour or more after hours.from, on the same day"},
		{"every hour and some", []string{hours, hours + "  every_hour: true\n"}, "hours: every_hour counts them all: remove from and to, or every_hour"},
		{"no deadlines", []string{"deadlines: {remind: 4h, lead: 8h, desk: 16h}", ""}, "deadlines.remind: it is no length of time: write it like 4h or 90m\n" +
			"deadlines.lead: it is no length of time: write it like 4h or 90m\ndeadlines.desk: it is no length of time: write it like 4h or 90m"},
		{"a number for a deadline", []string{"lead: 8h", "lead: 8"}, `deadlines.lead: it is no length of time: write it like 4h or 90m`},
		{"no time until the reminder", []string{"remind: 4h", "remind: 0s"}, "deadlines: each must be later than the one before: 0 < remind < lead < desk"},
		{"the lead with the reminder", []string{"lead: 8h", "lead: 4h"}, "deadlines: each must be later than the one before: 0 < remind < lead < desk"},
		{"the desk before the lead", []string{"desk: 16h", "desk: 6h"}, "deadlines: each must be later than the one before: 0 < remind < lead < desk"},

		{"a team without a name", []string{"name: Child", "name:"}, "specialists[3].name: give the team a name with a letter or digit from A to Z or 0 to 9"},
		{"a team without an address", []string{`    mail: ["Child abuse <child.abuse@example.police.uk>"]`, ""}, "specialists.Child.mail: give at least one address"},
		{"a team named by an address", []string{"name: Child", "name: child.abuse@example.police.uk", `    mail: ["Child abuse <child.abuse@example.police.uk>"]`, ""}, "specialists.(hidden).mail: give at least one address"},
		{"a team twice", []string{"name: Child", "name: domestic-Abuse"}, "specialists.domestic-Abuse.name: Domestic abuse has this name already: choose another"},
		{"a team named as a borough", []string{"name: Child", "name: hackney"}, "specialists.hackney.name: Hackney has this name already: choose another"},
		{"a team named as a desk", []string{"name: Child", "name: Specialist Desk"}, "specialists.Specialist Desk.name: Specialist desk has this name already: choose another"},
		{"a team named as a lead", []string{"name: Child", "name: Central East lead"}, "specialists.Central East lead.name: Central East lead has this name already: choose another"},
		{"a code that is none", []string{`"008/67"`, `"008/99"`}, `specialists.Domestic abuse.offences: offence 1 of 2 is no class or code of the edition cchi-2020 or its supplement: write it in quotes, like "019" or "020/03"`},
		{"a class that is none", []string{`"008/67"`, `"006"`}, `specialists.Domestic abuse.offences: offence 1 of 2 is no class or code of the edition cchi-2020 or its supplement: write it in quotes, like "019" or "020/03"`},
		{"an address for a code", []string{`"008/67"`, `"a@example.police.uk"`}, `specialists.Domestic abuse.offences: offence 1 of 2 is no class or code of the edition cchi-2020 or its supplement: write it in quotes, like "019" or "020/03"`},
		{"a class without its quotes", []string{`"008/67"`, `070`}, `specialists.Domestic abuse.offences: offence 1 of 2 is no class or code of the edition cchi-2020 or its supplement: write it in quotes, like "019" or "020/03"`},

		{"a webhook in the clear", withHook(`{url: "http://hooks.example.police.uk", secret_env: HOOK}`), "central_desk.webhook.url: give a URL that begins with https (http only for localhost and 127.0.0.1)"},
		{"a webhook of no host", withHook(`{url: "https:/x", secret_env: HOOK}`), "central_desk.webhook.url: give a URL that begins with https (http only for localhost and 127.0.0.1)"},
		{"a webhook without a URL", withHook(`{secret_env: HOOK}`), "central_desk.webhook.url: give a URL that begins with https (http only for localhost and 127.0.0.1)"},
		{"a webhook that is no URL", withHook(`{url: "https://hooks.example.police.uk:x", secret_env: HOOK}`), "central_desk.webhook.url: give a URL that begins with https (http only for localhost and 127.0.0.1)"},
		{"a webhook with a password", withHook(`{url: "https://u:p@hooks.example.police.uk", secret_env: HOOK}`), "central_desk.webhook.url: must hold no user or password: the secret goes into secret_env or secret_file"},
		{"a webhook without a secret", withHook(`{url: "https://hooks.example.police.uk"}`), "central_desk.webhook: give either secret_env or secret_file"},
		{"a webhook with two secrets", withHook(`{url: "https://hooks.example.police.uk", secret_env: HOOK, secret_file: x}`), "central_desk.webhook: give either secret_env or secret_file"},
		{"a format that is none", withHook(`{url: "https://hooks.example.police.uk", secret_env: HOOK, format: hunter2}`), "central_desk.webhook.format: give cloudevents, teams, slack"},
		{"CloudEvents without a secret", withHook(`{url: "https://hooks.example.police.uk", format: cloudevents}`), "central_desk.webhook: give either secret_env or secret_file"},
		{"Teams with two secrets", withHook(`{url: "https://hooks.example.police.uk", secret_env: HOOK, secret_file: x, format: teams}`), "central_desk.webhook: give either secret_env or secret_file"},
		{"Slack with a secret that is none", withHook(`{url: "https://hooks.example.police.uk", secret_env: BARE, format: slack}`), "central_desk.webhook.secret_env: the secret is not whsec_ and 24 to 64 bytes in base64"},
		{"Slack in the clear", withHook(`{url: "http://hooks.example.police.uk", format: slack}`), "central_desk.webhook.url: give a URL that begins with https (http only for localhost and 127.0.0.1)"},
		{"an empty variable", withHook(`{url: "https://hooks.example.police.uk", secret_env: ` + secret + `}`), "central_desk.webhook.secret_env: there is no secret: give whsec_ and 24 to 64 random bytes in base64"},
		{"a secret without its prefix", withHook(`{url: "https://hooks.example.police.uk", secret_env: BARE}`), "central_desk.webhook.secret_env: the secret is not whsec_ and 24 to 64 bytes in base64"},
		{"a secret that is no base64", withHook(`{url: "https://hooks.example.police.uk", secret_env: GARBLED}`), "central_desk.webhook.secret_env: the secret is not whsec_ and 24 to 64 bytes in base64"},
		{"a secret of 23 bytes", withHook(`{url: "https://hooks.example.police.uk", secret_env: SHORT}`), "central_desk.webhook.secret_env: the secret is not whsec_ and 24 to 64 bytes in base64"},
		{"a secret of 65 bytes", withHook(`{url: "https://hooks.example.police.uk", secret_env: LONG}`), "central_desk.webhook.secret_env: the secret is not whsec_ and 24 to 64 bytes in base64"},
		{"a secret file that is not there", withHook(`{url: "https://hooks.example.police.uk", secret_file: "` + missing + `"}`), "central_desk.webhook.secret_file: the file cannot be read: no such file or directory"},
		{"every part has a fault", []string{"lead: 8h", "lead: x", hackney, "", "name: Child", "name: hackney"}, "deadlines.lead: it is no length of time: write it like 4h or 90m\n" +
			"boroughs.Hackney.mail: give at least one address\nspecialists.hackney.name: Hackney has this name already: choose another"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			err := refusal(t, edited(t, c.edits...))
			if got := numbered.ReplaceAllString(err, ""); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if _, known := withoutLine[c.scenario]; !known && !numbered.MatchString(err) {
				t.Errorf("it names no line: %s", err)
			}
		})
	}
}

func TestNoTeams(t *testing.T) {
	for _, c := range []struct{ scenario, data, want string }{
		{"nothing", "# nobody\n", "the file is empty"},
		{"no YAML", "boroughs:\n  Hackney: {mail: [\"vawg@example.police.uk]}\n", "line 2: could not find end character of double-quoted text"},
		{"a field that is not known", "boroughs:\n  Hackney: {mail: [vawg@example.police.uk], mial: []}\n", `line 2: unknown field "mial"`},
		{"a field of a team that is not known", "specialists:\n- name: x\n  offence: []\n", `line 3: unknown field "offence"`},
		{"a borough twice", "boroughs: {Hackney: {}, Hackney: {}}", `line 1: the field "Hackney" is there twice`},
		{"an address that is no list", "central_desk: {mail: vawg@example.police.uk}", "line 1: central_desk.mail: a list is needed here"},
		{"an address with fields", "central_desk: {mail: [{vawg@example.police.uk: 1}]}", "line 1: central_desk.mail[0]: a text is needed here"},
		{"a text for a position", "stand_down_after: many", "line 1: stand_down_after: a whole number is needed here"},
		{"half a position", "stand_down_after: 120.5", "line 1: stand_down_after: a whole number is needed here"},
		{"a text for yes", "hours: {every_hour: often}", "line 1: hours.every_hour: true or false is needed here"},
		{"an address for an alias", "central_desk: *vawg@example.police.uk", "line 1: anchors (&), aliases (*), merges (<<) and tags (!) are not taken: write the value out, or in quotes"},
	} {
		t.Run(c.scenario, func(t *testing.T) { refused(t, []byte(c.data), c.want) })
	}
}

var numbered = regexp.MustCompile(`(?m)^line \d+: `)

// withoutLine are the faults of what the file does not have at all.
var withoutLine = map[string]bool{"no central desk": true, "no specialist desk": true, "no hours": true, "no deadlines": true, "a team without a name": true}

// refused wants the very error.
func refused(t *testing.T, data []byte, want string) {
	t.Helper()
	if got := refusal(t, data); got != want {
		t.Fatalf("got  %v\nwant %s", got, want)
	}
}

// refusal is the error of a file, which must give nothing away.
func refusal(t *testing.T, data []byte) string {
	t.Helper()
	env := map[string]string{"HOOK": secret, "BARE": strings.TrimPrefix(secret, "whsec_"), "GARBLED": secret + "!", "SHORT": "whsec_" + strings.Repeat("YWJj", 7) + "YWI=",
		"LONG": "whsec_" + strings.Repeat("YWJj", 21) + "YWI="}
	_, err := teams.Parse(data, func(name string) string { return env[name] }, reference.Default())
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, private := range []string{"police.uk", "://", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		if strings.Contains(err.Error(), private) {
			t.Errorf("the error gives %q away: %v", private, err)
		}
	}
	return err.Error()
}

// The offences of specialist teams are those of the tables by which nights are scored, newer or older than those built
// in.
func TestOffencesOfAnotherEdition(t *testing.T) {
	dir := t.TempDir()
	index, err := reference.Files.ReadFile(reference.EditionFile)
	if err != nil {
		t.Fatal(err)
	}
	edition := filepath.Join(dir, "cchi-2025.csv")
	if err := os.WriteFile(edition, append(index, "cchi-2025-001,250/01,250A,A new offence,365,,,,\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	tables, err := reference.LoadPaths(reference.Paths{Edition: edition})
	if err != nil {
		t.Fatal(err)
	}
	for _, offence := range []string{"250/01", "250", "008/67"} {
		data := edited(t, `"008/67"`, `"`+offence+`"`)
		if _, err := teams.Parse(data, nothing, tables); err != nil {
			t.Errorf("%s: %v", offence, err)
		}
		if _, err := teams.Parse(data, nothing, reference.Default()); (err == nil) != (offence == "008/67") {
			t.Errorf("%s, by the tables that are built in: %v", offence, err)
		}
	}
	_, err = teams.Parse(edited(t, `"008/67"`, `"008/99"`), nothing, tables)
	if err == nil || !strings.Contains(err.Error(), "no class or code of the edition cchi-2025 ") {
		t.Error(err)
	}
}

func TestWebhooks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("whsec_"+strings.Repeat("YWJj", 21)+"YQ==\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := edited(t, `<vawg.hackney@example.police.uk>"]}`, `<vawg.hackney@example.police.uk>"]`+hook,
		`<vawg.barnet@example.police.uk>"]}`, `<vawg.barnet@example.police.uk>"], webhook: {url: "https://hooks.slack.com/x", format: slack}}`,
		`<lead.central-east@example.police.uk>"]}`, `<lead.central-east@example.police.uk>"], webhook: {url: "http://localhost:8080/x", secret_file: "`+file+`"}}`)
	tt, err := teams.Parse(data, func(name string) string { return map[string]string{"HOOK": " " + secret + "\n"}[name] }, reference.Default())
	if err != nil {
		t.Fatal(err)
	}
	p, _ := tt.Find("Hackney")
	want := &teams.Webhook{URL: "https://hooks.example.police.uk/x", Secret: []byte("1\xf2\x90\xf6\xbf\x06)\x8a\xabO\x08\xd4<?\x08,\xf6H\xa3b\xda-\xa4\xb0"), Format: "cloudevents"}
	if !reflect.DeepEqual(p.Webhook, want) {
		t.Errorf("got %q, want %q", p.Webhook, want)
	}
	p, _ = tt.Find("Barnet")
	if want := (&teams.Webhook{URL: "https://hooks.slack.com/x", Format: "slack"}); !reflect.DeepEqual(p.Webhook, want) {
		t.Errorf("got %q, want %q", p.Webhook, want)
	}
	if w := tt.Lead("Central East").Webhook; w == nil || w.URL != "http://localhost:8080/x" || string(w.Secret) != strings.Repeat("abc", 21)+"a" {
		t.Errorf("got %q", w)
	}
	if w := tt.Desk().Webhook; w != nil {
		t.Errorf("the desk got %q", w)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "teams.yaml")
	if err := os.WriteFile(path, teams.Example(), 0o600); err != nil {
		t.Fatal(err)
	}
	if tt, err := teams.Load(path, nothing, reference.Default()); err != nil || len(tt.Owners()) != 33 {
		t.Errorf("%v, %v", tt, err)
	}
	if err := os.WriteFile(path, []byte("team: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := teams.Load(path, nothing, reference.Default()); err == nil || err.Error() != `teams.yaml: line 1: unknown field "team"` {
		t.Error(err)
	}
	if _, err := teams.Load(path+".none", nothing, reference.Default()); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// Both complete files hold everybody.
func TestEverybody(t *testing.T) {
	for name, c := range map[string]struct {
		teams *teams.Teams
		host  string
	}{"Example": {parse(t), "@example.police.uk"}, "Nowhere": {teams.Nowhere(), "@localhost.invalid"}} {
		t.Run(name, func(t *testing.T) {
			var want, got []string
			everybody := append(slices.Clone(c.teams.Owners()), c.teams.Specialists()...)
			for i, b := range reference.Default().Boroughs() {
				want = append(want, b.Name)
				if c.teams.Owners()[i].BCU != b.BCU {
					t.Errorf("%s has the BCU %q", b.Name, c.teams.Owners()[i].BCU)
				}
				lead := c.teams.Lead(b.BCU)
				if lead.Name != b.BCU+" lead" {
					t.Errorf("the lead of %s is %s", b.BCU, lead.Name)
				}
				everybody = append(everybody, lead)
			}
			everybody = append(everybody, c.teams.Desk())
			want = append(want, "Central desk", "Rape and sexual offences", "Domestic abuse", "Stalking and harassment", "Child")
			for _, p := range everybody[:37] {
				got = append(got, p.Name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			mails := map[string]string{}
			for _, p := range everybody {
				if p.Slug != strings.ReplaceAll(strings.ToLower(p.Name), " ", "-") || len(p.Mail) != 1 {
					t.Errorf("%+v", p)
					continue
				}
				a, err := mail.ParseAddress(p.Mail[0])
				if err != nil || !strings.HasSuffix(a.Address, c.host) || mails[a.Address] != "" && mails[a.Address] != p.Name {
					t.Errorf("%s: %v, %v", p.Name, a, err)
					continue
				}
				mails[a.Address] = p.Name
				if found, ok := c.teams.Find(strings.ToUpper(p.Name)); !ok || !reflect.DeepEqual(found, p) {
					t.Errorf("%s is found as %+v", p.Name, found)
				}
			}
			if len(mails) != 32+1+4+12+1 {
				t.Errorf("%d addresses", len(mails))
			}
			if got := c.teams.Deadlines(at(t, "2026-07-01T08:00:00+01:00")); got != (teams.Deadlines{Remind: at(t, "2026-07-01T12:00:00+01:00"), Lead: at(t, "2026-07-01T16:00:00+01:00"), Desk: at(t, "2026-07-02T14:00:00+01:00")}) {
				t.Errorf("%v", got)
			}
		})
	}
	if p := teams.Nowhere().Lead("Central East"); p.Mail[0] != "central-east-lead@localhost.invalid" {
		t.Errorf("%+v", p)
	}
}

func TestPace(t *testing.T) {
	plain := parse(t, "cadence: nightly\n", "")
	if plain.Cadence() != teams.Nightly || plain.StandDownAfter(100) != 100 {
		t.Errorf("without a word: %s, down to %d", plain.Cadence(), plain.StandDownAfter(100))
	}
	declared := parse(t, "# stand_down_after: 120", "stand_down_after: 120", "cadence: nightly", "cadence: monthly")
	if declared.Cadence() != teams.Monthly || declared.StandDownAfter(100) != 120 || declared.StandDownAfter(200) != 200 {
		t.Errorf("%s, down to %d and %d", declared.Cadence(), declared.StandDownAfter(100), declared.StandDownAfter(200))
	}
	// 29 June 2026 is a Monday; the clocks change on 29 March and 25 October, both Sundays.
	for _, c := range []struct {
		cadence     teams.Cadence
		asOf, since string
	}{
		{teams.Nightly, "2026-06-30", "2026-06-30"},
		{teams.Weekly, "2026-06-28", "2026-06-22"}, {teams.Weekly, "2026-06-29", "2026-06-29"}, {teams.Weekly, "2026-07-05", "2026-06-29"},
		{teams.Weekly, "2026-03-29", "2026-03-23"}, {teams.Weekly, "2026-10-25", "2026-10-19"}, {teams.Weekly, "2027-01-01", "2026-12-28"},
		{teams.Monthly, "2026-06-30", "2026-06-01"}, {teams.Monthly, "2026-07-01", "2026-07-01"}, {teams.Monthly, "2028-02-29", "2028-02-01"},
	} {
		if got := c.cadence.Since(schemas.MustDate(c.asOf)).String(); got != c.since {
			t.Errorf("%s, %s: since %s, want %s", c.cadence, c.asOf, got, c.since)
		}
	}
}

// Packs go to nobody unless the file says so, and then to the domains that it names.
func TestAttachments(t *testing.T) {
	if got := append(parse(t).PackDomains(), teams.Nowhere().PackDomains()...); len(got) > 0 {
		t.Errorf("packs go to %q without a word", got)
	}
	got := parse(t, "# attachments: packs", "attachments: packs", "# attachment_domains: [met.police.uk]", "attachment_domains: [Met.Police.UK, münchen.example]").PackDomains()
	if !slices.Equal(got, []string{"met.police.uk", "xn--mnchen-3ya.example"}) {
		t.Errorf("%q", got)
	}
}

func TestRestrictedDesk(t *testing.T) {
	desk, ok := parse(t).Restricted()
	if found, known := parse(t).Find("Professional standards"); !ok || !known || !reflect.DeepEqual(found, desk) || desk.BCU != "" || len(desk.Mail) != 1 {
		t.Errorf("%+v, %+v", desk, found)
	}
	without := parse(t, `restricted: {mail: ["Professional standards <professional.standards@example.police.uk>"]}`, "")
	if _, ok := without.Restricted(); ok {
		t.Error("there is one that nobody has declared")
	}
	if _, ok := without.Find(teams.RestrictedDesk); ok {
		t.Error("it is found")
	}
	for _, p := range append(parse(t).Owners(), parse(t).Specialists()...) {
		if p.Name == teams.RestrictedDesk {
			t.Error("it owns, or joins, taskings like a borough or a specialist team")
		}
	}
}

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{"Kensington and Chelsea": "kensington-and-chelsea", " St. John's  7 ": "st-john-s-7", "É-": ""} {
		if got := teams.Slug(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestNobody(t *testing.T) {
	tt := parse(t)
	for _, name := range []string{"", " ", "lead", " lead", "City of London", "Central East"} {
		if p, ok := tt.Find(name); ok {
			t.Errorf("%q is %s", name, p.Name)
		}
	}
	if p := tt.Lead(""); p.Name != teams.SpecialistDesk {
		t.Errorf("the central desk's lead is %q", p.Name)
	}
	if p := parse(t, "name: Child", "name: Lead").Lead(""); p.Name != teams.SpecialistDesk {
		t.Errorf("the central desk's lead is %q", p.Name)
	}
}

const (
	sexual, abuse, stalking, child = "Rape and sexual offences", "Domestic abuse", "Stalking and harassment", "Child"
)

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		offence, code string
		domesticAbuse bool
		want          []string
	}{
		{"rape, 16 or over", "019/08", false, []string{sexual}},
		{"rape by a partner", "019/08", true, []string{sexual, abuse}},
		{"rape, under 16", "019/07", false, []string{sexual, child}},
		{"sexual assault, under 13", "020/06", false, []string{sexual, child}},
		{"sexual assault", "020/05", false, []string{sexual}},
		{"within the family, adult", "023/12", false, []string{sexual}},
		{"coercive control without the flag", "008/67", false, []string{abuse}},
		{"strangulation", "008/77", false, nil},
		{"strangulation by a partner", "008/77", true, []string{abuse}},
		{"stalking by a partner", "008/66", true, []string{abuse, stalking}},
		{"stalking", "195/12", false, []string{stalking}},
		{"cruelty to a child", "011/03", false, []string{child}},
		{"actual bodily harm", "008/06", false, nil},
		{"not given", "", false, nil},
	} {
		if got := teams.Nowhere().Route(c.code, c.domesticAbuse); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.offence, got, c.want)
		}
	}
}

// The titles of the VAWG offences say where each belongs.
func TestRouteByTitle(t *testing.T) {
	titles := map[string]string{}
	for file, columns := range map[string][3]int{reference.RulesFile: {1, 3, 5}, reference.SupplementFile: {0, 2, 3}} {
		f, err := reference.Files.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if row[columns[2]] == "yes" {
				titles[row[columns[0]]] += row[columns[1]] + "; "
			}
		}
	}
	// Only some rows of attempted murder are of a child, which the code does not tell.
	delete(titles, "002/00")
	if len(titles) < 100 {
		t.Fatalf("%d offences", len(titles))
	}
	for team, words := range map[string]*regexp.Regexp{
		sexual:   regexp.MustCompile(`(?i)\brape|sex|by penetration|voyeur|^exposure|cyber-flashing|intimate photo|^Administering a substance with intent`),
		abuse:    regexp.MustCompile(`(?i)domestic abuse|coercive`),
		stalking: regexp.MustCompile(`(?i)stalking|harassment`),
		child:    regexp.MustCompile(`(?i)child|under 1`),
	} {
		for code, title := range titles {
			if got, want := slices.Contains(teams.Nowhere().Route(code, false), team), words.MatchString(title); got != want {
				t.Errorf("%s gets %s %q: %v", team, code, title, got)
			}
		}
	}
}

// The host goes out in punycode (made with another library); what stands before the @ stays as it is.
func TestParseAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given, want string
		wide        bool
	}{
		{"a@example.police.uk", "a@example.police.uk", false},
		{"VAWG <A.B@Example.Police.UK>", "A.B@Example.Police.UK", false},
		{"a@bexley-münchen.example", "a@xn--bexley-mnchen-3ob.example", false},
		{"a@MÜNCHEN.example", "a@xn--mnchen-3ya.example", false},
		{"a@例え.jp", "a@xn--r8jz45g.jp", false},
		{"müller@münchen.example", "müller@xn--mnchen-3ya.example", true},
		{"a@[192.0.2.1]", "a@[192.0.2.1]", false},
	} {
		a, err := teams.ParseAddress(c.given)
		if err != nil || a.Address != c.want || teams.NeedsSMTPUTF8(a) != c.wide {
			t.Errorf("%s: %v, %v", c.given, a, err)
		}
	}
}
