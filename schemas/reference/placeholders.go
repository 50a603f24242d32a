package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

func (t *Tables) addPlaceholder(row []string) error {
	p, isPrefix := strings.CutSuffix(row[0], "*")
	if p == "" || p != foldSpace(p) || strings.Contains(p, "*") {
		return fmt.Errorf("pattern %q must be lower case, with single spaces and at most a * at its end", row[0])
	}
	if t.placeholders[p] || slices.Contains(t.prefixes, p) {
		return fmt.Errorf("pattern %q stands twice", row[0])
	}
	if isPrefix {
		t.prefixes = append(t.prefixes, p)
	} else {
		t.placeholders[p] = true
	}
	return nil
}

// notePlaceholders fills mayBeNobody and mayBegin.
func (t *Tables) notePlaceholders() {
	plain := func(b int) bool {
		return b < utf8.RuneSelf && (unicode.IsLetter(rune(b)) || unicode.IsDigit(rune(b)))
	}
	for a := range 256 {
		t.mayBeNobody[a] = a == '0' || a == '9' || !plain(a)
		for b := range 256 {
			t.mayBegin[a][b] = max(a, b) >= utf8.RuneSelf || unicode.IsSpace(rune(b))
		}
	}
	for _, p := range slices.Concat(t.prefixes, slices.Collect(maps.Keys(t.placeholders))) {
		for _, a := range []byte{p[0], strings.ToUpper(p)[0]} {
			t.mayBeNobody[a] = true
			for b := range 256 {
				if len(p) == 1 || p[1] == strings.ToLower(string(rune(b)))[0] {
					t.mayBegin[a][b] = true
				}
			}
		}
	}
}

// foldSpace is a text in lower case, with runs of white space as one space and none around it.
func foldSpace(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// IsPlaceholder tells whether a person's id names nobody (contract, section 4, rule 5): it is one of the placeholders,
// in any letter case and with runs of space as one, begins with one that ends in *, or is only zeros, only nines or
// only punctuation.
func (t *Tables) IsPlaceholder(id string) bool {
	if id == "" {
		return true
	}
	if !t.mayBeNobody[id[0]] { // nearly everybody
		return false
	}
	if strings.TrimLeft(id, "0") == "" || strings.TrimLeft(id, "9") == "" {
		return true
	}
	if !strings.ContainsFunc(
		id,
		func(r rune) bool { return !unicode.IsPunct(r) && !unicode.IsSymbol(r) && !unicode.IsSpace(r) },
	) {
		return true
	}
	if len(id) > 1 && !t.mayBegin[id[0]][id[1]] {
		return false
	}
	folded := foldSpace(id)
	return t.placeholders[folded] ||
		slices.ContainsFunc(t.prefixes, func(p string) bool { return strings.HasPrefix(folded, p) })
}
