// Package text is how everything that people read is written: counts with their nouns, figures with their thousands
// apart, and values from elsewhere (an extract, a store, a request) so that they can only be read, and never act on
// what shows them: a spreadsheet, a terminal, a Markdown page.
//
// JSON is not for people: it stays exact. The package imports no other room.
package text

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/unicode/norm"
)

// Whole is any type in which things are counted.
type Whole interface{ ~int | ~int32 | ~int64 }

// Number writes a count with its thousands apart: 1,204.
func Number[N Whole](n N) string {
	// The printer keeps a cache of its formats behind a lock; what it prints depends on n alone.
	//workflowcheck:ignore
	return message.NewPrinter(language.BritishEnglish).Sprintf("%d", int64(n))
}

// Count writes a count with its noun: 1 victim, 1,204 rows. The plural is the noun with an s, or else as given.
func Count[N Whole](n N, noun string, plural ...string) string {
	return Number(n) + " " + Noun(n, noun, plural...)
}

// Noun is the noun of a count that is written elsewhere.
func Noun[N Whole](n N, noun string, plural ...string) string {
	switch {
	case n == 1:
		return noun
	case len(plural) > 0:
		return plural[0]
	}
	return noun + "s"
}

// Tenths writes tenths of a day as days with one decimal, so that a column of them lines up: 1,825.0.
func Tenths(tenths int64) string {
	sign := ""
	if tenths < 0 {
		sign, tenths = "-", -tenths
	}
	return sign + Number(tenths/10) + "." + strconv.FormatInt(tenths%10, 10)
}

// Days writes days to a tenth, and without it when there is none: 547.5, 1,825.
func Days(days float64) string { return strings.TrimSuffix(DaysTenth(days), ".0") }

// DaysTenth writes days with one decimal: 1,825.0.
func DaysTenth(days float64) string {
	if tenths := math.Round(10 * days); math.Abs(tenths) < 1<<53 {
		return Tenths(int64(tenths))
	}
	return strconv.FormatFloat(days, 'g', -1, 64)
}

// CountDays writes days with their noun: 1 harm day, 0.5 harm days.
func CountDays(days float64, noun string) string {
	if s := Days(days); s != "1" {
		return s + " " + noun + "s"
	}
	return "1 " + noun
}

// Cell keeps a spreadsheet from taking a value for a formula: one that could begin a formula gets an apostrophe in
// front. So it does after white space of any kind and what cannot be seen, which some spreadsheets drop, and in
// full-width signs.
func Cell(s string) string {
	if strings.HasPrefix(s, "\t") || strings.HasPrefix(s, "\r") || strings.HasPrefix(s, "\n") {
		return "'" + s
	}
	rest := strings.TrimLeftFunc(s, func(r rune) bool { return unseen(r) || r == utf8.RuneError })
	first, size := utf8.DecodeRuneInString(rest)
	if size > 0 && (first == '\u2212' || strings.ContainsAny(norm.NFKC.String(string(first)), "=+-@\u2212")) {
		return "'" + s
	}
	return s
}

// Cells writes several values in one cell. Each is made safe, for whoever splits them.
func Cells(values []string, separator string) string {
	cells := make([]string, len(values))
	for i, v := range values {
		cells[i] = Cell(v)
	}
	return strings.Join(cells, separator)
}

// unseen tells whether nothing, or only a gap, is seen of a character.
func unseen(r rune) bool {
	return unicode.IsSpace(r) ||
		unicode.In(
			r,
			unicode.Z,
			unicode.Cc,
			unicode.Cf,
			unicode.Other_Default_Ignorable_Code_Point,
			unicode.Variation_Selector,
		) ||
		r == '\u2800' // a Braille pattern without a dot
}

// Line makes a value safe within a line of a terminal or of a text. What would break the line, move the cursor, turn
// the direction of the writing or stay unseen is written out as in a Go string: \n, \x1b, \u202e. An invalid byte is
// \xff.
func Line(s string) string {
	bad := func(r rune) bool {
		return unicode.In(
			r,
			unicode.Cc,
			unicode.Cf,
			unicode.Zl,
			unicode.Zp,
			unicode.Other_Default_Ignorable_Code_Point,
		) ||
			r == utf8.RuneError
	}
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch size := 1; {
		case r == utf8.RuneError:
			if _, size = utf8.DecodeRuneInString(s[i:]); size == 1 {
				b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
				continue
			}
			b.WriteRune(r)
		case bad(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Lines is Line for each of several values.
func Lines(values []string) []string {
	lines := make([]string, len(values))
	for i, v := range values {
		lines[i] = Line(v)
	}
	return lines
}

// Markdown makes a value safe within a line, a cell or a summary of Markdown: it shows what it holds, and is no markup,
// HTML or link.
func Markdown(s string) string {
	runes := []rune(Line(s))
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	var b strings.Builder
	for i, r := range runes {
		// An underscore within a word marks nothing, and names of the contract are full of them.
		if strings.ContainsRune("\\`*[]<>|~&", r) || r == '_' && !(word(i-1) && word(i+1)) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		// Addresses become links by themselves, escaped or not: a space keeps them apart.
		if rest := string(runes[i+1 : min(i+3, len(runes))]); r == ':' && rest == "//" ||
			r == '.' && i >= 3 && strings.EqualFold(string(runes[i-3:i]), "www") ||
			r == '@' && word(i-1) && word(i+1) {
			b.WriteByte(' ')
		}
	}
	return b.String()
}
