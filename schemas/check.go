package schemas

import (
	"fmt"
	"strings"
)

// What follows from a check that fails.
const (
	Block = "block" // an approval needs an override, by name and reason
	Warn  = "warn"  // it is shown
)

// CheckOutcome is what one check of a night found.
type CheckOutcome struct {
	Name   string  `json:"check"`
	Level  string  `json:"level"`
	Limit  float64 `json:"limit"`
	Found  string  `json:"found"`
	Failed bool    `json:"failed"`
}

// Profile is what a full read tells of an extract beside its dispositions.
type Profile struct {
	// NewestReport is the London date of the newest report up to the night's date, empty when there is none.
	NewestReport Date `json:"newest_report,omitzero"`
	// AheadOfClock counts rows that were last changed after the moment of reading.
	AheadOfClock int64 `json:"ahead_of_clock"`
	// Nulls counts nulls by column.
	Nulls map[string]int64 `json:"nulls"`
}

// Blocked are the checks of a night that failed and block.
func (m Manifest) Blocked() (failed []CheckOutcome) {
	for _, c := range m.Checks {
		if c.Failed && c.Level == Block {
			failed = append(failed, c)
		}
	}
	return failed
}

// CheckTable writes outcomes as Markdown: those that failed, or all.
func CheckTable(outcomes []CheckOutcome, all bool) string {
	var b strings.Builder
	for _, c := range outcomes {
		if !c.Failed && !all {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("| check | | found | limit |\n|---|---|---|---:|\n")
		}
		mark := "ok"
		if c.Failed {
			mark = "**" + c.Level + "**"
		}
		b.WriteString(fmt.Sprintf("| %s | %s | %s | %v |\n", c.Name, mark, c.Found, c.Limit))
	}
	return b.String()
}
