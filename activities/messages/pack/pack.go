// Package pack writes the tasking pack: the protected attachment in which a team reads everything about
// each of its suspects, why each is on the stack, what to look at first and what may be linked. It comes
// as one HTML page, without script or other file, and as the same in plain text.
//
// It is the only place of the tasking that holds the ids of suspects, victims and reports; the mailbox it
// goes to must be one that may hold them. It holds no time of writing, so that equal input is equal bytes.
//
// It must not know Temporal, the artefact store or how a suspect is scored: it is handed rows and prints
// what they say.
package pack

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"time"

	"harmstack/schemas"
)

// Input is everything a pack depends on.
type Input struct {
	// Team is the borough, the specialist team or the central desk, by name.
	Team  string
	Night schemas.NightID
	// Edition of the index by which the night was scored, as its manifest names it: cchi-2020.
	Edition string
	// Approved is when the stack was approved; it is shown in London time.
	Approved time.Time
	// Suspects are the team's, in any order.
	Suspects []Suspect
}

// Suspect is one suspect of the team's. What is in words here is printed as it is.
type Suspect struct {
	// Reference is the pseudonym, which the e-mail and the tasking use too.
	Reference string
	Ranked    schemas.Ranked
	// Contributions are the suspect's scored allegations, in any order.
	Contributions []schemas.Contribution
	// Case is every row that names the suspect, as the night left them in cases.parquet; nil: it left none. What of it the
	// team may not be told is left out here.
	Case []schemas.Case
	// State is the tasking's: "issued: acknowledge by 14 July 2026, 11:00".
	State string
	// Specialists are the teams that were added, by name, in any order.
	Specialists []string
	// News is what changed since the team was last told, in the order to print.
	News []string
	// Below: not on the stack any more, and tasked until below this position; 0: on the stack. There are no
	// Contributions then.
	Below int64
	// InTie: the edge of the stack falls inside the suspect's tie.
	InTie bool
}

var (
	//go:embed pack.html.tmpl
	source string
	//go:embed pack.css
	style string

	layout = template.Must(template.New("pack").Parse(source))
)

// HTML writes the pack for a browser, a phone or a printer.
func HTML(in Input) ([]byte, error) {
	sum := sha256.Sum256([]byte(style))
	var b bytes.Buffer
	err := layout.Execute(&b, struct {
		page
		Style     template.CSS
		StyleHash string
	}{newPage(in), template.CSS(style), base64.StdEncoding.EncodeToString(sum[:])})
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return b.Bytes(), nil
}

// Text writes the pack in lines of at most 80 characters.
func Text(in Input) ([]byte, error) {
	var p paper
	p.pack(newPage(in))
	return []byte(p.String()), nil
}
