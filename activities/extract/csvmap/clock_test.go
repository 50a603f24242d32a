package csvmap

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/schemas"
)

// read is what a mapping makes of a time of report, in RFC 3339; empty: it cannot be read.
func read(t *testing.T, column, text string) string {
	t.Helper()
	m := mapping(t, "columns: {reported_at: "+column+"}")
	at, ok := m.Timestamp(schemas.ReportedAt, text)
	if !ok {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

// The instants are those that the rules of the zones give, counted by hand.
func TestAbbreviations(t *testing.T) {
	t.Parallel()
	zoned := func(zone string) string {
		return `{from: a, zone: "` + zone + `", layouts: ["2006-01-02 15:04:05 MST"]}`
	}
	for _, c := range []struct{ scenario, column, text, want string }{
		{"summer time of the zone", zoned("Europe/London"), "2026-06-30 23:30:00 BST", "2026-06-30T22:30:00Z"},
		{"winter time of the zone", zoned("Europe/London"), "2026-01-15 00:30:00 GMT", "2026-01-15T00:30:00Z"},
		{"GMT in the summer", zoned("Europe/London"), "2026-06-30 23:30:00 GMT", "2026-06-30T23:30:00Z"},
		{"UTC", zoned("Europe/London"), "2026-06-30 23:30:00 UTC", "2026-06-30T23:30:00Z"},
		{"summer time that is over", zoned("Europe/London"), "2026-01-15 12:00:00 BST", "2026-01-15T11:00:00Z"},
		{"the hour that comes twice, in summer time", zoned("Europe/London"), "2026-10-25 01:30:00 BST", "2026-10-25T00:30:00Z"},
		{"the hour that comes twice, in winter time", zoned("Europe/London"), "2026-10-25 01:30:00 GMT", "2026-10-25T01:30:00Z"},
		{"another zone's", zoned("Europe/London"), "2026-06-30 23:30:00 CEST", ""},
		{"Paris in summer", zoned("Europe/Paris"), "2026-06-30 23:30:00 CEST", "2026-06-30T21:30:00Z"},
		{"Paris in winter", zoned("Europe/Paris"), "2026-12-31 23:30:00 CET", "2026-12-31T22:30:00Z"},
		{"London's in Paris", zoned("Europe/Paris"), "2026-06-30 23:30:00 BST", ""},
		{"Paris's hour that comes twice", zoned("Europe/Paris"), "2026-10-25 02:30:00 CET", "2026-10-25T01:30:00Z"},
		{"Irish, not Indian", zoned("Europe/Dublin"), "2026-06-30 23:30:00 IST", "2026-06-30T22:30:00Z"},
		{"Indian, not Irish", zoned("Asia/Kolkata"), "2026-06-30 23:30:00 IST", "2026-06-30T18:00:00Z"},
		{"south of the equator", zoned("Australia/Sydney"), "2026-01-15 12:00:00 AEDT", "2026-01-15T01:00:00Z"},
		{"figures for an abbreviation", zoned("Europe/Istanbul"), "2026-06-30 23:30:00 +03", "2026-06-30T20:30:00Z"},
		{"figures that are no abbreviation there", zoned("Europe/London"), "2026-06-30 23:30:00 +03", ""},
		{"GMT and a number", zoned("Europe/London"), "2026-06-30 23:30:00 GMT+3", ""},
		{"one that was given up long ago", zoned("Europe/London"), "2026-06-30 23:30:00 LMT", ""},
		{"the wartime's double summer time", zoned("Europe/London"), "1943-06-30 23:30:00 BDST", "1943-06-30T21:30:00Z"},
		{"the wartime's, today", zoned("Europe/London"), "2026-06-30 23:30:00 BDST", ""},
		{"none", zoned("Europe/London"), "2026-06-30 23:30:00", ""},
		{"in small letters", zoned("Europe/London"), "2026-06-30 23:30:00 bst", ""},
		{"BST without a zone", zoned(""), "2026-06-30 23:30:00 BST", ""},
		{"CEST without a zone", zoned(""), "2026-06-30 23:30:00 CEST", ""},
		{"GMT without a zone", zoned(""), "2026-06-30 23:30:00 GMT", "2026-06-30T23:30:00Z"},
		{"UTC without a zone", zoned(""), "2026-06-30 23:30:00 UTC", "2026-06-30T23:30:00Z"},
		{"an offset beside it, which says all", `{from: a, layouts: ["2006-01-02 15:04:05 -0700 MST"]}`, "2026-06-30 23:30:00 +0200 CEST", "2026-06-30T21:30:00Z"},
		{"without a layout", `{from: a, zone: Europe/London}`, "2026-06-30 23:30:00 BST", ""},
		{"with another layout to try", `{from: a, zone: Europe/London, layouts: ["2006-01-02 15:04 MST", "2006-01-02 15:04"]}`, "2026-06-30 23:30", "2026-06-30T22:30:00Z"},
	} {
		if got := read(t, c.column, c.text); got != c.want {
			t.Errorf("%s: %s is read as %q, want %q", c.scenario, c.text, got, c.want)
		}
	}
}

// What package time would read as another time is read as what it is, or not at all.
func TestTimes(t *testing.T) {
	t.Parallel()
	const british, iso = `{from: a, zone: Europe/London, layouts: ["02/01/2006 15:04", "2/1/06 15:04"]}`, `{from: a}`
	for _, c := range []struct{ scenario, column, text, want string }{
		{"a two-digit year", british, "30/06/26 23:30", "2026-06-30T22:30:00Z"},
		{"a two-digit year of the last century", british, "30/06/99 23:30", "1999-06-30T22:30:00Z"},
		{"a day that is none", british, "31/06/2026 23:30", ""},
		{"a leap day that is none", british, "29/02/2026 23:30", ""},
		{"a leap day", british, "29/02/2028 23:30", "2028-02-29T23:30:00Z"},
		{"24 o'clock", british, "30/06/2026 24:00", ""},
		{"a 13th month", british, "06/13/2026 12:00", ""},
		{"60 minutes", british, "30/06/2026 23:60", ""},
		{"text behind it", british, "30/06/2026 23:30 hours", ""},
		{"ISO", iso, "2026-06-30T23:30:00Z", "2026-06-30T23:30:00Z"},
		{"ISO with a fraction, floored", iso, "2026-06-30T23:30:00.1234567Z", "2026-06-30T23:30:00.123456Z"},
		{"before 1970, floored", iso, "1969-12-31 23:59:59.9999999", "1969-12-31T23:59:59.999999Z"},
		{"pandas", iso, "2026-06-30 23:30:00+00:00", "2026-06-30T23:30:00Z"},
		{"psql", iso, "2026-06-30 23:30:00.5+01", "2026-06-30T22:30:00.5Z"},
		{"a space before the offset", iso, "2026-06-30 23:30:00 +01:00", "2026-06-30T22:30:00Z"},
		{"an offset of four figures", iso, "2026-06-30T23:30:00-0530", "2026-07-01T05:00:00Z"},
		{"minutes", iso, "2026-06-30T23:30", "2026-06-30T23:30:00Z"},
		{"minutes and an offset", iso, "2026-06-30T23:30+01:00", "2026-06-30T22:30:00Z"},
		{"a date", iso, "2026-06-30", "2026-06-30T00:00:00Z"},
		{"a date in London", `{from: a, zone: Europe/London}`, "2026-06-30", "2026-06-29T23:00:00Z"},
		{"a comma for the point", iso, "2026-06-30 23:30:00,25", "2026-06-30T23:30:00.25Z"},
		{"24 o'clock in ISO", iso, "2026-06-30T24:00:00Z", ""},
		{"a leap second", iso, "2026-06-30T23:59:60Z", ""},
		{"a day that is none, in ISO", iso, "2026-02-30", ""},
		{"no offset there is", iso, "2026-06-30T23:30:00+25:00", ""},
		{"another letter between", iso, "2026-06-30t23:30:00Z", ""},
		{"infinity", iso, "infinity", ""},
		{"before Christ", iso, "0044-03-15 00:00:00 BC", ""},
		{"seconds since 1970", iso, "1751360400", ""},
	} {
		if got := read(t, c.column, c.text); got != c.want {
			t.Errorf("%s: %s is read as %q, want %q", c.scenario, c.text, got, c.want)
		}
	}
}

// A layout that would read a time as another is refused when the mapping is loaded.
func TestLayoutsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ scenario, column, field, want string }{
		{"an abbreviation for MST", "reported_at", `{from: a, zone: Europe/London, layouts: ["2006-01-02 15:04 MST", "2006-01-02 15:04:05 BST"]}`, "layouts: number 2 of 2 has a zone that is not heeded"},
		{"GMT, in a zone that has another in summer", "reported_at", `{from: a, zone: Europe/London, layouts: ["2006-01-02 15:04:05 GMT"]}`, "has a zone that is not heeded"},
		{"a Z, in a zone that has another in summer", "reported_at", `{from: a, zone: Europe/London, layouts: ["2006-01-02T15:04:05Z"]}`, "has a zone that is not heeded"},
		{"CEST, without a zone", "reported_at", `{from: a, layouts: ["2006-01-02 15:04 CEST"]}`, "has a zone that is not heeded"},
		{"no year", "reported_at", `{from: a, layouts: ["02/01 15:04"]}`, "does not keep a time"},
		{"no month", "reported_at", `{from: a, layouts: ["02 2006 15:04"]}`, "does not keep a time"},
		{"the afternoon lost", "reported_at", `{from: a, layouts: ["02/01/2006 03:04"]}`, "16:47 on 23 January 2026 would be read as another"},
		{"another program's", "reported_at", `{from: a, layouts: ["%d/%m/%Y %H:%M"]}`, "does not keep a time"},
		{"two figures for a year that may be long ago", "committed_at", `{from: a, layouts: ["02/01/06"]}`, "16:47 on 23 January 1951 would be read as another"},
		{"the machine's zone", "reported_at", `{from: a, zone: Local}`, "zone: it is no time zone"},
		{"a constant that is no time", "updated_at", `{constant: hunter2}`, "constant: the column cannot hold it"},
		{"a constant that is no number", "victim_age", `{constant: hunter2}`, "constant: the column cannot hold it"},
		{"a code that becomes neither true nor false", "domestic_abuse", `{from: a, values: {J: ja, N: no}}`, "values: a code becomes what the column cannot hold"},
	} {
		_, err := ParseMapping([]byte("columns:\n  " + c.column + ": " + c.field))
		if want := "mapping: line 2: columns." + c.column + "."; err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", c.scenario, err)
		}
	}
	for _, good := range []string{`["2006-01-02T15:04:05Z"]`, `["02/01/2006"]`, `["Jan _2 2006 3PM"]`, `["2006-01-02 15:04:05 UTC"]`, `["20060102150405"]`, `["Monday, 2 January 2006 15:04 MST"]`, `["2006-002 15:04"]`, `["02/01/06"]`} {
		if _, err := ParseMapping([]byte("columns: {reported_at: {from: a, layouts: " + good + "}}")); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if doubt := mapping(t, `columns: {reported_at: {from: a, layouts: ["2006-01-02 15:04 MST"]}}`).Doubt(); !strings.Contains(doubt, "only UTC and GMT") {
		t.Errorf("%q", doubt)
	}
	if doubt := mapping(t, `columns: {reported_at: {from: a, zone: UTC, layouts: ["2006-01-02 15:04 MST"]}}`).Doubt(); doubt != "" {
		t.Errorf("%q", doubt)
	}
}

// A row becomes the same whatever stands before it: layouts that fit the same text are tried in their order.
func TestEqualRowsInAnyOrder(t *testing.T) {
	t.Parallel()
	m := mapping(t, `
columns:
  reported_at: {from: reported_at, layouts: ["02/01/2006", "01/02/2006", "2006-01-02"]}
  committed_at: {from: committed_at, zone: Europe/London, layouts: ["02/01/2006 15:04 MST", "01/02/2006 15:04", "02/01/2006 15:04"]}
`)
	const header = "allegation_id,report_id,suspect_id,offence_code,reported_at,committed_at,updated_at,victim_sex,source,outcome,suspect_age,domestic_abuse\n"
	rows := []string{
		"A1,R,S,019/08,05/06/2026,05/06/2026 12:00 BST,2026-06-30,F,victim,open,27.0,1.0\n",
		"A2,R,S,019/08,13/06/2026,13/06/2026 12:00,2026-06-30T10:00:00Z,F,victim,open,27,true\n",
		"A3,R,S,019/08,06/25/2026,06/25/2026 12:00,2026-06-30 10:00:00+00:00,F,victim,open,+27,0.00\n",
		"A4,R,S,019/08,2026-06-05,05/06/2026 12:00,2026-06-30 10:00:00 Z,F,victim,open,27.5,no\n",
		"A5,R,S,019/08,05/06/2026,,2026-06-30 10:00,F,victim,open,,\n",
	}
	want := map[string]string{ // by hand: the first layout that fits
		"A1": "2026-06-05 2026-06-05T11:00:00Z", "A2": "2026-06-13 2026-06-13T11:00:00Z", "A3": "2026-06-25 2026-06-25T11:00:00Z",
		"A4": "2026-06-05 2026-05-06T11:00:00Z", "A5": "2026-06-05 ",
	}
	random := rand.New(rand.NewPCG(7, 7))
	var first []schemas.Offence
	for round := range 60 {
		got, result, err := convert(t, header+strings.Join(rows, ""), m)
		if err != nil || result.Unreadable["suspect_age"] != 1 || len(result.Unreadable) != 1 {
			t.Fatalf("%+v, %v", result, err)
		}
		for _, r := range got {
			text := time.UnixMicro(*r.ReportedAt).UTC().Format(time.DateOnly) + " "
			if r.CommittedAt != nil {
				text += time.UnixMicro(*r.CommittedAt).UTC().Format(time.RFC3339)
			}
			if text != want[*r.AllegationID] {
				t.Fatalf("round %d: %s is read as %s, want %s", round, *r.AllegationID, text, want[*r.AllegationID])
			}
		}
		slices.SortFunc(got, func(a, b schemas.Offence) int { return strings.Compare(*a.AllegationID, *b.AllegationID) })
		if first == nil {
			first = got
		}
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	var one, other bytes.Buffer
	for _, out := range []*bytes.Buffer{&one, &other} {
		if _, err := Convert(t.Context(), strings.NewReader(header+rows[0]+rows[1]), m, out, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), other.Bytes()) {
		t.Error("one mapping, used twice, gives other bytes")
	}
}

func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int32{"27": 27, "27.0": 27, "27.00": 27, "+27": 27, "+27.0": 27, "27.": 27, "-1.0": -1, "-0.0": 0, "027": 27, "0.000000": 0, "2147483647.0": 2147483647, " 27.0\t": 27} {
		if got, ok := whole(schemas.TrimSpace(text)); !ok || got != want {
			t.Errorf("%q: %d %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"27.5", "27.01", "27.00000000000000000001", ".0", ".", "", "+", "27.0.0", "27,0", "1_0", "0x1b", "27.0 years", "2147483648", "2147483648.0", "NaN", "inf", "1e1000000000", "27.-0"} {
		if got, ok := whole(text); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	for text, want := range map[string]bool{"1": true, "1.0": true, "1.00": true, "True": true, "T": true, "yes": true, "Y": true, "0": false, "0.0": false, "False": false, "f": false, "NO": false, "n": false} {
		if got, ok := boolean(text); !ok || got != want {
			t.Errorf("%q: %v %v", text, got, ok)
		}
	}
	for _, text := range []string{"2", "0.5", "1.5", "-1", "maybe", "NaN"} {
		if _, ok := boolean(text); ok {
			t.Errorf("%q is read as true or false", text)
		}
	}
}
