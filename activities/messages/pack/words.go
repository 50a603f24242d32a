package pack

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// clean makes a value from the extract safe to stand in a line: a line break in it would forge a line of
// the pack, and a control of the writing direction would turn the text around it.
func clean(s string) string { return text.Line(strings.TrimSpace(s)) }

// value is what a nullable column holds; null and blank are the same.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// orElse is the value, clean, or what to say when there is none.
func orElse(s *string, none string) string {
	if v := value(s); v != "" {
		return clean(v)
	}
	return none
}

// words turns a name of the contract into words: third_party is third party.
func words(name string) string { return strings.ReplaceAll(clean(name), "_", " ") }

// title writes an offence as it stands within a sentence.
func title(offence string) string {
	s := strings.TrimSuffix(clean(offence), ".")
	first, n := utf8.DecodeRuneInString(s)
	if second, _ := utf8.DecodeRuneInString(s[n:]); unicode.IsLower(second) {
		return string(unicode.ToLower(first)) + s[n:]
	}
	return s
}

func upperFirst(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[n:]
}

func longDate(t time.Time) string { return t.In(schemas.London).Format("2 January 2006") }

func shortDate(micro int64) string {
	return time.UnixMicro(micro).In(schemas.London).Format("2 Jan 2006")
}

// days writes days to a tenth, and without it when there is none.
func days(tenths int64) string { return strings.TrimSuffix(text.Tenths(tenths), ".0") }

func tenths(days float64) int64 { return int64(math.Round(days * schemas.TenthsPerDay)) }

// years adds to a number of days what it is in years, from one year on.
func years(tenths int64) string {
	const year = 365 * schemas.TenthsPerDay
	if tenths < year {
		return ""
	}
	about := "about "
	if tenths*10%year == 0 {
		about = ""
	}
	n := days((tenths*10 + year/2) / year)
	if n == "1" {
		return " (" + about + "1 year)"
	}
	return " (" + about + n + " years)"
}

// percent writes a share to a tenth; a small one stays visible.
func percent(share float64) string {
	if share > 0 && share < 0.0005 {
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// and joins a list: 1, 2 and 5.
func and(parts []string) string {
	if n := len(parts); n > 1 {
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
	return strings.Join(parts, "")
}
