package schemas

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// To add a column to the extract, give it a position in front of OffenceColumns (offence.go) and follow what the
// compiler, and then the start of any program or test, asks for. Nothing that lists columns starts with one of them
// missing:
//
//  1. Offences (offence.go): its name and its rules. All that goes by types and rules follows from there: reading Parquet, CSV
//     and databases, sorting, drift, the profile, the quarantine's reasons.
//  2. Offence (offence.go) and Quarantine (ranking.go): a field in the same place.
//  3. columnOrder (activities/extract/snapshot.go): how long it takes to copy.
//  4. fields (activities/extract/quarantine.go): where a row that is set aside keeps it.
//  5. versionOrders (activities/scoring/record.go): how it tells two versions of a row apart, for which an allegation must carry
//     it through the buckets: put and decode there. TestEveryColumnTellsVersionsApart fails until they do.
//  6. The synthetic extract (starter/synthetic): TestEveryColumnHasValues fails until it has some.
//
// What it means to the score, or to a published row, no table can say.

// MustHaveEvery panics, as a program starts, when a table that lists the columns of the extract forgets one.
func MustHaveEvery(table string, has func(column int) bool) {
	for i := range Offences {
		if !has(i) {
			panic(
				fmt.Sprintf(
					"%s has nothing for column %d, %q: see the head of schemas/columns.go",
					table,
					i,
					Offences[i].Name,
				),
			)
		}
	}
}

func init() {
	MustHaveEvery("schemas: Offences", func(i int) bool { return Offences[i].Name != "" })
	for _, row := range []struct {
		reflect.Type
		first int // of its fields that is a column
		text  string
	}{{reflect.TypeFor[Offence](), 0, "*string"}, {reflect.TypeFor[Quarantine](), 2, "[]uint8"}} {
		MustHaveEvery("schemas: "+row.Name(), func(i int) bool {
			if row.first+i >= row.NumField() {
				return false
			}
			field := row.Field(row.first + i)
			name, _, _ := strings.Cut(field.Tag.Get("parquet"), ",")
			kind := [...]string{String: row.text, Int32: "*int32", Bool: "*bool", Timestamp: "*int64"}[Offences[i].Type]
			return name == Offences[i].Name && field.Type.String() == kind
		})
	}
}

// MatchedColumns says which columns of a source are those of the contract.
type MatchedColumns struct {
	// Fields is which of the source's columns each of the contract's is, in the contract's order; -1: none.
	Fields [OffenceColumns]int
	// Twice says in words that several could be it; then Fields has none.
	Twice [OffenceColumns]string
	// Near holds the columns of the contract, by name, that a column is called nearly like which is not taken: its name
	// has other spaces or underscores, or one letter more, less or another. What it is called is not told: extra
	// columns may be called after people.
	Near map[string]bool
}

// MatchColumns finds the contract's columns among those of a source (contract, section 3). A name that differs in
// letter case alone is taken when there is no other. declared says which column one of the contract's comes from, by
// its name, when somebody has declared it; empty: from none.
func MatchColumns(names []string, declared map[string]string) MatchedColumns {
	m := MatchedColumns{Near: map[string]bool{}}
	taken := map[int]bool{}
	for i, c := range Offences {
		name, isDeclared := declared[c.Name]
		if !isDeclared {
			name = c.Name
		}
		var exact, folded []int
		for at, n := range names {
			switch {
			case name == "":
			case n == name:
				exact = append(exact, at)
			case strings.EqualFold(n, name):
				folded = append(folded, at)
			}
		}
		found := exact
		if len(exact) == 0 || !isDeclared { // who declares a name means that very one
			found = append(found, folded...)
		}
		m.Fields[i] = -1
		for _, at := range found {
			taken[at] = true
		}
		switch {
		case len(found) == 1:
			m.Fields[i] = found[0]
		case len(exact) > 1 || len(found) > 1 && len(exact) == 0 && allSame(names, folded):
			m.Twice[i] = "is there twice"
		case len(found) > 1:
			m.Twice[i] = "is there twice, in different letter case"
		}
	}
	for at, n := range names {
		if taken[at] {
			continue
		}
		for _, c := range Offences {
			if _, isDeclared := declared[c.Name]; !isDeclared && isNear(n, c.Name) {
				m.Near[c.Name] = true
			}
		}
	}
	return m
}

func allSame(names []string, at []int) bool {
	for _, i := range at {
		if names[i] != names[at[0]] {
			return false
		}
	}
	return true
}

// isNear tells whether two names are the same but for what separates their words, or for one letter: one too many, one
// missing, another, or two that have changed places.
func isNear(a, b string) bool {
	x, y := letters(a), letters(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(y)-len(x) > 1 {
		return false
	}
	i := 0
	for i < len(x) && x[i] == y[i] {
		i++
	}
	rest := func(s []rune, from int) string { return string(s[min(from, len(s)):]) }
	if len(x) < len(y) {
		return rest(x, i) == rest(y, i+1)
	}
	return rest(x, i+1) == rest(y, i+1) ||
		i+1 < len(x) && x[i] == y[i+1] && x[i+1] == y[i] && rest(x, i+2) == rest(y, i+2)
}

// letters are a name's letters and digits, in lower case.
func letters(name string) (kept []rune) {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			kept = append(kept, unicode.ToLower(r))
		}
	}
	return kept
}

// NearNote says in words that columns were not taken whose names come close to these of the contract; empty: there
// are none.
func NearNote(near []string) string {
	switch len(near) {
	case 0:
		return ""
	case 1:
		return "a column that is called nearly " + near[0] + " is not read: is it meant?"
	}
	return "columns that are called nearly " + strings.Join(
		near[:len(near)-1],
		", ",
	) + " and " + near[len(near)-1] + " are not read: are they meant?"
}

// FindColumn finds a column by its name: the exact one, or the only one that differs in letter case alone. wrong says in
// words why there is none.
func FindColumn(names []string, wanted string) (at int, wrong string) {
	at = slices.Index(names, wanted)
	if at >= 0 && slices.Contains(names[at+1:], wanted) {
		return -1, "is there twice"
	}
	if at >= 0 {
		return at, ""
	}
	for i, name := range names {
		switch {
		case !strings.EqualFold(name, wanted):
		case at >= 0:
			return -1, "is there twice, in different letter case"
		default:
			at = i
		}
	}
	if at < 0 {
		return -1, "is not there"
	}
	return at, ""
}
