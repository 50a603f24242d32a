package pack

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"harmstack/schemas"
)

// clean makes a value from the extract safe to stand in a line: a line break in it would forge a line of
// the pack, and a control of the writing direction would turn the text around it.
func clean(s string) string {
	out := strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) && unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, s))
	if out == "" && s != "" {
		return "(unprintable)"
	}
	return out
}

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

func whole(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func number[N int | int64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return whole(int64(n)) + " " + noun
}

// tenth writes days with one decimal, so that a column of them lines up.
func tenth(tenths int64) string { return whole(tenths/10) + "." + strconv.FormatInt(tenths%10, 10) }

// days writes days to a tenth, and without it when there is none.
func days(tenths int64) string { return strings.TrimSuffix(tenth(tenths), ".0") }

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
	n := strings.TrimSuffix(tenth((tenths*10+year/2)/year), ".0")
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
