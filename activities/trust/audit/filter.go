package audit

import (
	"strings"

	"harmstack/schemas"
)

// Filter chooses entries; what is empty chooses all.
type Filter struct {
	Who     string // a name, or a part of it
	Subject string // the pseudonym of a suspect
	Night   string // 2026-06-30, or 2026-06-30-r1
	// From and To are days of London, both included.
	From, To schemas.Date
	// Refused: only what was refused.
	Refused bool
}

// Takes tells whether an entry is chosen.
func (f Filter) Takes(e Entry) bool {
	day := schemas.LondonDate(e.At)
	about := strings.Join(e.On.Pseudonyms, " ") + " " + e.On.Thing // an old entry has all of it there
	switch {
	case f.Who != "" && !strings.Contains(strings.ToLower(e.Actor.Name), strings.ToLower(f.Who)),
		f.Subject != "" && !strings.Contains(about, f.Subject),
		f.Night != "" && !strings.HasPrefix(e.On.Night, f.Night) && !strings.Contains(e.On.Thing, f.Night),
		f.Refused && e.Outcome != Refused,
		!f.From.IsZero() && day.Before(f.From),
		!f.To.IsZero() && f.To.Before(day):
		return false
	}
	return true
}
