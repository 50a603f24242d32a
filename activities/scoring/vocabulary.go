package scoring

import (
	"encoding/binary"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// vocabulary numbers the texts that recur (offences and boroughs), for all ingesters of an engine.
// Numbers differ from run to run; nothing that is written depends on them.
//
// It holds what real extracts have and no more: where a column holds another text in every row (a free text, or an id,
// where a code or a borough is expected), the rows whose texts found no room are unnumbered, and carry them in their
// own records, which spill.
type vocabulary struct {
	tables *reference.Tables

	// Readers take no lock: an entry never changes once its number is known.
	offences atomic.Pointer[[]offence]
	boroughs atomic.Pointer[[]borough]

	mu        sync.Mutex
	byOffence map[offenceKey]uint32
	byBorough map[string]uint32
}

// maxNumbered is how many different texts of a kind get a number; tests make it small. The tables have some 600
// offences and 32 boroughs, and a force perhaps ten times as many.
var maxNumbered = 8 << 10

// maxNumberedText is how many bytes one of them may have.
const maxNumberedText = 256

// unnumbered is the number of what has none.
const unnumbered = math.MaxUint32 - 2

type offenceKey struct{ code, class, urn string }

// offence is one combination of code, class and urn, and what the tables make of it by the victim's sex and by whether
// the row is flagged as domestic abuse.
type offence struct {
	offenceKey
	weights [reference.Sexes][2]reference.Weight
	// contradicts: the tables have the urn under another code.
	contradicts bool
}

// weight is by the victim's sex, a position in the enum, and by the flag as records hold it.
func (o *offence) weight(sex, domestic uint8) *reference.Weight {
	if domestic == abuseTrue {
		return &o.weights[sexes[sex]][1]
	}
	return &o.weights[sexes[sex]][0]
}

// borough is a place as given, or one of the 32 in its own spelling.
type borough struct {
	name  string
	known bool     // one of the 32: it can own a suspect
	alone []string // name, for the many suspects of one borough
}

// sexes are what the tables ask of a victim's sex, by its position in the enum, from 1; 0 is null.
var sexes = func() (by [8]reference.Sex) {
	for i, sex := range schemas.Offences[schemas.VictimSex].Enum {
		by[i+1] = reference.OtherSex
		switch sex {
		case schemas.SexFemale:
			by[i+1] = reference.Female
		case schemas.SexUnknown:
			by[i+1] = reference.UnknownSex
		}
	}
	return by
}()

func newVocabulary(t *reference.Tables) *vocabulary {
	v := &vocabulary{tables: t, byOffence: map[offenceKey]uint32{}, byBorough: map[string]uint32{"": 0}}
	v.offences.Store(&[]offence{})
	boroughs := []borough{{}} // 0 is null
	for i, b := range t.Boroughs() {
		v.byBorough[b.Name] = uint32(i + 1)
		boroughs = append(boroughs, borough{b.Name, true, []string{b.Name}})
	}
	v.boroughs.Store(&boroughs)
	return v
}

// offenceNumber numbers a combination.
func (v *vocabulary) offenceNumber(k offenceKey) uint32 {
	if len(k.code)+len(k.class)+len(k.urn) > maxNumberedText {
		return unnumbered
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok := v.byOffence[k]
	if !ok {
		if len(v.byOffence) >= maxNumbered {
			return unnumbered
		}
		n = add(&v.offences, v.weigh(k))
		v.byOffence[k] = n
	}
	return n
}

// weigh looks a combination up in the tables.
func (v *vocabulary) weigh(k offenceKey) offence {
	o := offence{offenceKey: k, contradicts: v.tables.URNContradicts(k.urn, k.code)}
	for sex := range reference.Sexes {
		for domestic := range 2 {
			o.weights[sex][domestic] = v.tables.Weigh(
				reference.Query{URN: k.urn, Code: k.code, Class: k.class, Victim: sex, DomesticAbuse: domestic == 1},
			)
		}
	}
	return o
}

// boroughNumber numbers a trimmed borough as given. Those of the 32 always have a number: they own suspects.
func (v *vocabulary) boroughNumber(given string) uint32 {
	if i, ok := v.tables.FindBorough(given); ok {
		return uint32(i + 1)
	}
	if len(given) > maxNumberedText {
		return unnumbered
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok := v.byBorough[given]
	if !ok {
		if len(v.byBorough) >= maxNumbered {
			return unnumbered
		}
		n = add(&v.boroughs, borough{name: given, alone: []string{given}})
		v.byBorough[given] = n
	}
	return n
}

// add appends for readers that may be reading: they see the old length or the new one.
func add[T any](list *atomic.Pointer[[]T], entry T) uint32 {
	grown := append(*list.Load(), entry)
	list.Store(&grown)
	return uint32(len(grown) - 1)
}

// offence is what is numbered so.
func (v *vocabulary) offence(n uint32) *offence { return &(*v.offences.Load())[n] }

// isBorough tells whether a number is of one of the 32.
func (v *vocabulary) isBorough(n uint32) bool { return n != unnumbered && v.borough(n).known }

// borough is what is numbered so.
func (v *vocabulary) borough(n uint32) *borough { return &(*v.boroughs.Load())[n] }

// offenceOf is the offence of an allegation.
func (v *vocabulary) offenceOf(a *allegation) *offence {
	if a.offence != unnumbered {
		return v.offence(a.offence)
	}
	o := v.weigh(a.own.offenceKey)
	return &o
}

// boroughOf is the name of an allegation's borough; empty for null.
func (v *vocabulary) boroughOf(a *allegation) string {
	if a.borough != unnumbered {
		return v.borough(a.borough).name
	}
	return a.own.borough
}

// ownTexts are those of a row that the vocabulary has no numbers for: of its offence, of its borough, or of both.
type ownTexts struct {
	offenceKey
	borough string
}

// fields are the texts that a record carries, given what its offence and its borough are numbered.
func (o *ownTexts) fields(offence, borough uint32, to []*string) []*string {
	if offence == unnumbered {
		to = append(to, &o.code, &o.class, &o.urn)
	}
	if borough == unnumbered {
		to = append(to, &o.borough)
	}
	return to
}

// size is how many bytes they take at the end of a record.
func (o *ownTexts) size(offence, borough uint32) (n int) {
	var room [4]*string
	for _, f := range o.fields(offence, borough, room[:0]) {
		n += lengthSize(len(*f)) + len(*f)
	}
	return n
}

// put writes them.
func (o *ownTexts) put(offence, borough uint32, to []byte) {
	var room [4]*string
	at := 0
	for _, f := range o.fields(offence, borough, room[:0]) {
		at += putLength(to[at:], len(*f))
		at += copy(to[at:], *f)
	}
}

// cutOwn reads them from the end of a record: views of it. It says no when they are not all that stands there.
func cutOwn(offence, borough uint32, tail []byte) (*ownTexts, bool) {
	own := &ownTexts{}
	var room [4]*string
	for _, f := range own.fields(offence, borough, room[:0]) {
		n, size := binary.Uvarint(tail)
		if size <= 0 || n > uint64(len(tail)-size) {
			return own, false
		}
		*f = text(tail[size : size+int(n)])
		tail = tail[size+int(n):]
	}
	return own, len(tail) == 0
}

// clone copies them out of the record that they are views of.
func (o *ownTexts) clone() *ownTexts {
	if o == nil {
		return nil
	}
	return &ownTexts{
		offenceKey{strings.Clone(o.code), strings.Clone(o.class), strings.Clone(o.urn)},
		strings.Clone(o.borough),
	}
}
