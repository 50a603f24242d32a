package scoring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
)

// suspect is one suspect scored; its id is a view of whatever it was read from.
type suspect struct {
	sortKey
	sum, most     int64 // tenths of a day
	reports       int64
	firstReported int64
	domesticAbuse int64
	nonRecent     int64
	withdrawn     int64
	owner         uint32 // 0: the central desk
	status        uint8
	alsoVictim    bool
	agesDisagree  bool
	restricted    bool
	boroughs      []uint32
	others        []string // the names of the boroughs that are unnumbered: other is the first, and so on
}

// other is the number of a suspect's first borough that is unnumbered.
const other = 1 << 31

// name is the name of a suspect's borough.
func (v *vocabulary) name(n uint32, others []string) string {
	if n >= other {
		return others[n-other]
	}
	return v.borough(n).name
}

// sortKey is what decides a suspect's place in the ranking.
type sortKey struct {
	score, victims, allegations, lastReported int64
	id                                        []byte
}

// compare is the order of the ranking (section 6, rank).
func (a *sortKey) compare(b *sortKey) int {
	switch {
	case a.score != b.score:
		return cmp.Compare(b.score, a.score)
	case a.victims != b.victims:
		return cmp.Compare(b.victims, a.victims)
	case a.allegations != b.allegations:
		return cmp.Compare(b.allegations, a.allegations)
	case a.lastReported != b.lastReported:
		return cmp.Compare(b.lastReported, a.lastReported)
	}
	return bytes.Compare(a.id, b.id)
}

// Offsets in an encoded suspect, after its length.
const (
	atScore        = bucket.LengthBytes
	atLast         = atScore + 8
	atFirst        = atLast + 8
	atOwner        = atFirst + 8
	atStatus       = atOwner + 4
	atSuspectFlags = atStatus + 1
	atSuspectCount = atSuspectFlags + 1 // varints, the boroughs among them; the id is the rest
)

// encode appends s to buf.
func (s *suspect) encode(buf []byte) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, atSuspectCount)...)
	rec := buf[start:]
	le := binary.LittleEndian
	le.PutUint64(rec[atScore:], uint64(s.score))
	le.PutUint64(rec[atLast:], uint64(s.lastReported))
	le.PutUint64(rec[atFirst:], uint64(s.firstReported))
	le.PutUint32(rec[atOwner:], s.owner)
	rec[atStatus] = s.status
	for bit, flag := range [...]bool{s.alsoVictim, s.agesDisagree, s.restricted} {
		if flag {
			rec[atSuspectFlags] |= 1 << bit
		}
	}
	for _, n := range [...]int64{s.victims, s.allegations, s.reports, s.domesticAbuse, s.nonRecent, s.withdrawn, s.sum, s.most, int64(len(s.boroughs))} {
		buf = binary.AppendUvarint(buf, uint64(n))
	}
	for _, b := range s.boroughs {
		if b < other {
			buf = binary.AppendUvarint(buf, uint64(b))
			continue
		}
		name := s.others[b-other]
		buf = append(binary.AppendUvarint(binary.AppendUvarint(buf, other), uint64(len(name))), name...)
	}
	buf = append(buf, s.id...)
	le.PutUint32(buf[start:], uint32(len(buf)-start))
	return buf
}

// decode reads one encoded suspect; its texts are views of rec.
func (s *suspect) decode(rec []byte) {
	le := binary.LittleEndian
	s.score, s.lastReported, s.firstReported = int64(le.Uint64(rec[atScore:])), int64(le.Uint64(rec[atLast:])), int64(le.Uint64(rec[atFirst:]))
	s.owner, s.status = le.Uint32(rec[atOwner:]), rec[atStatus]
	flags := rec[atSuspectFlags]
	s.alsoVictim, s.agesDisagree, s.restricted = flags&1 != 0, flags&2 != 0, flags&4 != 0
	at := atSuspectCount
	number := func() (n int) {
		n, at = getLength(rec, at)
		return n
	}
	for _, to := range [...]*int64{&s.victims, &s.allegations, &s.reports, &s.domesticAbuse, &s.nonRecent, &s.withdrawn, &s.sum, &s.most} {
		*to = int64(number())
	}
	s.boroughs, s.others = slices.Grow(s.boroughs[:0], 4), s.others[:0]
	for range number() {
		b := uint32(number())
		if b == other {
			b += uint32(len(s.others))
			n := number()
			s.others = append(s.others, text(rec[at:at+n]))
			at += n
		}
		s.boroughs = append(s.boroughs, b)
	}
	s.id = rec[at:]
}

// row is the suspect as the score stage hands it to the rank stage. The boroughs' names are put behind
// those of the rows before.
func (v *vocabulary) row(s *suspect, names []string, row *schemas.Suspect) []string {
	*row = schemas.Suspect{
		SuspectID: text(s.id), Score: s.score, SumTenths: s.sum, MaxTenths: s.most, Allegations: s.allegations, Reports: s.reports,
		Victims: s.victims, FirstReported: s.firstReported, LastReported: s.lastReported, DomesticAbuse: s.domesticAbuse,
		NonRecent: s.nonRecent, AlsoVictim: s.alsoVictim, SuspectStatus: statusText(s.status),
		AgesDisagree: s.agesDisagree, Restricted: s.restricted, Withdrawn: s.withdrawn,
	}
	if s.owner != 0 {
		row.OwnerBorough = &v.borough(s.owner).name
	}
	switch len(s.boroughs) {
	case 0:
		row.Boroughs = []string{}
		return names
	case 1:
		if b := s.boroughs[0]; b < other {
			row.Boroughs = v.borough(b).alone
			return names
		}
	}
	if n := len(s.boroughs); cap(names)-len(names) < n {
		names = make([]string, 0, max(n, batchRows)) // the texts of earlier rows stay where they are
	}
	from := len(names)
	for _, b := range s.boroughs {
		names = append(names, v.name(b, s.others))
	}
	row.Boroughs = names[from:len(names):len(names)]
	return names
}

func statusText(position uint8) *string {
	if position == 0 {
		return nil
	}
	return &schemas.Offences[schemas.SuspectStatus].Enum[position-1]
}
