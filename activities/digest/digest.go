// Package digest writes the one e-mail a night that a borough team (or the central desk) receives: its
// own suspects on the approved stack, who is new, who left, and why each is there. It also sends it, by
// SMTP or into a folder.
//
// In subject, text, HTML and file names a suspect is a pseudonym. The suspect id stands in one place, the
// attached stack-<borough>.csv, so that a team can look the person up; the mailbox must be one that may
// hold it.
//
// It must not know Temporal, the artefact store or how a suspect is scored: it is handed rows and prints
// what they say.
package digest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"harmstack/activities/pseudonym"
	"harmstack/schemas"
)

// CentralDesk is the name of the team that owns the suspects no borough owns.
const CentralDesk = "Central desk"

// Input is everything a digest depends on.
type Input struct {
	Night schemas.NightID
	// Approved is when the stack was approved. It becomes the Date of the e-mail, so that a retry
	// writes the same bytes.
	Approved time.Time
	// Borough is the team's borough; empty means the central desk.
	Borough string
	// To are the team's addresses, such as "Hackney VAWG <vawg@example.police.uk>".
	To []string
	// Stack holds the team's rows of the approved stack, in any order: those it owns and those that were
	// transferred to it.
	Stack []schemas.Ranked
	// Previous holds the team's rows of the stack approved before; nil when there was none.
	Previous []schemas.Ranked
	// Changes are the night's, of all teams: they tell why somebody left.
	Changes []schemas.Change
	// Cut is the night's: it tells whether the edge of the stack falls inside a tie.
	Cut       schemas.Cut
	Pseudonym pseudonym.Func
}

// Message is one e-mail, finished but for the sender.
type Message struct {
	// Key names the content: the same as_of, borough and rows give the same Key in every revision, and
	// what was sent under a Key need not be sent again, unless something else was sent since: the sender
	// then gives it another Key. 32 hex digits; they hold nothing personal. The
	// Message-ID is made of it.
	Key     string
	Date    time.Time
	To      []*mail.Address
	Subject string
	Text    string
	HTML    string
	// CSV is the attachment, and CSVName its file name.
	CSV     []byte
	CSVName string
}

// Build writes the digest. A team without a suspect on the stack gets one too: silence would look like a
// failure. An error says what is wrong with the addresses, without repeating them.
func Build(in Input) (Message, error) {
	team := cmp.Or(in.Borough, CentralDesk)
	to, err := addresses(team, in.To)
	if err != nil {
		return Message{}, err
	}
	in.Stack = slices.Clone(in.Stack)
	slices.SortFunc(in.Stack, func(a, b schemas.Ranked) int { return cmp.Compare(a.Position, b.Position) })
	key, err := contentKey(in)
	if err != nil {
		return Message{}, err
	}
	p := newPage(team, in)
	text, html, err := p.render()
	if err != nil {
		return Message{}, err
	}
	return Message{
		Key: key, Date: in.Approved, To: to,
		Subject: fmt.Sprintf("VAWG stack of %s, %s: %s", p.Date, team, p.Summary),
		Text:    text, HTML: html,
		CSV: stackCSV(in), CSVName: "stack-" + slug(team) + ".csv",
	}, nil
}

func addresses(team string, to []string) ([]*mail.Address, error) {
	if len(to) == 0 {
		return nil, fmt.Errorf("the team %s has no e-mail address: configure one", team)
	}
	parsed := make([]*mail.Address, len(to))
	for i, s := range to {
		a, err := mail.ParseAddress(s)
		if err != nil {
			return nil, fmt.Errorf("the team %s: address %d of %d cannot be read: write name@host or Name <name@host>", team, i+1, len(to))
		}
		parsed[i] = a
	}
	return parsed, nil
}

// contentKey hashes the team's rows, not what changed: a revision that compares itself with another
// stack, but leaves the team the same rows, has no news for it.
func contentKey(in Input) (string, error) {
	rows := slices.Clone(in.Stack)
	for i := range rows {
		rows[i].SuspectID = in.Pseudonym(rows[i].SuspectID)
	}
	content, err := json.Marshal(struct {
		AsOf    schemas.Date
		Borough string
		Rows    []schemas.Ranked
	}{in.Night.AsOf, in.Borough, rows})
	if err != nil {
		return "", errors.New("digest: a row of the stack holds a number that is not finite")
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16]), nil
}

// slug keeps the letters and digits of a name, for a file name.
func slug(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}
