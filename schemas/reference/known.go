package reference

import (
	"maps"
	"strings"
)

// Knows tells whether the tables have an offence of a code, in the form 019/08, VAWG or not. One that they lack counts
// as not VAWG (contract, section 3), and may be newer than they are.
func (t *Tables) Knows(code string) bool { return t.byCode[code] != nil }

// KnowsClass tells whether the tables have an offence of a class in the form 019, the part of a code before the slash.
func (t *Tables) KnowsClass(class string) bool {
	for code := range maps.Keys(t.byCode) {
		if before, _, _ := strings.Cut(code, "/"); before == class {
			return true
		}
	}
	return false
}
