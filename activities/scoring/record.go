package scoring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"math"
	"strings"

	"harmstack/schemas"
)

// allegation is one row as it goes through the buckets: its values as normalised, low-cardinality ones
// as numbers that the engine's vocabulary gave them. Zero is null wherever null is possible.
type allegation struct {
	updated, reported, committed int64  // microseconds; committed: noTime for null
	offence                      uint32 // (code, class, urn) in the vocabulary
	borough                      uint32
	suspectAge, victimAge        uint8 // noAge for null
	status, sex, source, outcome uint8 // position in the enum, from 1
	domesticAbuse                uint8 // 0 null, 1 false, 2 true
	disposition                  schemas.Disposition
	age                          uint32 // days before as_of; only in the window
	id, report, suspect, victim  []byte // empty: null
}

const (
	noTime = math.MinInt64
	noAge  = math.MaxUint8

	// Offsets in an encoded allegation, after its length.
	atHash     = lengthBytes
	atUpdated  = atHash + 8
	atReported = atUpdated + 8
	atCommit   = atReported + 8
	atOffence  = atCommit + 8
	atBorough  = atOffence + 4
	atSmall    = atBorough + 4 // eight single bytes
	atAge      = atSmall + 8
	atLengths  = atAge + 4 // four lengths of four bytes
	headBytes  = atLengths + 16
)

// put encodes a into bucket by the hash of key.
func put(w *scatterer, seed maphash.Seed, key []byte, a *allegation) error {
	hash := maphash.Bytes(seed, key)
	n := headBytes + len(a.id) + len(a.report) + len(a.suspect) + len(a.victim)
	rec, err := w.record(int(hash%bucketCount), n)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	le.PutUint64(rec[atHash:], hash)
	le.PutUint64(rec[atUpdated:], uint64(a.updated))
	le.PutUint64(rec[atReported:], uint64(a.reported))
	le.PutUint64(rec[atCommit:], uint64(a.committed))
	le.PutUint32(rec[atOffence:], a.offence)
	le.PutUint32(rec[atBorough:], a.borough)
	small := rec[atSmall : atSmall+8 : atSmall+8]
	small[0], small[1], small[2], small[3] = a.suspectAge, a.victimAge, a.status, a.sex
	small[4], small[5], small[6], small[7] = a.source, a.outcome, a.domesticAbuse, uint8(a.disposition)
	le.PutUint32(rec[atAge:], a.age)
	at := headBytes
	for i, s := range [4][]byte{a.id, a.report, a.suspect, a.victim} {
		le.PutUint32(rec[atLengths+4*i:], uint32(len(s)))
		at += copy(rec[at:], s)
	}
	return nil
}

// decode reads the record at the start of rec; the texts are views of it.
func (a *allegation) decode(rec []byte) {
	le := binary.LittleEndian
	a.updated = int64(le.Uint64(rec[atUpdated:]))
	a.reported = int64(le.Uint64(rec[atReported:]))
	a.committed = int64(le.Uint64(rec[atCommit:]))
	a.offence = le.Uint32(rec[atOffence:])
	a.borough = le.Uint32(rec[atBorough:])
	small := rec[atSmall : atSmall+8 : atSmall+8]
	a.suspectAge, a.victimAge, a.status, a.sex = small[0], small[1], small[2], small[3]
	a.source, a.outcome, a.domesticAbuse, a.disposition = small[4], small[5], small[6], schemas.Disposition(small[7])
	a.age = le.Uint32(rec[atAge:])
	at := headBytes
	for i, s := range [4]*[]byte{&a.id, &a.report, &a.suspect, &a.victim} {
		end := at + int(le.Uint32(rec[atLengths+4*i:]))
		*s = rec[at:end:end]
		at = end
	}
}

// putVictim notes that somebody is the victim of a row in the window: the hash, then the id.
func putVictim(w *scatterer, seed maphash.Seed, id []byte) error {
	hash := maphash.Bytes(seed, id)
	rec, err := w.record(int(hash%bucketCount), victimHead+len(id))
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(rec[atHash:], hash)
	copy(rec[victimHead:], id)
	return nil
}

const victimHead = atHash + 8

// idOf is the allegation's id in an encoded record.
func idOf(rec []byte) []byte {
	return rec[headBytes : headBytes+int(binary.LittleEndian.Uint32(rec[atLengths:]))]
}

// suspectOf is the suspect's id in an encoded record.
func suspectOf(rec []byte) []byte {
	le := binary.LittleEndian
	at := headBytes + int(le.Uint32(rec[atLengths:])) + int(le.Uint32(rec[atLengths+4:]))
	return rec[at : at+int(le.Uint32(rec[atLengths+8:]))]
}

func hashOf(rec []byte) uint64 { return binary.LittleEndian.Uint64(rec[atHash:]) }

// compare orders two versions of a row by their values as normalised, in the order of the contract's
// columns: null lowest, strings by bytes, false before true (section 4, rule 2).
func (v *vocabulary) compare(a, b *allegation) int {
	ao, bo := v.offence(a.offence), v.offence(b.offence)
	return cmp.Or(
		bytes.Compare(a.id, b.id),
		bytes.Compare(a.report, b.report),
		bytes.Compare(a.suspect, b.suspect),
		compareAge(a.suspectAge, b.suspectAge),
		compareEnum(schemas.SuspectStatus, a.status, b.status),
		strings.Compare(ao.code, bo.code),
		strings.Compare(ao.class, bo.class),
		strings.Compare(ao.urn, bo.urn),
		cmp.Compare(a.reported, b.reported),
		cmp.Compare(a.committed, b.committed),
		strings.Compare(v.borough(a.borough).name, v.borough(b.borough).name),
		bytes.Compare(a.victim, b.victim),
		compareEnum(schemas.VictimSex, a.sex, b.sex),
		compareAge(a.victimAge, b.victimAge),
		cmp.Compare(a.domesticAbuse, b.domesticAbuse),
		compareEnum(schemas.Source, a.source, b.source),
		compareEnum(schemas.Outcome, a.outcome, b.outcome),
	)
}

// compareAge puts noAge lowest: it wraps to zero.
func compareAge(a, b uint8) int { return cmp.Compare(a+1, b+1) }

func compareEnum(column int, a, b uint8) int {
	return strings.Compare(enumText(column, a), enumText(column, b))
}

func enumText(column int, position uint8) string {
	if position == 0 {
		return ""
	}
	return schemas.Offences[column].Enum[position-1]
}

func enumPosition(column int, value string) uint32 {
	for i, v := range schemas.Offences[column].Enum {
		if v == value {
			return uint32(i + 1)
		}
	}
	return notAllowed
}
