package pack_test

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"harmstack/activities/messages/pack"
	"harmstack/schemas"
)

var asOf = schemas.MustDate("2026-06-30")

// alleged is an open allegation in Hackney, reported by the victim so many days before the night.
func alleged(no int, age int64, offence, code, class string, days float64, report, victim string) schemas.Contribution {
	c := schemas.Contribution{
		AllegationID: fmt.Sprintf("A-%04d", no), ReportID: report, Borough: new("Hackney"), OffenceCode: code, OffenceClass: new(class),
		ReportedAt: asOf.AddDays(-int(age)).Start().Add(14 * time.Hour).UnixMicro(), Offence: offence, WeightRule: "pair", HarmDays: days, Age: age,
		RecencyPPM: int64(math.Round(1e6 * math.Exp2(-float64(age)/180))), Source: "victim", Outcome: "open",
	}
	if victim != "" {
		c.VictimID = &victim
	}
	return c
}

// suspect fills in what the scoring would have made of the allegations.
func suspect(position int64, reference string, list ...schemas.Contribution) pack.Suspect {
	total := int64(0)
	for i := range list {
		list[i].Base = int64(math.Round(list[i].HarmDays*10)) * list[i].RecencyPPM
		total += list[i].Base
	}
	for i := range list {
		list[i].Share = float64(list[i].Base) / float64(total)
	}
	return pack.Suspect{Reference: reference, Contributions: list, Ranked: schemas.Ranked{
		Position: position, Rank: position, TieSize: 1, SuspectID: fmt.Sprintf("P-10%04d", position), ScoreDays: float64(total) / 1e7,
	}}
}

// hackney is a team with three suspects: one with much to say about, one with little, one with nulls.
func hackney() pack.Input {
	const rape, assault, stalking = "Rape of a female aged 16 or over", "Sexual assault on a female", "Harassment - Stalking involving fear of violence"
	much := suspect(4, "k3vq7m2xw9",
		alleged(1, 3, rape, "019/08", "19C", 1825, "01HK/4411/26", "V-7001"),
		alleged(2, 120, rape, "019/08", "19C", 1825, "01IS/0932/26", "V-7002"),
		alleged(3, 3, assault, "020/05", "20A", 19, "01HK/4411/26", "V-7001"),
		alleged(4, 40, assault, "020/05", "20A", 19, "01HK/3800/26", "V-7001"),
		alleged(5, 200, stalking, "008/65", "8Q", 84, "01HK/1203/26", "V-7003"),
		alleged(6, 210, stalking, "008/65", "8Q", 84, "01HK/1107/26", "V-7003"),
		alleged(7, 75, "Strangulation or suffocation", "008/77", "", 547.5, "01CD/2219/26", "V-7004"),
		alleged(8, 300, "Assault with Injury - Malicious wounding: wounding or inflicting grievous bodily harm (Minor wound or equivalent)", "008/01", "8N", 19, "01HK/0177/25", ""),
	)
	for i, change := range []func(c *schemas.Contribution){
		func(c *schemas.Contribution) {
			c.CommittedAt = new(c.ReportedAt - 2*24*int64(time.Hour/time.Microsecond))
		},
		func(c *schemas.Contribution) { c.Borough, c.Outcome = new("Islington"), "charged" },
		func(c *schemas.Contribution) {
			c.CommittedAt = new(c.ReportedAt - 365*24*int64(time.Hour/time.Microsecond))
		},
		func(c *schemas.Contribution) {
			c.CommittedAt = new(c.ReportedAt - 365*24*int64(time.Hour/time.Microsecond) - 1)
		},
		func(c *schemas.Contribution) { c.DomesticAbuse, c.Source = new(true), "third_party" },
		func(c *schemas.Contribution) { c.DomesticAbuse, c.Outcome = new(true), "no_further_action" },
		func(c *schemas.Contribution) {
			c.Borough, c.OffenceClass, c.WeightRule = new("Hammersmith and Fulham"), nil, "supplement"
		},
		func(c *schemas.Contribution) { c.WeightRule, c.DomesticAbuse = "lowest", new(false) },
	} {
		change(&much.Contributions[i])
	}
	much.Ranked.OwnerBorough, much.Ranked.OwnerBCU, much.Ranked.SuspectStatus, much.Ranked.AlsoVictim = new("Hackney"), new("Central East"), new("on_bail"), true
	much.State, much.Specialists = "issued: acknowledge by 14 July 2026, 11:00", []string{"Stalking", "Rape and sexual offences"}
	much.News = []string{"New allegation A-0001, reported 27 June 2026.", "Up from position 17."}
	little := suspect(57, "t8hn4d6rce",
		alleged(11, 0, "Engage in controlling/coercive behaviour in an intimate / family relationship.", "008/67", "105A", 84, "01HK/4502/26", "V-7100"),
		alleged(12, 90, "Engage in controlling/coercive behaviour in an intimate / family relationship.", "008/67", "105A", 84, "01HK/2950/26", "V-7100"),
	)
	little.Ranked.OwnerBorough, little.Ranked.SuspectStatus, little.Ranked.TieSize = new("Hackney"), new("in_custody"), 3
	little.State = "acknowledged 29 June 2026, 09:40"
	nulls := suspect(99, "b5yz1p0fgs", schemas.Contribution{
		AllegationID: "A-0021", ReportID: "01HK/3301/26", OffenceCode: "019/12", Offence: "Attempted rape of a female aged 16 or over", WeightRule: "code",
		HarmDays: 1825, Age: 1, RecencyPPM: 996157, ReportedAt: asOf.AddDays(-1).Start().UnixMicro(), Source: "witness", Outcome: "convicted",
	})
	nulls.InTie, nulls.Ranked.TieSize = true, 2
	return pack.Input{
		Team: "Hackney", Night: schemas.NightID{AsOf: asOf, Revision: 2}, Edition: "cchi-2025", Approved: time.Date(2026, 7, 1, 8, 12, 0, 0, time.UTC),
		Suspects: []pack.Suspect{nulls, much, little},
	}
}

// write gives the two forms of a pack.
func write(t testing.TB, in pack.Input) (page, text string) {
	t.Helper()
	h, err := pack.HTML(in)
	if err != nil {
		t.Fatal(err)
	}
	x, err := pack.Text(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(h), string(x)
}

var (
	tags    = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`)
	bullets = regexp.MustCompile(`(?m)^\* `)
)

// read gives both forms as one line of words each, without layout.
func read(t testing.TB, in pack.Input) map[string]string {
	t.Helper()
	page, text := write(t, in)
	flat := func(s string) string { return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), " :", ":") }
	return map[string]string{
		"html": flat(html.UnescapeString(tags.ReplaceAllString(page, " "))), "text": flat(bullets.ReplaceAllString(text, "")),
	}
}

// says checks that both forms hold the sentences, in this order.
func says(t *testing.T, in pack.Input, want ...string) {
	t.Helper()
	for form, rest := range read(t, in) {
		for _, s := range want {
			_, after, found := strings.Cut(rest, s)
			if !found {
				t.Errorf("%s does not say, or not in its place: %q\n%s", form, s, rest)
				break
			}
			rest = after
		}
	}
}

func silent(t *testing.T, in pack.Input, unwanted ...string) {
	t.Helper()
	for form, all := range read(t, in) {
		for _, s := range unwanted {
			if strings.Contains(all, s) {
				t.Errorf("%s says %q", form, s)
			}
		}
	}
}

func only(in pack.Input, position int64) pack.Input {
	in.Suspects = slices.DeleteFunc(slices.Clone(in.Suspects), func(s pack.Suspect) bool { return s.Ranked.Position != position })
	return in
}

func TestPackSays(t *testing.T) {
	says(t, hackney(),
		"Tasking pack: Hackney", "VAWG stack of 30 June 2026, revision 2, approved 1 July 2026 at 09:12.", "Handle it as you handle crime reports", "3 suspects",
		"4. k3vq7m2xw9", "P-100004", "4 on the whole stack", "Hackney (Central East)", "issued: acknowledge by 14 July 2026, 11:00", "Rape and sexual offences and Stalking",
		"8 allegations in 7 reports against 4 victims since 3 September 2025.", "New allegation A-0001, reported 27 June 2026.", "Up from position 17.",
		"57. t8hn4d6rce", "P-100057", "99. b5yz1p0fgs", "P-100099",
		"Everything here comes from allegations. It is not a finding of guilt and not a prediction.", "Nobody is on the stack on police intelligence alone.",
		"Handle this pack as you handle crime reports.", "Cambridge Crime Harm Index (CCHI), edition cchi-2025")
	silent(t, only(hackney(), 57), "What changed since")
	for form, all := range read(t, hackney()) {
		if word := regexp.MustCompile(`(?i)offender|\brisk|perpetrator`).FindString(all); word != "" {
			t.Errorf("%s says %q", form, word)
		}
	}
}

// The paragraph is recomputed here from the allegations.
func TestWhy(t *testing.T) {
	in := only(hackney(), 4)
	reports, victims, sum, total := map[string]bool{}, map[string]bool{}, 0.0, 0.0
	for _, c := range in.Suspects[0].Contributions {
		reports[c.ReportID], sum = true, sum+c.HarmDays
		if c.VictimID != nil {
			victims[*c.VictimID] = true
		}
		total += c.HarmDays * math.Exp2(-float64(c.Age)/180)
	}
	weighed := 1825 * math.Exp2(-3./180)
	if len(reports) != 7 || len(victims) != 4 || sum != 4422.5 {
		t.Fatalf("%d reports, %d victims, %g days", len(reports), len(victims), sum)
	}
	says(t, in, "They stand for 4,422.5 harm days (about 12.1 years) in the Cambridge Crime Harm Index; with recency and frequency counted they score ",
		fmt.Sprintf("%.0f %% of the score comes from rape of a female aged 16 or over, reported 3 days before this night (allegation 1).", 100*weighed/total))
	says(t, only(hackney(), 57), "2 allegations in 2 reports against 1 victim since 1 April 2026. They stand for 168 harm days in the Cambridge",
		"of the score comes from engage in controlling/coercive behaviour in an intimate / family relationship, reported on the day of this night (allegation 1).")

	for _, c := range []struct {
		days  float64
		other float64
		want  []string
	}{
		{365, 0, []string{"It stands for 365 harm days (1 year) in", "All of the score comes from rape, reported 3 days before"}},
		{364.9, 0, []string{"It stands for 364.9 harm days in"}},
		{1, 0, []string{"It stands for 1 harm day in"}},
		{3649, 1, []string{"They stand for 3,650 harm days (10 years) in", "Nearly all of the score comes from rape"}},
		{366, 0, []string{"(about 1 year)"}},
	} {
		list := []schemas.Contribution{alleged(1, 3, "Rape", "019/08", "19C", c.days, "R", "V")}
		if c.other > 0 {
			list = append(list, alleged(2, 3, "Harassment", "195/94", "8L", c.other, "R", "V"))
		}
		in.Suspects = []pack.Suspect{suspect(1, "x", list...)}
		says(t, in, c.want...)
	}
}

func TestFlags(t *testing.T) {
	says(t, only(hackney(), 4),
		"Also recorded as a victim: within the last year. Look for a counter-allegation",
		"On bail: by the latest record",
		"Charged already: for allegation 2.",
		"In other boroughs: Hammersmith and Fulham (allegation 3) and Islington (allegation 2). Agree",
		"Non-recent: allegation 7 came to notice more than a year after",
		"Not reported by a victim: allegation 4 came from a witness or third party",
		"Domestic abuse: flagged in 2 of 8 allegations: allegations 4 and 5.")
	silent(t, only(hackney(), 4), "Tied rank", "Tie at the edge", "Convicted already", "In custody:", "At large:")
	says(t, only(hackney(), 57), "In custody: by the latest record", "Tied rank: same score as 2 other suspects;")
	silent(t, only(hackney(), 57), "Also recorded", "In other boroughs", "Non-recent", "Not reported by", "Domestic abuse", "Tie at the edge", "already:")
	says(t, only(hackney(), 99), "Custody not known:", "Convicted already: for allegation 1.", "Not reported by a victim: allegation 1", "Tie at the edge:", "Tied rank: same score as 1 other suspect;")
	in := only(hackney(), 57)
	in.Suspects[0].Ranked.SuspectStatus, in.Suspects[0].Ranked.OwnerBorough = new("at_large"), nil
	says(t, in, "At large: by the latest record", "In other boroughs: Hackney (allegations 1 and 2)")
}

// order is the independent order of the table: the largest product of days and recency first.
func order(list []schemas.Contribution) []schemas.Contribution {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b schemas.Contribution) int {
		return cmp.Or(cmp.Compare(b.HarmDays*float64(b.RecencyPPM), a.HarmDays*float64(a.RecencyPPM)), strings.Compare(a.AllegationID, b.AllegationID))
	})
	return list
}

func TestTable(t *testing.T) {
	in := only(hackney(), 4)
	list := order(in.Suspects[0].Contributions)
	sum := 0.0
	for _, c := range list {
		sum += c.HarmDays * float64(c.RecencyPPM)
	}
	want := []string{"The allegations"}
	for i, c := range list {
		want = append(want, fmt.Sprint(i+1), time.UnixMicro(c.ReportedAt).In(schemas.London).Format("2 Jan 2006"),
			fmt.Sprintf("%.1f %%", 100*c.HarmDays*float64(c.RecencyPPM)/sum), c.AllegationID)
	}
	_, text := write(t, in)
	_, table, _ := strings.Cut(text, "The allegations")
	for i, c := range list {
		committed, old := "not known", ""
		if c.CommittedAt != nil {
			committed = time.UnixMicro(*c.CommittedAt).In(schemas.London).Format("2 Jan 2006")
		}
		if c.Age > 180 {
			old = "  old"
		}
		line := fmt.Sprintf("%5d  %11s  %11s  %11s  %5d  %7.3f  %5.1f %%%s\n", i+1, time.UnixMicro(c.ReportedAt).In(schemas.London).Format("2 Jan 2006"), committed,
			strings.Replace(fmt.Sprintf("%.1f", c.HarmDays), "1825", "1,825", 1), c.Age, math.Exp2(-float64(c.Age)/180), 100*c.HarmDays*float64(c.RecencyPPM)/sum, old)
		if !strings.Contains(table, line) {
			t.Errorf("the text lacks the line\n%s in %s", line, table)
		}
	}
	says(t, in, want...)
	for _, s := range []string{
		"no further action", "third party", "019/08, class 19C", "008/77", "01CD/2219/26", "V-7004", "Islington", "not recorded",
		"lowest: the record does not say how serious it was", "supplement: the offence is newer than the index",
	} {
		says(t, in, s)
	}
	page, _ := write(t, in)
	if n := strings.Count(page, `class="tag">old<`); n != 3 {
		t.Errorf("%d marked old, want 3", n)
	}
	if n := strings.Count(page, "<tr"); n != 1+len(list) {
		t.Errorf("%d rows", n)
	}
}

func TestLinks(t *testing.T) {
	says(t, only(hackney(), 4), "Linked",
		"Same report 01HK/4411/26: allegations 1 and 6.",
		"Same victim V-7001: allegations 1, 6 and 7. This victim recurs, in 2 reports.",
		"Same victim V-7003: allegations 4 and 5. This victim recurs, in 2 reports.",
		"No victim is recorded in allegation 8.",
		"What may be evidence for one another",
		"Offence class 19C, rape of a female aged 16 or over, against 2 victims: allegations 1 and 2.",
		"Home Office class 008, against 2 victims: allegations 3 to 5.",
		"Harassment - Stalking involving fear of violence (008/65) against one victim, V-7003: allegations 4 and 5. This may show a course of conduct.",
		"Sexual assault on a female (020/05) against one victim, V-7001: allegations 6 and 7. This may show a course of conduct.",
		"(bad character, Criminal Justice Act 2003, section 101) is for investigators and prosecutors")
	// One class within one Home Office class is named once.
	silent(t, only(hackney(), 4), "Home Office class 019", "Home Office class 020", "Offence class 20A")
	says(t, only(hackney(), 99), "There is only one allegation.", "No victim is recorded in allegation 1.", "No class of offence is alleged against two victims, and no offence twice against one.")

	in := only(hackney(), 57)
	in.Suspects[0] = suspect(1, "x",
		alleged(1, 1, "Rape", "019/08", "19C", 10, "R1", "V1"), alleged(2, 2, "Harassment", "195/94", "8L", 9, "R2", "V2"))
	says(t, in, "Each allegation is in a report of its own, and no victim is named twice.", "No class of offence is alleged")
	in.Suspects[0].Contributions[1].ReportID, in.Suspects[0].Contributions[1].VictimID = "R1", new("V1")
	says(t, in, "Same report R1: allegations 1 and 2.", "Same victim V1: allegations 1 and 2, in one report.")
}

func TestHostileValues(t *testing.T) {
	const hostile = "<script>alert(1)</script>\"'&\r\nForged: line\u2028\u202egnp\u2066\u200f\x1b[31m\x00\u0085\xff{{.}}"
	in := hackney()
	in.Team = hostile
	for i := range in.Suspects {
		s := &in.Suspects[i]
		s.Reference, s.State, s.Specialists, s.News = hostile, hostile, []string{hostile}, []string{hostile}
		s.Ranked.SuspectID, s.Ranked.OwnerBorough, s.Ranked.OwnerBCU, s.Ranked.SuspectStatus = hostile, new(hostile), new(hostile), new(hostile)
		for j := range s.Contributions {
			c := &s.Contributions[j]
			c.AllegationID, c.ReportID, c.VictimID, c.Borough = hostile, hostile, new(hostile), new(hostile+"x")
			c.OffenceCode, c.OffenceClass, c.Offence, c.WeightRule, c.Source, c.Outcome = hostile, new(hostile), hostile, hostile, hostile, hostile
		}
	}
	page, text := write(t, in)
	for form, all := range map[string]string{"html": page, "text": text} {
		for _, r := range all {
			if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)) {
				t.Errorf("%s holds %U", form, r)
			}
		}
		if !utf8.ValidString(all) || strings.Contains(all, "\nForged") {
			t.Errorf("%s holds a forged line or broken text", form)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, `alert(1)</script>`) || strings.Count(page, "<section") != 3 {
		t.Error("a value stands in the page as markup")
	}
	narrow(t, text)
	in.Suspects[0].Ranked.SuspectID = "\u202e\n"
	says(t, in, `Suspect id \u202e`)
}

func narrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if utf8.RuneCountInString(line) > 80 || strings.TrimRight(line, " ") != line {
			t.Errorf("the line is too wide or ends in blanks: %q", line)
		}
	}
}

func TestNothingFromOutside(t *testing.T) {
	page, text := write(t, hackney())
	if found := regexp.MustCompile(`(?i)<script|<link|<img|src=|https?:|url\(|@import|\son\w+=`).FindString(page); found != "" {
		t.Errorf("the page holds %s", found)
	}
	if !strings.Contains(page, "default-src 'none'; style-src 'sha256-") {
		t.Error("the page sets no policy")
	}
	narrow(t, text)
}

func TestSameBytes(t *testing.T) {
	page, text := write(t, hackney())
	in := hackney()
	for range 20 {
		rand.Shuffle(len(in.Suspects), func(i, j int) { in.Suspects[i], in.Suspects[j] = in.Suspects[j], in.Suspects[i] })
		for _, s := range in.Suspects {
			rand.Shuffle(len(s.Contributions), func(i, j int) { s.Contributions[i], s.Contributions[j] = s.Contributions[j], s.Contributions[i] })
			rand.Shuffle(len(s.Specialists), func(i, j int) { s.Specialists[i], s.Specialists[j] = s.Specialists[j], s.Specialists[i] })
		}
		before := fmt.Sprint(in)
		if p, x := write(t, in); p != page || x != text {
			t.Fatal("rows in another order give other bytes")
		}
		if fmt.Sprint(in) != before {
			t.Fatal("the rows handed over were changed")
		}
	}
}

func TestNulls(t *testing.T) {
	in := only(hackney(), 99)
	says(t, in, "the central desk", "not recorded", "none added",
		"1 allegation in 1 report, no victim recorded, since 29 June 2026. It stands for 1,825 harm days (5 years)",
		"All of the score comes from attempted rape of a female aged 16 or over, reported 1 day before this night (allegation 1).", "100.0 %", "not recorded")
	says(t, in, "019/12", "convicted")
	silent(t, in, "What changed since", "In other boroughs", "Domestic abuse", "nil", "<")
	in.Suspects[0].Contributions = nil
	says(t, in, "No allegation was handed over with this suspect: ask the central desk.", "Custody not known")
}

func TestBelowTheStack(t *testing.T) {
	in := only(hackney(), 57)
	in.Suspects[0].Below, in.Suspects[0].Contributions = 120, nil
	says(t, in, "57 in the ranking, below the stack", "Not on the stack any more, and tasked still: until below position 120. The allegations stand in the last pack from the stack.")
	silent(t, in, "on the whole stack", "ask the central desk")
}

func TestNobody(t *testing.T) {
	in := hackney()
	in.Suspects = nil
	says(t, in, "Tasking pack: Hackney", "None of the suspects on the stack is yours.", "Nobody is on the stack on police intelligence alone.")
}

func TestManyAllegations(t *testing.T) {
	const many = 5000
	var list []schemas.Contribution
	for i := range many {
		list = append(list, alleged(i, int64(i%365), "Harassment", "195/94", "8L", 10, fmt.Sprintf("R-%d", i/2), fmt.Sprintf("V-%d", i%1000)))
	}
	in := hackney()
	in.Suspects = []pack.Suspect{suspect(1, "x", list...)}
	began := time.Now()
	page, text := write(t, in)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	if n := strings.Count(page, "<tr"); n != many+1 {
		t.Errorf("%d rows", n)
	}
	says(t, in, "5,000 allegations in 2,500 reports against 1,000 victims", "Less than 1 % of the score", "< 0.1 %", "against 1,000 victims: allegations 1 to 5,000.")
	narrow(t, text)
	if !strings.Contains(text, "\n5,000  ") {
		t.Error("the last allegation is missing")
	}
}
