package yamlfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// example has a field of every kind that the files of a deployment use.
type example struct {
	Name  string           `yaml:"name"`
	Count int              `yaml:"count"`
	Share float64          `yaml:"share"`
	On    bool             `yaml:"on"`
	Wait  Span             `yaml:"wait"`
	List  []string         `yaml:"list"`
	Parts map[string]*part `yaml:"parts"`
	Items []part           `yaml:"items"`
}

type part struct {
	Name string   `yaml:"name"`
	Mail []string `yaml:"mail"`
	Size int64    `yaml:"size"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var e example
	d, err := Decode([]byte("# a comment\nname: \"x: [*&!\"\ncount: 3\nshare: 0.5\non: true\nwait: 1h30m\nlist: [a, 'b', \"c\"]\nparts:\n  \"Hammersmith & Fulham\": {name: n, mail: [m]}\nitems:\n- name: i\n- mail:\n  - a\n  - b\n"), Small, &e)
	if err != nil || e.Name != "x: [*&!" || e.Count != 3 || e.Share != 0.5 || !e.On || time.Duration(e.Wait) != 90*time.Minute || len(e.List) != 3 ||
		e.Parts["Hammersmith & Fulham"].Mail[0] != "m" || len(e.Items) != 2 || e.Items[1].Mail[1] != "b" {
		t.Errorf("%+v, %v", e, err)
	}
	for field, want := range map[string]string{
		"parts.Hammersmith & Fulham.mail": "line 9: parts.Hammersmith & Fulham.mail: no",
		"parts.Hackney.mail":              "line 8: parts.Hackney.mail: no",
		"another":                         "another: no",
		"parts.hunter2@example":           "line 8: parts.(hidden): no",
	} {
		if got := d.Place(errors.Join(errors.Join(Wrong(field, "no")))).Error(); got != want {
			t.Errorf("%s: %q", field, got)
		}
	}
}

const secret = "hunter2-Passw0rd"

// Every way in which a file can be wrong has one line that says where, and nothing of what stands there.
func TestFaults(t *testing.T) {
	t.Parallel()
	deep := func(open string, n int, last string) string { return strings.Repeat(open, n) + last }
	var blocks, lists strings.Builder
	for i := range 40 {
		fmt.Fprintf(&blocks, "%sname:\n", strings.Repeat(" ", i))
		fmt.Fprintf(&lists, "%sname:\n%s-\n", strings.Repeat("  ", i), strings.Repeat("  ", i))
	}
	for _, c := range []struct{ scenario, text, want string }{
		{"nothing", "# a comment\n", "the file is empty"},
		{"an unknown field", "name: x\nsurname: " + secret, `line 2: unknown field "surname"`},
		{"an unknown field that may be a secret", "name: x\n" + secret + ": 1", "line 2: unknown field (hidden)"},
		{"an unknown field below", "items:\n- name: x\n- nmae: " + secret, `line 3: unknown field "nmae"`},
		{"a field twice", "name: x\nname: " + secret, `line 2: the field "name" is there twice`},
		{"text for a whole number", "name: x\ncount: " + secret, "line 2: count: a whole number is needed here"},
		{"a fraction for a whole number", "count: 1.5", "line 1: count: a whole number is needed here"},
		{"a fraction within", "items: [{name: x}, {name: y, size: 1.0}]", "line 1: items[1].size: a whole number is needed here"},
		{"text for a number", "share: " + secret, "line 1: share: a number is needed here"},
		{"text for yes or no", "on: " + secret, "line 1: on: true or false is needed here"},
		{"a number that is too large", "count: 99999999999999999999999999", "line 1: count: the number is too large or too small"},
		{"text for a list", "parts:\n  Hackney:\n    mail: " + secret, "line 3: parts.Hackney.mail: a list is needed here"},
		{"text for fields", "items: [" + secret + "]", "line 1: items[0]: fields are needed here, each with a value"},
		{"a list for fields", "parts:\n- " + secret, "line 2: parts: fields are needed here, each with a value"},
		{"fields for text", "name: {" + secret + ": 1}", "line 1: name: a text is needed here"},
		{"no length of time", "wait: " + secret, "line 1: wait: it is no length of time: write it like 90s or 12h"},
		{"a negative length of time", "wait: -1h", "line 1: wait: it is no length of time: write it like 90s or 12h"},
		{"a number for a length of time", "name: x\nwait: 12", "line 2: wait: a length of time is needed here: write it like 90s or 12h"},
		{"a quote that does not end", "name: x\nlist: [\"" + secret + "]\n", "line 2: could not find end character of double-quoted text"},
		{"a bracket that does not end", "name: x\nlist: [" + secret, "line 2: it is no YAML from here on: look at quotes, colons, brackets and indentation"},
		{"a text alone", secret, "line 1: fields are needed here, each with a value"},
		{"a list alone", "- " + secret, "line 1: fields are needed here, each with a value"},
		{"two documents", "name: x\n---\nname: " + secret, "line 3: a second document begins here: keep one to a file"},
		{"an anchor", "name: &a " + secret, "line 1: anchors (&), aliases (*), merges (<<) and tags (!) are not taken: write the value out, or in quotes"},
		{"an alias", "name: *" + secret, "line 1: anchors (&)"},
		{"a merge", "parts:\n  a:\n    <<: {name: x}", "line 3: anchors (&)"},
		{"a tag", "name: !!binary " + secret, "line 1: anchors (&)"},
		{"billions of laughs", "name: &a [x,x,x]\nlist: &b [*a,*a,*a]", "line 1: anchors (&)"},
		{"brackets", deep("[", 200<<10, ""), "the file is too large: it has more than 64 KiB. Is it the right one?"},
		{"brackets in a small file", "list: " + deep("[", 60<<10, ""), "line 1: it goes deeper than 32 levels"},
		{"braces", "parts: " + deep("{a: ", 33, "x"), "line 1: it goes deeper than 32 levels"},
		{"brackets that end in quotes and comments", "list: " + deep("[ ']', # ]\n", 40, ""), "deeper than 32 levels"},
		{"brackets that end otherwise", "list: " + deep("[}", 20<<10, ""), "line 1: "},
		{"blocks", blocks.String(), "line 33: it goes deeper than 32 levels"},
		{"lists and fields in turns", lists.String(), "line 33: it goes deeper than 32 levels"},
		{"lists on one line", deep("- ", 30<<10, "x"), "line 1: it goes deeper than 32 levels"},
		{"explicit keys on one line", deep("? ", 30<<10, "x"), "line 1: it goes deeper than 32 levels"},
		{"no text", "name: \x00\xff" + secret, ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			var e example
			_, err := Decode([]byte(c.text), Small, &e)
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("it gives the text away: %q", err)
			}
		})
	}
	var e example
	for _, same := range []string{"\ufeffname: x\r\n# c\r\n", "---\nname: x\n", "--- # c\nname: x\n...\n", "name: x\n---\n"} {
		if _, err := Decode([]byte(same), Small, &e); err != nil || e.Name != "x" {
			t.Errorf("%q: %+v, %v", same, e, err)
		}
	}
	if _, err := Decode([]byte("list: "+strings.Repeat("[", 1)+strings.Repeat("]", 1)+"\nitems: [{mail: [a]}]"), Small, &e); err != nil {
		t.Error(err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, make([]byte, Small+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, Small); err == nil || err.Error() != "the file is too large: it has more than 64 KiB. Is it the right one?" {
		t.Error(err)
	}
	if data, err := Read(path, Large); err != nil || len(data) != Small+1 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := Read("/dev/zero", Small); err == nil {
		t.Error("a file without end was read to its end")
	}
	if _, err := Read(path+".none", Small); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Whatever the text, there is no panic, and an error of one line.
func FuzzDecode(f *testing.F) {
	f.Add("name: x\nparts: {a: {mail: [b]}}\nitems:\n- name: y\n")
	f.Add("? a\n: - b\n  - c: |\n      d\n")
	f.Fuzz(func(t *testing.T, text string) {
		var e example
		if _, err := Decode([]byte(text), Small, &e); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	})
}
