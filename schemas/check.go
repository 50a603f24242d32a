package schemas

import (
	"fmt"
	"strings"
	"time"

	"harmstack/schemas/text"
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
	// Skipped: there was nothing to look at, or to compare with.
	Skipped bool `json:"skipped,omitempty"`
}

// Mark is the outcome in a word.
func (c CheckOutcome) Mark() string {
	switch {
	case c.Failed:
		return c.Level
	case c.Skipped:
		return "-"
	}
	return "ok"
}

// Profile is what a full read tells of an extract beside its dispositions.
type Profile struct {
	// NewestReport is the London date of the newest report up to the night's date, empty when there is none.
	NewestReport Date `json:"newest_report,omitzero"`
	// NewestChange is the last instant at which a row was changed, up to the moment of reading; zero when there is
	// none.
	NewestChange time.Time `json:"newest_change,omitzero"`
	// UnknownCodes counts rows whose offence code has the form of one, and stands in none of the tables.
	UnknownCodes *int64 `json:"unknown_codes,omitempty"`
	// Boroughs counts rows by borough, of the 32.
	Boroughs map[string]int64 `json:"boroughs,omitempty"`
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
		mark := c.Mark()
		if c.Failed {
			mark = "**" + mark + "**"
		}
		b.WriteString(
			fmt.Sprintf("| %s | %s | %s | %v |\n", text.Markdown(c.Name), mark, text.Markdown(c.Found), c.Limit),
		)
	}
	return b.String()
}
