package scoring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"

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
	atReported = atHash + 4
	atUpdated  = atReported + 8
	atCommit   = atUpdated + 8
	atOffence  = atCommit + 8
	atBorough  = atOffence + 4
	atAge      = atBorough + 4
	atSmall    = atAge + 4   // eight single bytes
	atTexts    = atSmall + 8 // the lengths of four texts as varints, then the texts
)

// hash spreads keys over buckets. It is the same in every process, so that buckets of several workers
// fit together. The low bits choose the bucket, the high ones stand in the record.
func hash(key []byte) uint64 { return xxhash.Sum64(key) }

func bucketOf(hash uint64) int { return int(hash % bucketCount) }

func putHash(rec []byte, hash uint64) {
	binary.LittleEndian.PutUint32(rec[atHash:], uint32(hash>>32))
}

func hashOf(rec []byte) uint32 { return binary.LittleEndian.Uint32(rec[atHash:]) }

// put encodes a into the bucket of a hash: of its suspect, or of its own id.
func put(w *scatterer, h uint64, a *allegation) error {
	id, suspect, report, victim := len(a.id), len(a.suspect), len(a.report), len(a.victim)
	n := atTexts + id + suspect + report + victim
	short := id|suspect|report|victim < 0x80
	if short {
		n += 4
	} else {
		n += lengthSize(id) + lengthSize(suspect) + lengthSize(report) + lengthSize(victim)
	}
	rec, err := w.record(bucketOf(h), n)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	head := rec[:atTexts:atTexts]
	le.PutUint32(head, uint32(n))
	putHash(head, h)
	le.PutUint64(head[atReported:], uint64(a.reported))
	le.PutUint64(head[atUpdated:], uint64(a.updated))
	le.PutUint64(head[atCommit:], uint64(a.committed))
	le.PutUint32(head[atOffence:], a.offence)
	le.PutUint32(head[atBorough:], a.borough)
	le.PutUint32(head[atAge:], a.age)
	le.PutUint64(head[atSmall:], uint64(a.suspectAge)|uint64(a.victimAge)<<8|uint64(a.status)<<16|uint64(a.sex)<<24|
		uint64(a.source)<<32|uint64(a.outcome)<<40|uint64(a.domesticAbuse)<<48|uint64(a.disposition)<<56)
	at := atTexts
	if short {
		le.PutUint32(rec[at:], uint32(id)|uint32(suspect)<<8|uint32(report)<<16|uint32(victim)<<24)
		at += 4
	} else {
		for _, n := range [...]int{id, suspect, report, victim} {
			at += putLength(rec[at:], n)
		}
	}
	at += copy(rec[at:], a.id)
	at += copy(rec[at:], a.suspect)
	at += copy(rec[at:], a.report)
	copy(rec[at:], a.victim)
	return nil
}

// A length takes one byte below 128, as nearly all do.
func lengthSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

func putLength(b []byte, n int) int {
	if n < 0x80 {
		b[0] = byte(n)
		return 1
	}
	return binary.PutUvarint(b, uint64(n))
}

func getLength(b []byte, at int) (n, after int) {
	if b[at] < 0x80 {
		return int(b[at]), at + 1
	}
	long, size := binary.Uvarint(b[at:])
	return int(long), at + size
}

// decode reads the record at the start of rec; the texts are views of it.
func (a *allegation) decode(rec []byte) {
	le := binary.LittleEndian
	a.reported = int64(le.Uint64(rec[atReported:]))
	a.updated = int64(le.Uint64(rec[atUpdated:]))
	a.committed = int64(le.Uint64(rec[atCommit:]))
	a.offence = le.Uint32(rec[atOffence:])
	a.borough = le.Uint32(rec[atBorough:])
	a.age = le.Uint32(rec[atAge:])
	small := rec[atSmall : atSmall+8 : atSmall+8]
	a.suspectAge, a.victimAge, a.status, a.sex = small[0], small[1], small[2], small[3]
	a.source, a.outcome, a.domesticAbuse, a.disposition = small[4], small[5], small[6], schemas.Disposition(small[7])
	id, at := getLength(rec, atTexts)
	suspect, at := getLength(rec, at)
	report, at := getLength(rec, at)
	victim, at := getLength(rec, at)
	cut := func(n int) []byte {
		at += n
		return rec[at-n : at : at]
	}
	a.id, a.suspect, a.report, a.victim = cut(id), cut(suspect), cut(report), cut(victim)
}

// idOf is the allegation's id in an encoded record.
func idOf(rec []byte) []byte {
	id, at := getLength(rec, atTexts)
	for range 3 {
		_, at = getLength(rec, at)
	}
	return rec[at : at+id]
}

// suspectOf is the suspect's id in an encoded record.
func suspectOf(rec []byte) []byte {
	id, at := getLength(rec, atTexts)
	suspect, at := getLength(rec, at)
	for range 2 {
		_, at = getLength(rec, at)
	}
	return rec[at+id : at+id+suspect]
}

// putVictim notes that somebody is the victim of a row in the window.
func putVictim(w *scatterer, h uint64, id []byte) error {
	n := victimHead + len(id)
	rec, err := w.record(bucketOf(h), n)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(rec, uint32(n))
	putHash(rec, h)
	copy(rec[victimHead:], id)
	return nil
}

const victimHead = atHash + 4

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
