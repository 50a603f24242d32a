package cli

import (
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"harmstack/worker/config"
)

// checkout is the folder of the project, seen from this package.
const checkout = "../.."

// page is one Markdown file.
type page struct {
	path    string   // from the checkout, with slashes
	lines   []string // as written
	prose   string   // without code blocks and code spans
	spans   []string // code spans
	blocks  []string // lines of code blocks
	anchors []string // of its headings
}

var (
	codeSpan = regexp.MustCompile("`[^`\n]+`")
	heading  = regexp.MustCompile(`^#{1,6} +(.+)$`)
	link     = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	starter  = regexp.MustCompile(`(?:^|[\s;|&(])(?:go run \./)?starter\s+(\S.*)$`)
	flagName = regexp.MustCompile(`(?:^|\s)--([a-z][a-z-]*)`)
	word     = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// pages are README.md and the Markdown below deploy/ and schemas/, by path.
func pages(t *testing.T) map[string]*page {
	t.Helper()
	all := map[string]*page{}
	read := func(path string) {
		data, err := os.ReadFile(filepath.Join(checkout, path))
		require.NoError(t, err)
		path = filepath.ToSlash(path)
		all[path] = parsePage(path, string(data))
	}
	read("README.md")
	for _, below := range []string{"deploy", "schemas"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(checkout, below), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "node_modules":
				return filepath.SkipDir
			case strings.HasSuffix(path, ".md"):
				rel, err := filepath.Rel(checkout, path)
				read(rel)
				return err
			}
			return nil
		}))
	}
	require.Greater(t, len(all), 20, "the manual")
	return all
}

func parsePage(path, text string) *page {
	p := &page{path: path, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	inBlock, repeated := false, map[string]int{}
	var prose strings.Builder
	for _, line := range p.lines {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			inBlock = !inBlock
		case inBlock:
			p.blocks = append(p.blocks, line)
		default:
			if m := heading.FindStringSubmatch(line); m != nil {
				p.anchors = append(p.anchors, anchor(m[1], repeated))
			}
			for _, span := range codeSpan.FindAllString(line, -1) {
				p.spans = append(p.spans, strings.Trim(span, "`"))
			}
			prose.WriteString(codeSpan.ReplaceAllString(line, "code") + "\n")
		}
	}
	p.prose = prose.String()
	return p
}

// anchor is what GitHub makes of a heading: letters, digits, dashes and underscores in lower case, spaces as dashes, and
// a number behind one that was there before.
func anchor(title string, repeated map[string]int) string {
	made := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, title)
	repeated[made]++
	if n := repeated[made]; n > 1 {
		return made + "-" + strconv.Itoa(n-1)
	}
	return made
}

func TestDocsLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for path, p := range all {
		for _, m := range link.FindAllStringSubmatch(p.prose, -1) {
			target, err := url.Parse(m[1])
			if err != nil || target.Scheme != "" {
				require.Equal(t, "https", target.Scheme, "%s: %s", path, m[1])
				continue
			}
			to := path
			if target.Path != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(path), target.Path))
				if _, err := os.Stat(filepath.Join(checkout, to)); err != nil || strings.HasPrefix(to, "..") {
					t.Errorf("%s: %s is not there", path, m[1])
					continue
				}
			}
			if at := all[to]; target.Fragment != "" && (at == nil || !slices.Contains(at.anchors, target.Fragment)) {
				t.Errorf("%s: %s has no such heading", path, m[1])
			}
		}
	}
}

func TestDocsNameCommandsThatAre(t *testing.T) {
	named := map[string]bool{}
	for path, p := range pages(t) {
		for _, line := range p.blocks {
			if m := starter.FindStringSubmatch(line); m != nil {
				checkCommand(t, path, m[1], true, named)
			}
		}
		for _, span := range p.spans { // which may leave out what is not the point
			if m := starter.FindStringSubmatch(span); m != nil {
				checkCommand(t, path, m[1], false, named)
			}
		}
	}
	for _, c := range rootCommand().Commands() {
		require.True(t, named[c.Name()] || c.Name() == "help", "nothing is said of starter %s", c.Name())
	}
}

// checkCommand tells whether a command and its flags exist and, of a whole one, its values and arguments will do.
func checkCommand(t *testing.T, path, line string, whole bool, named map[string]bool) {
	t.Helper()
	typed, comment, _ := strings.Cut(line, " #")
	typed = strings.TrimSpace(typed)
	var args []string
	for _, w := range word.FindAllString(typed, -1) {
		if slices.Contains([]string{"|", ">", "&&", ";", "…"}, w) {
			break
		}
		args = append(args, strings.Trim(w, `"'`))
	}
	root := rootCommand()
	root.InitDefaultHelpFlag()
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root && args[0] != "--help" || cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		t.Errorf("%s: there is no command `starter %s`", path, typed)
		return
	}
	for c := cmd; c.HasParent(); c = c.Parent() {
		named[c.Name()] = true
	}
	cmd.InitDefaultHelpFlag()
	for _, m := range flagName.FindAllStringSubmatch(strings.Join(rest, " ")+" "+comment, -1) {
		if cmd.Flag(m[1]) == nil {
			t.Errorf("%s: `starter %s`: %s has no flag --%s", path, typed, cmd.Name(), m[1])
			return
		}
	}
	if !whole || cmd == root {
		return
	}
	if err := complete(cmd, rest); err != nil {
		t.Errorf("%s: `starter %s`: %v", path, typed, err)
	}
}

// complete tells whether a command would begin with these arguments.
func complete(cmd *cobra.Command, args []string) error {
	if err := cmd.ParseFlags(args); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}

func TestDocsNameTestsThatAre(t *testing.T) {
	test := regexp.MustCompile(`go test\b.*?(\./[a-z0-9/]+)`)
	names := regexp.MustCompile(`-(run|bench|fuzz) '?\^?([A-Za-z|]+)\$?'?(?:\s|$)`)
	prefix := map[string]string{"run": "Test", "bench": "Benchmark", "fuzz": "Fuzz"}
	for path, p := range pages(t) {
		for _, line := range append(p.spans, p.blocks...) {
			m := test.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			files, err := filepath.Glob(filepath.Join(checkout, m[1], "*_test.go"))
			require.NoError(t, err)
			var source strings.Builder
			for _, f := range files {
				data, err := os.ReadFile(f)
				require.NoError(t, err)
				source.Write(data)
			}
			for _, n := range names.FindAllStringSubmatch(line, -1) {
				for name := range strings.SplitSeq(n[2], "|") {
					require.Regexp(t, `(?m)^func `+prefix[n[1]]+`\w*`+strings.TrimPrefix(name, prefix[n[1]]), source.String(), "%s: %s", path, line)
				}
			}
		}
	}
}

func TestReadmeIsReadInFiveMinutes(t *testing.T) {
	readme := pages(t)["README.md"]
	require.LessOrEqual(t, len(readme.lines), 150)

	ci, err := os.ReadFile(filepath.Join(checkout, ".ci", "run"))
	require.NoError(t, err)
	at := slices.IndexFunc(readme.blocks, func(line string) bool { return strings.HasPrefix(line, "go test ") })
	require.GreaterOrEqual(t, at, 0, "the test command")
	command, _, _ := strings.Cut(readme.blocks[at], "#")
	full := strings.Replace(strings.TrimSpace(command), "go test ", "HARMSTACK_E2E=full go test -timeout 30m ", 1)
	require.Contains(t, string(ci), "\n"+full+"\n", "CI does not run the test command, with all that is long")
}

func TestDocsTellEveryVariable(t *testing.T) {
	install := strings.Join(pages(t)["deploy/docs/install.md"].lines, "\n")
	for _, name := range regexp.MustCompile(`HARMSTACK_[A-Z_]+`).FindAllString(config.Usage, -1) {
		told := strings.Contains(install, name) || strings.Contains(install, "…"+strings.TrimPrefix(name, "HARMSTACK_SMTP")) && strings.HasPrefix(name, "HARMSTACK_SMTP")
		require.True(t, told, name)
	}
}

// The architecture page says which room may import which, and where Temporal is known.
func TestDocsImportsGoOneWay(t *testing.T) {
	height := map[string]int{"schemas": 0, "activities": 1, "workflows": 2, "worker": 3, "starter": 4}
	room := func(path string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "harmstack/"), "/")
		return name
	}
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	list.Dir = checkout
	out, err := list.Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from := fields[0]
		require.Contains(t, height, room(from), "a room of the architecture page")
		for _, to := range fields[1:] {
			if strings.HasPrefix(to, "harmstack/") && height[room(to)] > height[room(from)] {
				t.Errorf("%s imports %s, which is above it", from, to)
			}
			if strings.Contains(to, "yaml") && !strings.HasSuffix(to, "yaml/ast") && from != "harmstack/schemas/yamlfile" && to != "harmstack/schemas/yamlfile" {
				t.Errorf("%s imports %s: schemas/yamlfile bounds what it reads, and repeats nothing of it", from, to)
			}
			below := height[room(from)] < height["workflows"] && from != "harmstack/activities/nightly" && from != "harmstack/activities/task"
			if below && strings.HasPrefix(to, "go.temporal.io/") {
				t.Errorf("%s imports %s, and must not know Temporal", from, to)
			}
		}
	}
}
