package reference

// Knows tells whether the tables have an offence of a code, in the form 019/08, VAWG or not. One that they lack counts as
// not VAWG (contract, section 3), and may be newer than they are.
func (t *Tables) Knows(code string) bool { return t.byCode[code] != nil }
