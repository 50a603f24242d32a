package pack_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"harmstack/activities/messages/pack"
	"harmstack/schemas"
)

// rowOf is a row of the case of the suspect at position 4, in which the other is a victim, or the suspect is theirs.
func rowOf(role, allegation, report, other string, age int, change ...func(*schemas.Case)) schemas.Case {
	c := schemas.Case{
		Position: 4, PersonID: "P-100004", Role: role, AllegationID: &allegation, ReportID: &report, Disposition: "scored",
		ReportedAt: new(asOf.AddDays(-age).Start().UnixMicro()), Source: new("victim"), Outcome: new("open"),
	}
	if other != "" {
		c.OtherID = &other
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func outcome(s string) func(*schemas.Case) { return func(c *schemas.Case) { c.Outcome = &s } }
func source(s string) func(*schemas.Case)  { return func(c *schemas.Case) { c.Source = &s } }
func became(s string) func(*schemas.Case)  { return func(c *schemas.Case) { c.Disposition = s } }
func restricted(c *schemas.Case)           { c.Handling = new("Restricted ") }
func withCase(rows ...schemas.Case) pack.Input {
	in := only(hackney(), 4)
	in.Suspects[0].Case = rows
	return in
}

// The numbers are those of the table: allegation A-0001 is 1, A-0002 is 2, A-0007 is 3.
func TestLinesOfEnquiry(t *testing.T) {
	in := withCase(
		rowOf("suspect", "A-0001", "01HK/4411/26", "V-7001", 3),
		rowOf("suspect", "A-0002", "01IS/0932/26", "V-7002", 120, outcome("victim_does_not_support")),
		rowOf("suspect", "A-0007", "01CD/2219/26", "V-7004", 75, source("witness")),
		rowOf("suspect", "A-0900", "01HK/0009/25", "V-7004", 400, became("outside_window"), outcome("no_further_action")),
		rowOf("suspect", "A-0901", "01HK/0010/26", "", 20, became("cleared"), outcome("victim_does_not_support")),
		rowOf("victim", "A-0902", "01HK/0011/26", "V-7001", 5),
		// Versions that do not stand say nothing.
		rowOf("suspect", "A-0903", "01HK/0012/26", "V-7009", 5, became("superseded"), outcome("victim_does_not_support"), source("witness")),
	)
	says(t, in,
		"Lines of enquiry",
		"Counter-allegation: Victim V-7001 accuses the suspect in allegation 1, and is accused by the suspect in report 01HK/0011/26 of 25 June 2026. The allegation by the suspect came first.",
		"Victim V-7002 does not support the case: allegation 2. Ask a specialist to meet the victim again",
		"A victim who is not recorded does not support the case: report 01HK/0010/26 of 10 June 2026 (not counted: cleared).",
		"A witness reported allegation 3.",
		"Victim V-7004 is described in 2 reports: allegation 3 and report 01HK/0009/25 of 26 May 2025 (not counted: outside window).",
		"The allegations")
	silent(t, in, "V-7009")
	silent(t, only(hackney(), 4), "Lines of enquiry")
	// The other way round in time.
	in.Suspects[0].Case[5].ReportedAt = new(asOf.AddDays(-2).Start().UnixMicro())
	says(t, in, "The allegation against the suspect came first.")
}

// What a team may not know is not told, unless the suspect is the restricted desk's: no row of restricted handling, no
// row of anybody who is in one, nothing of intelligence, and nothing of anybody else's case.
func TestEnquiriesKeepSecrets(t *testing.T) {
	secret := []schemas.Case{
		rowOf("victim", "B1", "R-SECRET-1", "V-7001", 5, restricted), // V-7001 is an officer's, and accused by the suspect
		rowOf("suspect", "A-0001", "01HK/4411/26", "V-7001", 3, source("witness")),
		rowOf("victim", "B2", "R-SECRET-2", "V-7001", 4),
		rowOf("suspect", "B3", "R-SECRET-3", "V-SECRET", 4, became("intelligence_only"), source("intelligence"), outcome("victim_does_not_support")),
	}
	others := rowOf("suspect", "B4", "R-SECRET-4", "V-SECRET-2", 4, outcome("victim_does_not_support"))
	others.PersonID = "P-100057"
	in := withCase(append(secret, others)...)
	silent(t, in, "SECRET", "Lines of enquiry")
	in.Suspects[0].Ranked.Restricted = true
	says(t, in, "Counter-allegation: Victim V-7001 accuses the suspect in allegation 1, and is accused by the suspect in report R-SECRET-1 of 25 June 2026 and report R-SECRET-2")
	silent(t, in, "R-SECRET-3", "R-SECRET-4", "V-SECRET")
}

// Whatever the rows hold, both forms come out, in lines of their own.
func TestEnquiriesOfHostileRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(values ...string) *string {
		if v := values[r.IntN(len(values))]; v != "" {
			return &v
		}
		return nil
	}
	for range 50 {
		var rows []schemas.Case
		for i := range 20 {
			c := schemas.Case{PersonID: "P-100004", Role: *pick("suspect", "victim"), Disposition: *pick("scored", "cleared", "duplicate", "quarantined"),
				AllegationID: pick("", "A-0001", "A\nFORGED"), ReportID: pick("", "R\u202e", "R1\nFORGED"), OtherID: pick("", "V-7001", "V\nFORGED: x"),
				Outcome: pick("", "victim_does_not_support"), Source: pick("", "witness"), Handling: pick("", "", "", "normal", "x")}
			if r.IntN(3) > 0 {
				c.ReportedAt = new(asOf.AddDays(-i).Start().UnixMicro())
			}
			rows = append(rows, c)
		}
		page, text := write(t, withCase(rows...))
		if strings.Contains(text, "\nFORGED") || strings.Contains(page, "\nFORGED") || strings.ContainsRune(page+text, '\u202e') {
			t.Fatal(fmt.Sprint("a value forges a line:\n", text))
		}
	}
}
