package schemas

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// How long the texts may be that people give, in characters, not bytes (contract, section 8). Spaces at the ends count:
// they travel and are kept like the rest.
const (
	MaxNote   = 4000 // what a team says of a tasking
	MaxWho    = 200  // who says it, and the name of a team
	MaxReason = 2000 // why an officer decides, overrides a check or accepts a drift
	// MaxAttestation is that of the desk's signed word: a person has few roles.
	MaxAttestation = 4000
)

// CheckText refuses a text that is longer than limit characters. The error does not repeat it.
func CheckText(field, text string, limit int) error {
	if n := utf8.RuneCountInString(text); n > limit {
		return fmt.Errorf("%s: %d characters are too many, the limit is %d: shorten it", field, n, limit)
	}
	return nil
}

// CheckTexts refuses a decision whose texts are too long.
func (d Decision) CheckTexts() error {
	return errors.Join(
		CheckText("by", d.By, MaxWho),
		CheckText("reason", d.Reason, MaxReason),
		CheckText("override", d.Override, MaxReason),
		CheckText("attestation", d.Attestation, MaxAttestation),
	)
}
