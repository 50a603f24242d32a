package reference

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict says what the tables make of an offence.
type Verdict uint8

// The verdicts (contract, sections 4 and 5).
const (
	NotVAWG    Verdict = iota // no violence against women and girls
	SexUnknown                // it would be if the victim were female, and whether she is is not known
	Unscored                  // it is, or may be, but no single weight follows
	Weighed                   // it is, and has a weight
)

// Sex is what the record says of the victim's, as far as the rules ask.
type Sex uint8

// What a record may say.
const (
	UnknownSex Sex = iota // null or U
	Female                // F
	OtherSex              // M or X
	Sexes                 // how many there are
)

// Query is one offence as it was recorded.
type Query struct {
	// URN and Class are empty when they are not given; Code is in the form 019/08.
	URN, Code, Class string
	Victim           Sex
	// DomesticAbuse: the row is flagged so.
	DomesticAbuse bool
}

// Names of the rules by which a weight is found, as contributions.parquet shows them.
const (
	ByURN        = "urn"
	ByPair       = "pair"
	ByCode       = "code"
	ByLowest     = "lowest"
	BySupplement = "supplement"
	ByAsClass    = "as_class" // the class is missing or not in the table, and a resolution says as which to read it
)

// Weight is the answer to one look-up.
type Weight struct {
	Verdict Verdict
	Tenths  int64  // harm in tenths of a day; 0 unless Weighed
	Rule    string // how it was found; empty unless Weighed
	Title   string // the offence's title; empty unless Weighed
	// Resolution names the explicit rule that the weight follows from, such as "008/01 8N lowest"; empty: it needs
	// none.
	Resolution string
}

// URNContradicts tells whether a urn is known and belongs to another code than the one given. The urn wins.
func (t *Tables) URNContradicts(urn, code string) bool {
	rows := t.byURN[urn]
	return rows != nil && rows[0].key.code != code
}

// Weigh looks an offence up (contract, section 5): by urn where the table knows it, else by (code, class), else by code
// where all its rows agree, else by the resolution for a code whose class is missing or not in the table.
func (t *Tables) Weigh(q Query) Weight {
	w := t.weighed(q)
	if w.Verdict == Unscored && t.least {
		return t.leastOf(q)
	}
	return w
}

// Least are the same tables, but that what has no single weight takes the least that it may have: for the question what
// would be if it counted.
func (t *Tables) Least() *Tables {
	least := *t
	least.least = true
	return &least
}

// leastOf is the least weight of the rows that an offence may be and that are VAWG.
func (t *Tables) leastOf(q Query) Weight {
	rows, _ := t.rowsOf(q)
	w := Weight{Verdict: Unscored}
	for _, o := range rows {
		if o.weighed && o.counts(q) && (w.Verdict == Unscored || o.tenths < w.Tenths) {
			w = Weight{Verdict: Weighed, Tenths: o.tenths, Rule: ByLowest, Title: o.title}
		}
	}
	return w
}

// rowsOf are the rows that an offence may be, and how they are found.
func (t *Tables) rowsOf(q Query) (rows []*offence, rule string) {
	if rows := t.byURN[q.URN]; rows != nil {
		return rows, ByURN
	}
	if rows := t.byPair[pair{q.Code, q.Class}]; rows != nil && q.Class != "" {
		return rows, ByPair
	}
	return t.byCode[q.Code], ByCode
}

// counts tells whether a row is VAWG for a victim and a flag.
func (o *offence) counts(q Query) bool {
	female := q.Victim == Female || o.female && !o.ifDomestic
	return o.vawg && female && (!o.ifDomestic || q.DomesticAbuse)
}

// weighed is Weigh by the tables as they are.
func (t *Tables) weighed(q Query) Weight {
	rows, rule := t.rowsOf(q)
	w := t.weigh(rows, rule, q)
	class := t.asClass[q.Code]
	if rule != ByCode || class == "" || w.Verdict == Weighed || w.Verdict == NotVAWG {
		return w
	}
	w = t.weigh(t.byPair[pair{q.Code, class}], ByPair, q)
	if w.Verdict == Weighed {
		w.Resolution = strings.TrimSpace(fmt.Sprintf("%s without its class as %s; %s", q.Code, class, w.Resolution))
		w.Resolution = strings.TrimSuffix(w.Resolution, ";")
		if w.Rule == ByPair {
			w.Rule = ByAsClass
		}
	}
	return w
}

// weigh decides over every row that the offence may be, also when the victim may be female and it is not known.
func (t *Tables) weigh(rows []*offence, rule string, q Query) Weight {
	w, vawg := t.verdict(rows, rule, q)
	if q.Victim != UnknownSex {
		return w
	}
	q.Victim = Female
	if _, more := t.verdict(rows, rule, q); more > vawg {
		return Weight{Verdict: SexUnknown}
	}
	return w
}

// verdict decides over every row that the offence may be: VAWG if all of them are, not if none is, and
// with a weight if they agree on it or a resolution says how to choose. vawg is how many of them are.
func (t *Tables) verdict(rows []*offence, rule string, q Query) (w Weight, vawg int) {
	for _, o := range rows {
		if o.counts(q) {
			vawg++
		}
	}
	if vawg == 0 {
		return Weight{}, 0
	}
	least := slices.MinFunc(rows, func(a, b *offence) int { return int(a.tenths - b.tenths) })
	agree := !slices.ContainsFunc(rows, func(o *offence) bool { return o.tenths != least.tenths })
	resolution := ""
	switch {
	case vawg < len(rows) || !least.weighed:
		return Weight{Verdict: Unscored}, vawg
	case agree && least.supplement:
		rule = BySupplement
	case !agree && rule == ByPair && t.lowest[least.key]:
		rule, resolution = ByLowest, least.key.code+" "+least.key.class+" "+ByLowest
	case !agree:
		return Weight{Verdict: Unscored}, vawg
	}
	return Weight{Verdict: Weighed, Tenths: least.tenths, Rule: rule, Title: least.title, Resolution: resolution}, vawg
}
