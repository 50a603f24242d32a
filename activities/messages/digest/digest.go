// Package digest writes the one e-mail a night that a borough team (or the central desk) receives: its
// own suspects on the approved stack, who is new, who left, and why each is there. It also sends it, by
// SMTP or into a folder.
//
// In subject, text, HTML and file names a suspect is a pseudonym, and a link leads to the desk, where the person can be
// looked up. The suspect id stands in one place, the packs, which only addresses of the domains that may hold them get
// (trust, section 3).
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
	"time"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/schemas"
)

// Input is everything a digest depends on.
type Input struct {
	Night schemas.NightID
	// Edition of the index by which the night was scored, as its manifest names it: cchi-2020.
	Edition string
	// Approved is when the stack was approved. It becomes the Date of the e-mail, so that a retry
	// writes the same bytes.
	Approved time.Time
	// Identity is how the deployment knows who somebody is (schemas.Manifest).
	Identity string
	Team     string // a borough's, the central desk or a specialist team
	// To are the team's addresses, such as "Hackney VAWG <vawg@example.police.uk>".
	To []string
	// Suspects are those whom the team has, in any order.
	Suspects []Suspect
	Left     []Left
	// Waiting counts those of the team's on the stack who are tasked with the next new taskings, which are weekly or
	// monthly by Cadence.
	Waiting int
	Cadence string
	// Cut is the night's: it tells whether the edge of the stack falls inside a tie.
	Cut       schemas.Cut
	Pseudonym pseudonym.Func
	// Desk is where people reach the desk; empty: nowhere, they answer by the starter.
	Desk Desk
	// PackDomains are the domains whose addresses get the team's rows, with ids, as CSV; none: nobody does.
	PackDomains []string
	// Revoked: the stack is the approved one again because that approval was taken back, or, when Night is zero, none
	// is. nil after an approval.
	Revoked *schemas.Revocation
}

// Suspect is one of the team's suspects on the approved stack, or tasked still below it.
type Suspect struct {
	schemas.Ranked
	Previous *int64   // the position on the stack before, nil when not on it
	Arrival  string   // how the suspect came to the team this night, in words; empty: the team had him
	With     string   // the team whose tasking it is
	State    string   // of the tasking, in words
	News     []string // what changed since the team was last told
	// Below: not on the stack any more, and tasked until below this position; 0: on the stack.
	Below int64
}

// Left is a suspect who was the team's and is no longer.
type Left struct {
	Reference string `json:"reference"`
	Position  int64  `json:"position"`
	Why       string `json:"why"`
}

// Message is one e-mail, finished but for the sender.
type Message struct {
	// Key names the content: the same as_of, borough and rows give the same Key in every revision, and
	// what was sent under a Key need not be sent again, unless something else was sent since: the sender
	// then gives it another Key. 32 hex digits; they hold nothing personal. The
	// Message-ID is made of it; for those addresses that get packs it ends in -packs.
	Key  string
	Date time.Time
	To   []*mail.Address
	// Done are the addresses of To that need nothing more: they have the message, or will never take it. They stand in
	// its header like the others.
	Done        []string
	Subject     string
	Text        string
	HTML        string
	Attachments []Attachment
	// Packs are further files, which hold ids: they go to those addresses alone whose domain is one of PackDomains.
	Packs       []Attachment
	PackDomains []string
}

// Leave marks those that are done, and returns the addresses that are left.
func (m *Message) Leave(done func(address string) bool) (left []string) {
	m.Done = nil
	for _, a := range m.To {
		if done(a.Address) {
			m.Done = append(m.Done, a.Address)
		} else {
			left = append(left, a.Address)
		}
	}
	return left
}

// Attachment is a file that goes with a message.
type Attachment struct {
	Name, Type string // "stack-hackney.csv", "text/csv; charset=utf-8; header=present"
	Data       []byte
}

// Build writes the digest. A team without a suspect on the stack gets one too: silence would look like a
// failure. An error says what is wrong with the addresses, without repeating them.
func Build(in Input) (Message, error) {
	to, err := addresses(in.Team, in.To)
	if err != nil {
		return Message{}, err
	}
	in.Suspects = slices.Clone(in.Suspects)
	slices.SortFunc(in.Suspects, func(a, b Suspect) int { return cmp.Compare(a.Position, b.Position) })
	key, err := contentKey(in)
	if err != nil {
		return Message{}, err
	}
	p := newPage(in)
	text, html, err := p.render()
	if err != nil {
		return Message{}, err
	}
	date := in.Approved
	if in.Revoked != nil {
		date = in.Revoked.At
	}
	m := Message{
		Key: key, Date: date, To: to,
		Subject: fmt.Sprintf("%s, %s: %s", p.Title, p.Team, p.Summary),
		Text:    text, HTML: html,
		PackDomains: in.PackDomains,
	}
	if p.Packs {
		m.Packs = []Attachment{{p.CSVName, "text/csv; charset=utf-8; header=present", stackCSV(in)}}
	}
	return m, nil
}

func addresses(team string, to []string) ([]*mail.Address, error) {
	if len(to) == 0 {
		return nil, fmt.Errorf("the team %s has no e-mail address: configure one", team)
	}
	parsed := make([]*mail.Address, len(to))
	for i, s := range to {
		a, err := teams.ParseAddress(s)
		if err != nil {
			return nil, fmt.Errorf("the team %s: address %d of %d %w", team, i+1, len(to), err)
		}
		parsed[i] = a
	}
	return parsed, nil
}

// contentKey hashes the team's rows, not what changed: a revision that compares itself with another
// stack, but leaves the team the same rows, has no news for it.
func contentKey(in Input) (string, error) {
	rows := make([]schemas.Ranked, len(in.Suspects))
	for i, s := range in.Suspects {
		rows[i] = s.Ranked
		rows[i].SuspectID = in.Pseudonym(s.SuspectID)
	}
	var revoked *schemas.NightID
	if in.Revoked != nil {
		revoked = &in.Revoked.Manifest.NightID
	}
	content, err := json.Marshal(struct {
		AsOf schemas.Date
		Team string
		Rows []schemas.Ranked
		// Each revocation is news to every team, whatever its rows.
		Revoked *schemas.NightID `json:",omitempty"`
	}{in.Night.AsOf, in.Team, rows, revoked})
	if err != nil {
		return "", errors.New("digest: a row of the stack holds a number that is not finite")
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16]), nil
}
