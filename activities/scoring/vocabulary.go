package scoring

import (
	"sync"
	"sync/atomic"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// vocabulary numbers the texts that recur (offences and boroughs), for all feeders of an engine.
// Numbers differ from run to run; nothing that is written depends on them.
type vocabulary struct {
	tables *reference.Tables

	// Readers take no lock: an entry never changes once its number is known.
	offences atomic.Pointer[[]offence]
	boroughs atomic.Pointer[[]borough]

	mu        sync.Mutex
	byOffence map[offenceKey]uint32
	byBorough map[string]uint32
}

type offenceKey struct{ code, class, urn string }

// offence is one combination of code, class and urn, and what the tables make of it with a female
// victim on the record and without.
type offence struct {
	offenceKey
	female, other reference.Weight
}

func (o *offence) weight(sex uint8) *reference.Weight {
	if sex == sexFemale {
		return &o.female
	}
	return &o.other
}

// borough is a place as given, or one of the 32 in its own spelling.
type borough struct {
	name  string
	known bool     // one of the 32: it can own a suspect
	alone []string // name, for the many suspects of one borough
}

// sexFemale is the position of F in the enum.
var sexFemale = uint8(enumPosition(schemas.VictimSex, schemas.SexFemale))

func newVocabulary(t *reference.Tables) *vocabulary {
	v := &vocabulary{tables: t, byOffence: map[offenceKey]uint32{}, byBorough: map[string]uint32{"": 0}}
	v.offences.Store(&[]offence{})
	v.boroughs.Store(&[]borough{{}}) // 0 is null
	return v
}

// offenceNumber numbers a combination.
func (v *vocabulary) offenceNumber(k offenceKey) uint32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok := v.byOffence[k]
	if !ok {
		n = add(&v.offences, offence{k, v.tables.Weigh(k.urn, k.code, k.class, true), v.tables.Weigh(k.urn, k.code, k.class, false)})
		v.byOffence[k] = n
	}
	return n
}

// boroughNumber numbers a trimmed borough as given.
func (v *vocabulary) boroughNumber(given string) uint32 {
	b := borough{name: given, alone: []string{given}}
	if i, ok := v.tables.FindBorough(given); ok {
		known := v.tables.Boroughs()[i]
		b = borough{known.Name, true, []string{known.Name}}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	n, ok := v.byBorough[b.name]
	if !ok {
		n = add(&v.boroughs, b)
		v.byBorough[b.name] = n
	}
	return n
}

// add appends for readers that may be reading: they see the old length or the new one.
func add[T any](list *atomic.Pointer[[]T], entry T) uint32 {
	grown := append(*list.Load(), entry)
	list.Store(&grown)
	return uint32(len(grown) - 1)
}

func (v *vocabulary) offence(n uint32) *offence { return &(*v.offences.Load())[n] }

func (v *vocabulary) borough(n uint32) *borough { return &(*v.boroughs.Load())[n] }
