package text

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestCountsHaveTheirNouns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{Count(0, "row"), "0 rows"}, {Count(1, "row"), "1 row"}, {Count(2, "row"), "2 rows"}, {Count(int64(1204), "row"), "1,204 rows"},
		{Count(-1, "row"), "-1 rows"}, {Count(1, "child", "children"), "1 child"}, {Count(2, "child", "children"), "2 children"},
		{Count(1234567, "entry", "entries"), "1,234,567 entries"}, {Noun(1, "is", "are"), "is"}, {Noun(3, "is", "are"), "are"},
		{Number(999), "999"}, {Number(1000), "1,000"}, {Number(-2941), "-2,941"}, {Number(int64(-1 << 63)), "-9,223,372,036,854,775,808"},
		{Tenths(18250), "1,825.0"}, {Tenths(-5), "-0.5"}, {Tenths(0), "0.0"}, {Days(1825), "1,825"}, {Days(547.5), "547.5"}, {Days(0.04), "0"},
		{DaysTenth(12345.67), "12,345.7"}, {DaysTenth(1e300), "1e+300"}, {CountDays(1, "harm day"), "1 harm day"}, {CountDays(1.04, "harm day"), "1 harm day"},
		{CountDays(0.5, "day"), "0.5 days"}, {CountDays(0, "day"), "0 days"}, {CountDays(2941, "day"), "2,941 days"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// A count that is written in front of a plural, other than by Count, says "1 rows" one day. Behind "more than" stands a
// limit, which is never one.
func TestNoCountHasAFixedNoun(t *testing.T) {
	t.Parallel()
	fixed := regexp.MustCompile(`(?:more than )?%[dsv] (?:rows|columns|values|records|entries|files|parts|nights|suspects|victims|allegations|` +
		`reports|boroughs|orders|teams|taskings|messages|addresses|models|people|links|checks|keys|days|hours|minutes|attempts)\b`)
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() && (strings.HasPrefix(e.Name(), ".") && len(e.Name()) > 2 || e.Name() == "deploy" || e.Name() == "node_modules") {
			return cmp.Or(err, fs.SkipDir)
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, text := range fixed.FindAllString(string(source), -1) {
			if !strings.HasPrefix(text, "more than ") && text != "%s taskings" { // "the next weekly taskings"
				t.Errorf("%s: %q", path, text)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNoCellIsAFormula(t *testing.T) {
	t.Parallel()
	for _, space := range []string{"", " ", "\u00a0", "\u200b", "\u3000", "\ufeff", "\u2003", "\u202e", "\u2060", "\u00ad", "\u3164", "\u115f", "\u2800", "\ufe0f", "\x00", "\v", "\u0085", "\u180e",
		"\U000e0020", "\u034f", "\xff", " \u00a0\u200b\u3000"} {
		for _, sign := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠", "﹢", "﹣", "﹦", "﹫", "−", "⁼"} {
			if s := space + sign + "1+cmd"; Cell(s) != "'"+s {
				t.Errorf("%+q is %+q", s, Cell(s))
			}
		}
	}
	for _, s := range []string{"\tS-1", "\rS-1", "\nS-1", "\t"} {
		if Cell(s) != "'"+s {
			t.Errorf("%q is %q", s, Cell(s))
		}
	}
	for _, s := range []string{"", "S-1", "S=1", "a@b", " S-1", "\u00a0", "Kingston upon Thames", "Ａ", "'=1", "３"} {
		if Cell(s) != s {
			t.Errorf("%q is %q", s, Cell(s))
		}
	}
}

func TestALineIsOneLine(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"S-1": "S-1", "Zoë Ångström 東京 🙂": "Zoë Ångström 東京 🙂", "a b": "a b", "a\u00a0b\u3000c": "a\u00a0b\u3000c",
		"a\nb": `a\nb`, "a\r\nb": `a\r\nb`, "a\tb": `a\tb`, "\x1b[2J\x1b]0;x\a": `\x1b[2J\x1b]0;x\a`, "\u009b31m": `\u009b31m`, "\x7f": `\x7f`,
		"a\u202eb": `a\u202eb`, "\u2066x\u2069": `\u2066x\u2069`, "\u200f": `\u200f`, "\u2028\u2029": `\u2028\u2029`, "\u0085": `\u0085`, "\x00": `\x00`,
		"a\u200bb": `a\u200bb`, "\ufeffS-1": `\ufeffS-1`, "\xff\xfe": `\xff\xfe`, "\ufffd": "\ufffd", "\U000e0041": `\U000e0041`, "\x80": `\x80`,
	} {
		if got := Line(s); got != want {
			t.Errorf("%+q is %+q, want %+q", s, got, want)
		}
	}
}

func TestMarkdownShowsWhatItHolds(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"rows_fell": "rows_fell", "2,941 rows, usually 3,000": "2,941 rows, usually 3,000", "5.0 %": "5.0 %", "2026-06-30": "2026-06-30",
		"a|b": `a\|b`, "`x`": "\\`x\\`", "**b**": `\*\*b\*\*`, "_i_": `\_i\_`, "a\nb": `a\\nb`, "[x](y)": `\[x\](y)`, "<img src=x>": `\<img src=x\>`,
		"&lt;": `\&lt;`, "https://evil.example/x": "https: //evil.example/x", "www.evil.example": "www. evil.example", "a@evil.example": "a@ evil.example",
		`a\|b`: `a\\\|b`, "~~s~~": `\~\~s\~\~`, "\u202e": `\\u202e`,
	} {
		if got := Markdown(s); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
	if got := Markdown("| x |\n|---|\n<script>"); strings.Contains(got, "\n") {
		t.Errorf("%q", got)
	}
}
