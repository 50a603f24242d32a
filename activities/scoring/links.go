package scoring

import (
	"slices"
	"strings"
	"unicode/utf8"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
	nouns "harmstack/schemas/text"
)

// Links say which ids are one person's, of nominals that were merged (contract, section 3). A nil one has no links.
// It is safe for goroutines.
type Links struct {
	rows  []schemas.PersonLink // by person_id, each once
	ends  []int32              // of each row: that whose same_as is the end of its chain
	slots []slot               // rows by the hash of their person_id: open addressing
}

// NewLinks takes links in any order and follows them. A link of an id to itself says nothing. The error is PersonLinks,
// with how many are wrong: cycles, ids with two targets, links that lack an id, and those from or to a placeholder,
// which would make somebody of nobody, or the other way round.
func NewLinks(given []schemas.PersonLink, t *reference.Tables) (*Links, error) {
	l := &Links{rows: make([]schemas.PersonLink, 0, len(given))}
	var lacking, nobody, torn int
	for _, r := range given {
		r.PersonID, r.SameAs = schemas.TrimSpace(r.PersonID), schemas.TrimSpace(r.SameAs)
		switch {
		case r.PersonID == "", r.SameAs == "", !utf8.ValidString(r.PersonID), !utf8.ValidString(r.SameAs):
			lacking++
		case r.PersonID == r.SameAs:
		case t.IsPlaceholder(r.PersonID), t.IsPlaceholder(r.SameAs):
			nobody++
		default:
			l.rows = append(l.rows, r)
		}
	}
	slices.SortFunc(l.rows, schemas.PersonLink.Compare)
	l.rows = slices.Clip(slices.Compact(l.rows))
	for i := range l.rows {
		second := i > 0 && l.rows[i].PersonID == l.rows[i-1].PersonID
		if second && (i < 2 || l.rows[i].PersonID != l.rows[i-2].PersonID) {
			torn++
		}
	}
	l.index()
	cycles, within := l.follow()
	var wrong []string
	for _, w := range []struct {
		n    int
		text string
	}{
		{torn, nouns.Count(torn, "id has", "ids have") + " more than one target"},
		{cycles, nouns.Count(cycles, "cycle") + ", of " + nouns.Count(within, "id") + " in all"},
		{lacking, nouns.Count(lacking, "link lacks", "links lack") + " person_id or same_as"},
		{nobody, nouns.Count(nobody, "link is", "links are") + " from or to a placeholder, which is nobody"},
	} {
		if w.n > 0 {
			wrong = append(wrong, w.text)
		}
	}
	if wrong != nil {
		return nil, fault.Errorf(
			fault.PersonLinks,
			"the person links cannot be followed: %s: have the list mended where it is made",
			strings.Join(wrong, "; "),
		)
	}
	return l, nil
}

// index makes the slots.
func (l *Links) index() {
	size := 16
	for size < 2*len(l.rows) {
		size *= 2
	}
	l.slots = make([]slot, size)
	for i := range l.rows {
		h := bucket.Hash(view(l.rows[i].PersonID))
		at := int(h) & (size - 1)
		for l.slots[at].record != 0 {
			at = (at + 1) & (size - 1)
		}
		l.slots[at] = slot{uint32(h >> 32), int32(i) + 1}
	}
}

// find is the row of an id; -1: no link is from it.
func (l *Links) find(id []byte) int32 {
	h := bucket.Hash(id)
	for at := int(h) & (len(l.slots) - 1); ; at = (at + 1) & (len(l.slots) - 1) {
		switch s := l.slots[at]; {
		case s.record == 0:
			return -1
		case s.hash == uint32(h>>32) && l.rows[s.record-1].PersonID == string(id):
			return s.record - 1
		}
	}
}

// follow finds the end of every chain. Some have none: it returns how many cycles there are, and of how many ids in all.
func (l *Links) follow() (cycles, within int) {
	const unknown, underway, endless = -1, -2, -3
	l.ends = make([]int32, len(l.rows))
	for i := range l.ends {
		l.ends[i] = unknown
	}
	var path []int32
	for i := range l.rows {
		path = path[:0]
		at := int32(i)
		for at >= 0 && l.ends[at] == unknown {
			l.ends[at] = underway
			path = append(path, at)
			at = l.find(view(l.rows[at].SameAs))
		}
		if len(path) == 0 {
			continue
		}
		end := path[len(path)-1]
		if at >= 0 {
			if end = l.ends[at]; end == underway {
				cycles++
				within += len(path) - slices.Index(path, at)
				end = endless
			}
		}
		for _, row := range path {
			l.ends[row] = end
		}
	}
	return cycles, within
}

// End is the end of an id's chain: the id itself when no link is from it. It must not be changed.
func (l *Links) End(id []byte) []byte {
	if end := l.end(id); end != nil {
		return end
	}
	return id
}

// end is End, nil when no link is from the id.
func (l *Links) end(id []byte) []byte {
	if l == nil || len(id) == 0 {
		return nil
	}
	row := l.find(id)
	if row < 0 {
		return nil
	}
	return view(l.rows[l.ends[row]].SameAs)
}

// replace replaces the id in a row of a column, and tells whether that changed it.
func (l *Links) replace(c *textColumn, row int) bool {
	end := l.end(c.text(row))
	if end != nil {
		c.set(row, end)
	}
	return end != nil
}

// Rows are the links in their normal form: trimmed, by the bytes of person_id, each once, none to itself.
func (l *Links) Rows() []schemas.PersonLink { return l.rows }

// Len is how many links there are.
func (l *Links) Len() int64 {
	if l == nil {
		return 0
	}
	return int64(len(l.rows))
}

// Bytes is about how much memory the links take: some 90 bytes each where ids have up to 16.
func (l *Links) Bytes() (n int64) {
	if l == nil {
		return 0
	}
	const header, allocated = 16, 16 // of a text; what a short one takes is a multiple
	for i := range l.rows {
		for _, id := range [...]string{l.rows[i].PersonID, l.rows[i].SameAs} {
			n += int64(header + (len(id)+allocated-1)&^(allocated-1))
		}
	}
	return n + int64(4*len(l.ends)+8*len(l.slots))
}
