package digest_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/messages/digest"
	"harmstack/schemas"
)

func ref[T any](v T) *T { return &v }

func micro(s string) int64 {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.UnixMicro()
}

func names(t *testing.T) pseudonym.Func {
	of, err := pseudonym.New(bytes.Repeat([]byte("k"), pseudonym.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// hackney is a night in which Hackney keeps P-100001, gets P-100002 new and P-100003 from another team,
// loses P-100004 below the cut and P-100005 to another team.
func hackney(t *testing.T) digest.Input {
	kept := schemas.Ranked{
		Position: 4, Rank: 4, TieSize: 1, SuspectID: "P-100001", Score: 12_045_000_000, ScoreDays: 1204.5, SumDays: 1460, MaxDays: 730,
		Allegations: 3, Reports: 2, Victims: 2, FirstReported: micro("2026-03-03T10:00:00Z"), LastReported: micro("2026-06-12T23:30:00Z"),
		OwnerBorough: ref("Hackney"), OwnerBCU: ref("Central East"), Boroughs: []string{"Hackney", "Islington"},
		DomesticAbuse: 2, NonRecent: 1, AlsoVictim: true, SuspectStatus: ref("in_custody"),
	}
	fresh := schemas.Ranked{
		Position: 99, Rank: 98, TieSize: 4, SuspectID: "P-100002", Score: 5_475_000_000, ScoreDays: 547.5, SumDays: 547.5, MaxDays: 547.5,
		Allegations: 1, Reports: 1, FirstReported: micro("2026-06-30T08:00:00Z"), LastReported: micro("2026-06-30T08:00:00Z"),
		OwnerBorough: ref("Hackney"), Boroughs: []string{"Hackney"}, SuspectStatus: ref("at_large"),
	}
	transferred := fresh
	transferred.SuspectID, transferred.Position, transferred.Victims, transferred.TieSize, transferred.Score = "P-100003", 12, 1, 1, 6_000_000_000
	transferred.OwnerBorough, transferred.Boroughs = ref("Camden"), []string{"Camden"}
	of := names(t)
	return digest.Input{
		Night: schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}, Edition: "cchi-2025", Approved: time.Date(2026, 7, 1, 8, 12, 0, 0, time.UTC),
		Team: "Hackney", To: []string{"Hackney VAWG <vawg@hackney.example>", "desk@hackney.example"},
		Suspects: []digest.Suspect{
			{Ranked: fresh, Arrival: "new", With: "Hackney", State: "Issued: acknowledge by Wednesday 1 July 2026, 17:12"},
			{Ranked: kept, Previous: ref(int64(7)), With: "Hackney", State: "Acknowledged since Monday 29 June 2026, 11:00", News: []string{"one new allegation", "now also alleged in Islington"}},
			{Ranked: transferred, Previous: ref(int64(12)), Arrival: "new to you, from Camden", With: "Hackney", State: "Transferred: acknowledge by Wednesday 1 July 2026, 17:12"},
		},
		Left:      []digest.Left{{of("P-100005"), 20, "still on the stack, now with Camden"}, {of("P-100004"), 57, "left the stack: others rank higher now"}},
		Cut:       schemas.Cut{Depth: 100, Stack: 100, Score: 5_475_000_000, InsideTie: true, TiedIn: 3, TiedOut: 1},
		Pseudonym: of,
	}
}

func build(t *testing.T, in digest.Input) digest.Message {
	t.Helper()
	m, err := digest.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDigestSays(t *testing.T) {
	in := hackney(t)
	m := build(t, in)
	if want := "VAWG stack of 30 June 2026, Hackney: 3 suspects, 2 new, 2 gone"; m.Subject != want {
		t.Errorf("subject %q", m.Subject)
	}
	one, two, three := in.Pseudonym("P-100001"), in.Pseudonym("P-100002"), in.Pseudonym("P-100003")
	want := `VAWG stack of 30 June 2026: Hackney
Revision 1, approved 1 July 2026 at 09:12.

3 suspects, 2 new, 2 gone.

4. ` + one + `  (up from 7)
   Acknowledged since Monday 29 June 2026, 11:00
   ! one new allegation
   ! now also alleged in Islington
   3 allegations in 2 crime reports, against 2 victims; 2 flagged as domestic abuse
   1,460 harm days alleged, 730 for the gravest; 1,204.5 after recency and frequency
   last reported 13 June 2026, first 3 March 2026
   * In custody.
   * Also recorded as a victim: look for a counter-allegation.
   * One allegation is non-recent: more than a year before it was reported.
   * Also alleged in Islington.

12. ` + three + `  (new to you, from Camden)
   Transferred: acknowledge by Wednesday 1 July 2026, 17:12
   1 allegation in 1 crime report, against 1 victim
   547.5 harm days alleged; 547.5 after recency and frequency
   reported 30 June 2026
   * Transferred to you; most of the alleged harm is in Camden.

99. ` + two + `  (new)
   Issued: acknowledge by Wednesday 1 July 2026, 17:12
   1 allegation in 1 crime report, no victim recorded
   547.5 harm days alleged; 547.5 after recency and frequency
   reported 30 June 2026
   * Same score as 3 other suspects; victims, allegations and the last report settle the order.
   * The edge of the stack falls inside this tie: 1 suspect with this score did not make it.

No longer with you
   ` + in.Pseudonym("P-100005") + ` (was 20): still on the stack, now with Camden
   ` + in.Pseudonym("P-100004") + ` (was 57): left the stack: others rank higher now

--
`
	body, footer, _ := strings.Cut(m.Text, "--\n")
	if body+"--\n" != want {
		t.Errorf("text:\n%s\nwant:\n%s", body, want)
	}
	for _, s := range []string{"Cambridge Crime Harm Index, edition cchi-2025, the", "suspect, from allegations", "Nobody\nis on the stack on police intelligence alone", `starter ack REFERENCE --team "Hackney"`, "No id is in this text.\n"} {
		if !strings.Contains(footer, s) {
			t.Errorf("the footer does not say %q", s)
		}
	}
	page := strings.NewReplacer("&#43;", "+", "&#39;", "'").Replace(m.HTML)
	for _, line := range strings.Split(body, "\n")[5:] {
		line = strings.Trim(line, " *!")
		if _, after, numbered := strings.Cut(line, ". "); numbered && strings.HasSuffix(line, ")") {
			line, _, _ = strings.Cut(after, "  (")
		}
		if _, why, left := strings.Cut(line, "): "); left {
			line = why
		}
		if !strings.Contains(page, line) {
			t.Errorf("the HTML part does not say %q", line)
		}
	}
}

// Only the packs may name a person, which are there for addresses of the named domains alone.
func TestNoIDOutsideThePacks(t *testing.T) {
	in := hackney(t)
	m := build(t, in)
	if len(m.Packs)+len(m.Attachments) > 0 {
		t.Errorf("without a word on packs there are %d files", len(m.Packs)+len(m.Attachments))
	}
	in.PackDomains = []string{"hackney.example"}
	if m = build(t, in); len(m.Packs) != 1 || m.Holders() != 2 || m.MayHold("a@hackney.example.org") || m.MayHold("a@x.hackney.example") ||
		!m.MayHold("A@Hackney.EXAMPLE") || !strings.Contains(m.Text+m.HTML, "Where files are attached they hold them") {
		t.Errorf("%+v", m)
	}
	m.Packs = nil
	data, err := m.Bytes(&mail.Address{Address: "harmstack@police.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(data), m.Text, m.HTML, m.Subject, m.Key} {
		if strings.Contains(s, "P-10000") {
			t.Errorf("a suspect id stands in %.200s", s)
		}
	}
}

func TestAttachment(t *testing.T) {
	in := hackney(t)
	in.Suspects[1].SuspectID = `=cmd|' /C calc'!A0`
	in.Suspects[1].OwnerBorough, in.Suspects[1].SuspectStatus = nil, nil
	in.PackDomains = []string{"hackney.example"}
	rows, err := csv.NewReader(bytes.NewReader(build(t, in).Packs[0].Data)).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if want := []string{in.Pseudonym(`=cmd|' /C calc'!A0`), "4", "4", "1", `'=cmd|' /C calc'!A0`, "1204.5", "1460", "730", "3", "2", "2",
		"2026-03-03T10:00:00Z", "2026-06-12T23:30:00Z", "", "Hackney; Islington", "2", "1", "true", ""}; !reflect.DeepEqual(rows[1], want) {
		t.Errorf("got  %q\nwant %q", rows[1], want)
	}
	if rows[3][4] != "P-100002" || rows[3][0] != in.Pseudonym("P-100002") {
		t.Errorf("got %q", rows[3])
	}
}

func TestKey(t *testing.T) {
	first := build(t, hackney(t)).Key
	for _, c := range []struct {
		scenario string
		change   func(*digest.Input)
		same     bool
	}{
		{"a later revision", func(in *digest.Input) { in.Night.Revision = 2 }, true},
		{"approved later", func(in *digest.Input) { in.Approved = in.Approved.Add(time.Hour) }, true},
		{"another state of a tasking", func(in *digest.Input) { in.Suspects[0].State, in.Suspects[0].News, in.Left = "Closed", nil, nil }, true},
		{"another address", func(in *digest.Input) { in.To = []string{"new@hackney.example"} }, true},
		{"rows in another order", func(in *digest.Input) { in.Suspects[0], in.Suspects[1] = in.Suspects[1], in.Suspects[0] }, true},
		{"another night", func(in *digest.Input) { in.Night.AsOf = schemas.MustDate("2026-07-01") }, false},
		{"another team", func(in *digest.Input) { in.Team = "Central desk" }, false},
		{"a position", func(in *digest.Input) { in.Suspects[0].Position = 100 }, false},
		{"a suspect", func(in *digest.Input) { in.Suspects[0].SuspectID = "P-100009" }, false},
		{"a status", func(in *digest.Input) { in.Suspects[0].SuspectStatus = ref("on_bail") }, false},
		{"one fewer", func(in *digest.Input) { in.Suspects = in.Suspects[:2] }, false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			in := hackney(t)
			c.change(&in)
			if key := build(t, in).Key; (key == first) != c.same || len(key) != 32 {
				t.Errorf("key %s beside %s, want the same: %v", key, first, c.same)
			}
		})
	}
}

// A trial, in which nobody is verified, says so in both parts of the mail.
func TestDigestOfATrial(t *testing.T) {
	for identity, says := range map[string]bool{schemas.IdentityClaimed: true, schemas.IdentityRequired: false} {
		in := hackney(t)
		in.Identity = identity
		m := build(t, in)
		for part, text := range map[string]string{"text": m.Text, "HTML": m.HTML} {
			if strings.Contains(text, "nobody verifies it") != says {
				t.Errorf("%s, %s", identity, part)
			}
		}
	}
}

func TestQuietNight(t *testing.T) {
	in := hackney(t)
	in.Team, in.Suspects, in.Left = "Central desk", nil, nil
	m := build(t, in)
	if m.Subject != "VAWG stack of 30 June 2026, Central desk: 0 suspects, 0 new, 0 gone" {
		t.Error(m.Subject)
	}
	for _, s := range []string{m.Text, m.HTML} {
		if !strings.Contains(s, "None of the suspects on the stack is yours.") || strings.Contains(s, "No longer with you") {
			t.Errorf("got %s", s)
		}
	}
}

func TestStatusInWords(t *testing.T) {
	in := hackney(t)
	in.Suspects[1].SuspectStatus, in.Suspects[1].NonRecent = ref("on_bail"), 2
	in.Suspects[2].OwnerBorough = nil
	in.Suspects[0].Score, in.Suspects[0].Previous, in.Suspects[0].Arrival = in.Cut.Score+1, ref(int64(1)), ""
	text := build(t, in).Text
	for _, s := range []string{"(down from 1)", "* On bail.", "2 allegations are non-recent", "from the central desk", "Also alleged in Camden"} {
		if !strings.Contains(text, s) {
			t.Errorf("the text does not say %q", s)
		}
	}
	if strings.Contains(text, "edge of the stack") {
		t.Error("the edge is no matter of a suspect above it")
	}
	in.Team = "Domestic abuse"
	if text := build(t, in).Text; !strings.Contains(text, "* The tasking is with Hackney.") || strings.Contains(text, "Transferred to you") {
		t.Errorf("a specialist team reads\n%s", text)
	}
}

// Who stays tasked below the stack, who waits for the weekly taskings, and who is restricted.
func TestBesideTheStack(t *testing.T) {
	in := hackney(t)
	in.Suspects[0].Below, in.Suspects[0].Arrival, in.Suspects[0].Position = 120, "", 104
	in.Waiting, in.Cadence = 2, "weekly"
	m := build(t, in)
	for _, s := range []string{m.Text, m.HTML} {
		for _, want := range []string{"below the stack", "Not on the stack any more, and tasked still: until below position 120.",
			"2 other suspects of yours on the stack are tasked with the next weekly taskings."} {
			if !strings.Contains(s, want) {
				t.Errorf("no %q in %s", want, s)
			}
		}
		if strings.Contains(s, "did not make it") { // the edge is no matter of somebody below it
			t.Errorf("got %s", s)
		}
	}
	if strings.Contains(build(t, hackney(t)).Text, "with the next") {
		t.Error("somebody waits where nobody does")
	}
	in = hackney(t)
	in.Team, in.Suspects = "Professional standards", in.Suspects[1:2] // most of the harm is in Hackney, some in Islington
	in.Suspects[0].Restricted, in.Suspects[0].With = true, in.Team
	text := build(t, in).Text
	for _, want := range []string{"* Restricted: you alone are told. No borough, lead or specialist team is.", "* Alleged in Hackney, Islington."} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Transferred to you") || strings.Contains(text, "Also alleged") {
		t.Errorf("the desk reads\n%s", text)
	}
}

// A release watch says so instead of a deadline, as long as somebody is to do something.
func TestStateOfAReleaseWatch(t *testing.T) {
	at := time.Date(2026, 7, 1, 8, 12, 0, 0, time.UTC)
	for want, watch := range map[string]schemas.Tasking{
		"Issued: a release watch, without a deadline while in custody":                                          {State: schemas.TaskingIssued, Since: at},
		"Acknowledged since Wednesday 1 July 2026, 09:12: a release watch, without a deadline while in custody": {State: schemas.TaskingAcknowledged, Since: at},
		"Closed on 1 July 2026: remanded":                                                                       {State: schemas.TaskingClosed, Since: at, Outcome: "remanded"},
		"Stood down since Wednesday 1 July 2026, 09:12":                                                         {State: schemas.TaskingStoodDown, Since: at},
	} {
		watch.Watch = true
		if got := digest.StateText(&watch); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// The desk for restricted suspects has no lead and no desk behind it.
func TestRestrictedNotices(t *testing.T) {
	for _, kind := range []string{schemas.EventLead, schemas.EventDesk} {
		n := notice(kind, "", "Professional standards")
		n.Tasking.Team, n.Tasking.Restricted = n.Party, true
		m, err := n.Build()
		if err != nil || m.Subject != "Tasking k7qd-2m4x-9w3t-c5hn, Professional standards: not acknowledged in time" ||
			!strings.Contains(m.Text, `--team "Professional standards"`) || strings.Contains(m.Text, "lead") {
			t.Errorf("%s: %v, %s\n%s", kind, err, m.Subject, m.Text)
		}
	}
}

// notice is one about a tasking that Hackney has not acknowledged.
func notice(kind, from, party string) digest.Notice {
	at := time.Date(2026, 7, 1, 8, 12, 0, 0, time.UTC)
	return digest.Notice{Key: "0123456789abcdef0123456789abcdef", Party: party, To: []string{"a@b.example"},
		Tasking: &schemas.Tasking{Reference: "k7qd-2m4x-9w3t-c5hn", Team: "Hackney", State: schemas.TaskingIssued, Since: at,
			Chase: schemas.TaskingDeadlines{Remind: at.Add(time.Hour), Lead: at.Add(2 * time.Hour), Desk: at.Add(3 * time.Hour)},
			Facts: schemas.TaskingFacts{Allegations: 2, Reports: 1, Victims: 1, HarmDays: 1825, Status: "at_large"}},
		Event: schemas.TaskingEvent{Kind: kind, Team: "Hackney", From: from, At: at.Add(time.Hour), Reason: "<moved> & gone"}}
}

func TestNotices(t *testing.T) {
	for _, c := range []struct {
		kind, from, party string
		subject, says     string
	}{
		{schemas.EventReminded, "", "Hackney", "nobody has acknowledged it yet", `starter ack k7qd-2m4x-9w3t-c5hn --team "Hackney"`},
		{schemas.EventLead, "", "Central East lead", "not acknowledged in time", `You lead the command that Hackney belongs to`},
		{schemas.EventDesk, "", "Specialist desk", "still not acknowledged", `--team "Specialist desk"`},
		{schemas.EventTransferred, "Barnet", "Hackney", "transferred to you from Barnet", `--team "Hackney"`},
		{schemas.EventTransferred, "Barnet", "Barnet", "transferred to Hackney", "nothing more to do"},
	} {
		t.Run(c.kind+" to "+c.party, func(t *testing.T) {
			m, err := notice(c.kind, c.from, c.party).Build()
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != "Tasking k7qd-2m4x-9w3t-c5hn, Hackney: "+c.subject {
				t.Errorf("subject %q", m.Subject)
			}
			html := strings.ReplaceAll(m.HTML, "&#34;", `"`)
			for _, want := range []string{c.says, "Issued: acknowledge by Wednesday 1 July 2026, 11:12", "2 allegations in 1 crime report against 1 victim, 1,825 harm days; at large"} {
				if !strings.Contains(m.Text, want) || !strings.Contains(html, want) {
					t.Errorf("%q stands not in\n%s", want, m.Text)
				}
			}
			if strings.Contains(m.HTML, "<moved>") || !strings.Contains(m.Text, "<moved> & gone") {
				t.Error("the reason is not as it was given, or not escaped")
			}
		})
	}
}

func TestAddressesAreRefusedWithoutBeingRepeated(t *testing.T) {
	for want, to := range map[string][]string{"has no e-mail address": nil, "address 2 of 2": {"a@b.example", "jane.doe@"}} {
		in := hackney(t)
		in.To = to
		if _, err := digest.Build(in); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "jane") {
			t.Errorf("%v: %v", to, err)
		}
	}
}

// parts reads an e-mail as a mail program would: content type of each leaf, and its text.
func parts(t *testing.T, data []byte) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	var walk func(contentType string, body io.Reader)
	walk = func(contentType string, body io.Reader) {
		kind, params, err := mime.ParseMediaType(contentType)
		if err != nil {
			t.Fatal(err)
		}
		for r := multipart.NewReader(body, params["boundary"]); ; {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if strings.HasPrefix(p.Header.Get("Content-Type"), "multipart/") {
				walk(p.Header.Get("Content-Type"), p)
				continue
			}
			text, err := io.ReadAll(quotedprintable.NewReader(p))
			if err != nil {
				t.Fatal(err)
			}
			leaf, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type"))
			found[kind+" "+leaf+" "+p.FileName()] = strings.ReplaceAll(string(text), "\r\n", "\n")
		}
	}
	walk(m.Header.Get("Content-Type"), m.Body)
	return m.Header, found
}

func checkReceived(t *testing.T, m digest.Message, data []byte) {
	t.Helper()
	header, found := parts(t, data)
	want := map[string]string{"multipart/alternative text/plain ": m.Text, "multipart/alternative text/html ": m.HTML}
	for _, a := range m.Packs {
		want["multipart/mixed text/csv "+a.Name] = strings.ReplaceAll(string(a.Data), "\r\n", "\n")
	}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("parts %q", found)
	}
	for name, want := range map[string]string{
		"Message-ID": "<" + m.Key + "@police.example>", "Subject": m.Subject, "Date": "Wed, 01 Jul 2026 08:12:00 +0000",
		"From": `"Harmstack" <harmstack@police.example>`, "To": `"Hackney VAWG" <vawg@hackney.example>, <desk@hackney.example>`,
	} {
		if got, _ := new(mime.WordDecoder).DecodeHeader(header.Get(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for line := range strings.SplitSeq(string(data), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d bytes is no line of e-mail", len(line))
		}
	}
}

func TestOutbox(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "outbox")
	box, err := digest.NewOutbox(folder, "Harmstack <harmstack@police.example>")
	if err != nil {
		t.Fatal(err)
	}
	m := build(t, hackney(t))
	if err := box.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	again := m
	again.Text = "a later revision with the same content"
	if err := box.Send(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 || files[0].Name() != m.Key+".eml" {
		t.Fatalf("%v, %v", files, err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(filepath.Join(folder, files[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	checkReceived(t, m, data)
	if bytes, _ := build(t, hackney(t)).Bytes(&mail.Address{Name: "Harmstack", Address: "harmstack@police.example"}); string(bytes) != string(data) {
		t.Error("the same message is not the same bytes")
	}
}

// Where there is a desk mails lead to it: to the team's page, and to each tasking's.
func TestLinks(t *testing.T) {
	in := hackney(t)
	in.Team, in.Desk = "Barking and Dagenham", "https://desk.example"
	m := build(t, in)
	team, tasking := "https://desk.example/teams/Barking%20and%20Dagenham", "https://desk.example/taskings/"+in.Pseudonym("P-100002")
	if !strings.Contains(m.Text, "\n   "+tasking+"\n") || !strings.Contains(m.Text, "at the desk: "+team+"\n") || strings.Contains(m.Text, "starter ack") {
		t.Error(m.Text)
	}
	if !strings.Contains(m.HTML, `<a href="`+tasking+`">`) || !strings.Contains(m.HTML, `<a href="`+team+`">`) || strings.Contains(m.HTML, "starter ack") {
		t.Error(m.HTML)
	}
	n := notice(schemas.EventDesk, "", "Specialist desk")
	n.Desk = in.Desk
	m, err := n.Build()
	if tasking = "https://desk.example/taskings/k7qd-2m4x-9w3t-c5hn"; err != nil || !strings.Contains(m.Text, "\n"+tasking+"\n") ||
		!strings.Contains(m.HTML, `<a href="`+tasking+`">`) || strings.Contains(m.Text, "--by") {
		t.Error(m.Text, m.HTML, err)
	}
	if night := in.Desk.Night(in.Night); night != "https://desk.example/nights/2026-06-30/r1" || digest.Desk("").Night(in.Night) != "" {
		t.Error(night)
	}
}

// A folder takes no packs, in which ids would lie in clear.
func TestOutboxTakesNoPacks(t *testing.T) {
	folder := t.TempDir()
	box, err := digest.NewOutbox(folder, "a@b.example")
	if err != nil {
		t.Fatal(err)
	}
	in := hackney(t)
	in.PackDomains = []string{"hackney.example"}
	_, err = digest.Hand(t.Context(), box, build(t, in))(func(string) bool { return false })
	if files, _ := os.ReadDir(folder); !errors.Is(err, digest.ErrPacksInFolder) || len(files) > 0 {
		t.Errorf("%v, %v", err, files)
	}
}

func TestOutboxRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ scenario, folder, from, want string }{
		{"no folder", "", "a@b.example", "no outbox folder"},
		{"a file in its place", file, "a@b.example", "outbox folder"},
		{"no sender", t.TempDir(), "", "sender cannot be read"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if _, err := digest.NewOutbox(c.folder, c.from); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
