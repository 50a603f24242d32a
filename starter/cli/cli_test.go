package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/nights"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// run types one command line, and returns what it printed.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), args, &out, io.Discard)
	return out.String(), err
}

// generate makes a small extract.
func generate(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "extract.parquet")
	if _, err := run(t, "generate", "--out", path, "--as-of", "2026-06-30", "--suspects", "2000"); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every way of scoring an extract leaves the same ranking, to the byte.
func TestScoreIsTheSameToTheByte(t *testing.T) {
	extract, want := generate(t), []byte(nil)
	for _, flags := range [][]string{{"--threads", "1"}, {"--threads", "3"}, {"--memory", "64MiB", "--keep-extract"}} {
		dir := t.TempDir()
		if _, err := run(t, append([]string{"score", "--extract", extract, "--as-of", "2026-06-30", "--out", dir}, flags...)...); err != nil {
			t.Fatal(err)
		}
		got := read(t, dir, schemas.RankingFile)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v gave another ranking", flags)
		}
		var m schemas.Manifest
		if err := json.Unmarshal(read(t, dir, schemas.ManifestFile), &m); err != nil || m.Dispositions.Sum() != m.RowsRead || m.RowsRead == 0 {
			t.Errorf("%d rows read, %d accounted for, %v", m.RowsRead, m.Dispositions.Sum(), err)
		}
		for _, o := range m.Outputs {
			if int64(len(read(t, dir, o.URI))) != o.Bytes {
				t.Errorf("%s has other bytes than the manifest says", o.URI)
			}
		}
	}
}

// What is planted is told by kind, in words and as JSON, and the links are written as the file's name says: counts alone are
// printed, no ids.
func TestGenerateTellsWhatIsPlanted(t *testing.T) {
	dir := t.TempDir()
	words, err := run(t, "generate", "--out", filepath.Join(dir, "x.parquet"), "--as-of", "2026-06-30", "--suspects", "2000",
		"--links", filepath.Join(dir, "links.csv"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := run(t, "generate", "--out", filepath.Join(dir, "y.parquet"), "--as-of", "2026-06-30", "--suspects", "2000",
		"--links", filepath.Join(dir, "links.parquet"), "--json")
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Rows    int64
		Planted map[string]int64
	}
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(read(t, dir, "links.csv"))), "\n")
	links, err := parquet.ReadFile[struct {
		PersonID string `parquet:"person_id"`
		SameAs   string `parquet:"same_as"`
	}](filepath.Join(dir, "links.parquet"))
	if err != nil || lines[0] != "person_id,same_as" || len(links) == 0 || len(lines) != len(links)+1 ||
		lines[1] != links[0].PersonID+","+links[0].SameAs || told.Planted["merged"] != int64(len(links)) {
		t.Errorf("%d lines, %d links, %v, %v", len(lines), len(links), told.Planted, err)
	}
	rows, err := parquet.ReadFile[schemas.Offence](filepath.Join(dir, "x.parquet"))
	if err != nil || int64(len(rows)) != told.Rows || !bytes.Equal(read(t, dir, "x.parquet"), read(t, dir, "y.parquet")) {
		t.Errorf("%d rows of %d, %v", len(rows), told.Rows, err)
	}
	for kind, n := range told.Planted {
		if !regexp.MustCompile(kind + ` +` + strconv.FormatInt(n, 10) + `\n`).MatchString(strings.ReplaceAll(words, ",", "")) {
			t.Errorf("%s: %d is not among\n%s", kind, n, words)
		}
	}
	for _, o := range rows {
		if o.AllegationID != nil && (strings.Contains(words, *o.AllegationID) || strings.Contains(text, *o.AllegationID)) {
			t.Fatal("an id was printed")
		}
	}
}

// The typed parts score as the extract that they were made of, and an extract without repeats as if nobody
// had looked for them.
func TestExtractAndUnique(t *testing.T) {
	source, dir := generate(t), t.TempDir()
	if out, err := run(t, "extract", "--extract", source, "--out", filepath.Join(dir, "parts")); err != nil || !strings.Contains(out, "in 1 part,") {
		t.Fatalf("%q, %v", out, err)
	}
	rows, err := parquet.ReadFile[schemas.Offence](source)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	rows = slices.DeleteFunc(rows, func(r schemas.Offence) bool {
		id := ""
		if r.AllegationID != nil {
			id = schemas.TrimSpace(*r.AllegationID)
		}
		again := seen[id]
		seen[id] = true
		return again
	})
	once := filepath.Join(dir, "once.parquet")
	if err := parquet.WriteFile(once, rows); err != nil {
		t.Fatal(err)
	}
	score := func(extract string, flags ...string) (schemas.Manifest, []byte) {
		out := t.TempDir()
		if _, err := run(t, append([]string{"score", "--extract", extract, "--as-of", "2026-06-30", "--out", out}, flags...)...); err != nil {
			t.Fatal(err)
		}
		var m schemas.Manifest
		if err := json.Unmarshal(read(t, out, schemas.ManifestFile), &m); err != nil {
			t.Fatal(err)
		}
		return m, read(t, out, schemas.RankingFile)
	}
	for _, c := range []struct{ a, b []string }{
		{[]string{source}, []string{filepath.Join(dir, "parts", "part-00000.parquet")}},
		{[]string{once}, []string{once, "--unique"}},
	} {
		m, want := score(c.a[0], c.a[1:]...)
		n, got := score(c.b[0], c.b[1:]...)
		if !bytes.Equal(got, want) || m.Dispositions != n.Dispositions {
			t.Errorf("%v and %v rank otherwise:\n%v\n%v", c.a, c.b, m.Dispositions, n.Dispositions)
		}
	}
	if m, _ := score(source, "--unique"); m.Dispositions[schemas.Superseded]+m.Dispositions[schemas.Duplicate] != 0 || m.Dispositions.Sum() != m.RowsRead {
		t.Errorf("%v", m.Dispositions)
	}
}

// A bad extract gets one clear line, and leaves nothing that could be taken for a night.
func TestScoreRefusesBadExtracts(t *testing.T) {
	good := read(t, generate(t))
	parquetOf := func(rows ...schemas.Offence) []byte {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[schemas.Offence](&b)
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	type wrong struct {
		AllegationID int64 `parquet:"allegation_id"`
	}
	var mismatched bytes.Buffer
	if err := parquet.Write(&mismatched, []wrong{{1}}); err != nil {
		t.Fatal(err)
	}
	nothing := ""
	for scenario, c := range map[string]struct {
		data []byte
		want string
	}{
		"zero bytes":      {nil, "it is empty"},
		"not Parquet":     {[]byte("allegation_id,report_id,suspect_id\n"), "not a whole Parquet file"},
		"truncated":       {good[:len(good)-1000], "cut short"},
		"wrong columns":   {mismatched.Bytes(), "column allegation_id: expected string, found"},
		"no rows":         {parquetOf(), "the extract has no rows"},
		"all quarantined": {parquetOf(schemas.Offence{AllegationID: &nothing}), "none of 1 row can be read"},
	} {
		t.Run(scenario, func(t *testing.T) {
			extract, out := filepath.Join(t.TempDir(), "x.parquet"), t.TempDir()
			if err := os.WriteFile(extract, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := run(t, "score", "--extract", extract, "--as-of", "2026-06-30", "--out", out)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v does not say %q in one line", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(out, schemas.ManifestFile)); err == nil {
				t.Error("a manifest was left")
			}
		})
	}
}

// What people type wrongly gets one line that says what to do.
func TestBadCommandLines(t *testing.T) {
	t.Setenv("HARMSTACK_STORE", "")
	for _, c := range []struct{ line, want string }{
		{"scor", "unknown command"},
		{"score --out x --as-of 2026-06-30", "[extract night]"},
		{"score --extract x --out x", "--as-of: name the last full date"},
		{"score --extract x --night 2026-06-30 --out x", "[extract night]"},
		{"score --night 2026-06-30 --out x", "no store: set HARMSTACK_STORE"},
		{"score --extract x --as-of 2026-06-30 --out x --edition nowhere.csv", "reference table nowhere.csv"},
		{"generate --out x --as-of 2026-02-30", "not a calendar date"},
		{"generate --out x --as-of 2026-06-30 --suspects 0", "at least 1"},
		{"generate --out /nowhere/x --as-of 2026-06-30", "cannot write /nowhere/x"},
		{"generate --out x --as-of 2026-06-30 --links y.xlsx", "give a file that ends in .csv or .parquet"},
		{"score --extract x --as-of 2026-06-30 --out x --memory lots", "--memory"},
		{"score --extract x --as-of 2026-06-30 --out x --model best", "built-in models are rfs-v1, rfs-v2, sum"},
		{"score --extract https://a:hunter2@b/c --as-of 2026-06-30 --out x", "holds credentials"},
		{"backfill --from 2026-06-30 --to 2026-06-01", "--from 2026-06-30 is after --to 2026-06-01"},
		{"stack", "no store: set HARMSTACK_STORE"},
		{"approve --as-of 2026-06-30 --by x", `"reason" not set`},
		{"diff 2026-06-30", "accepts 2 arg"},
		{"run --extract https://a:hunter2@b/c", "holds credentials"},
	} {
		_, err := run(t, strings.Fields(c.line)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v does not say %q in one line", c.line, err, c.want)
		}
	}
}

// The demo leaves an approved stack, a manifest that reconciles and a digest for each borough and specialist team, and
// what is published can be looked at. It runs where the environment names other servers, and ignores them.
func TestDemo(t *testing.T) {
	t.Setenv("HARMSTACK_STORE", "s3://production")
	t.Setenv("TEMPORAL_ADDRESS", "temporal.invalid:7233")
	t.Setenv("HARMSTACK_SMTP", "mail.invalid")
	dir := t.TempDir()
	out, err := run(t, "demo", "--once", "--dir", dir, "--suspects", "3000")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"publish  done", "rows read", "POSITION", "http://127.0.0.1:", "Digests: "} {
		if !strings.Contains(out, part) {
			t.Errorf("it does not print %q:\n%s", part, out)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(string(read(t, dir, "env"))), "\n") {
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		t.Setenv(name, strings.Trim(value, "'"))
	}
	t.Setenv(deskVariable, "") // it is gone
	for _, file := range []string{schemas.ReportFile, schemas.StackCSVFile} {
		if len(read(t, dir, file)) == 0 {
			t.Errorf("no readable %s", file)
		}
	}
	st, err := openStoreAt(t.Context(), os.Getenv("HARMSTACK_STORE"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	current, err := nights.LoadCurrent(t.Context(), st)
	if err != nil || current == nil || current.Stack.Rows < 100 {
		t.Fatalf("current %+v, %v", current, err)
	}
	m, _, err := nights.LoadManifest(t.Context(), st, current.Manifest.NightID)
	if err != nil || m.Dispositions.Sum() != m.RowsRead || m.StartedBy.String() != "A. Nalyst (demo), verified" ||
		m.Cut.Stack != 100 || current.Stack.Rows != 100+m.Cut.Contained {
		t.Errorf("%d rows read, %d accounted for, %v", m.RowsRead, m.Dispositions.Sum(), err)
	}
	digests, err := os.ReadDir(filepath.Join(dir, "outbox"))
	// 32 boroughs and the central desk, and those of five other desks that have somebody.
	if err != nil || len(digests) < 34 || len(digests) > 38 {
		t.Errorf("%d digests, %v", len(digests), err)
	}
	var stack []schemas.Ranked
	text, err := run(t, "stack", "--json", "--why", "a test")
	if err == nil {
		err = json.Unmarshal([]byte(text), &stack)
	}
	whole, reading := nights.ReadFile[schemas.Ranked](t.Context(), st, m, schemas.StackFile)
	visible := slices.DeleteFunc(slices.Clone(whole), func(r schemas.Ranked) bool { return r.Restricted })
	if err != nil || reading != nil || len(whole) != int(current.Stack.Rows) || !reflect.DeepEqual(stack, visible) {
		t.Fatalf("%d of a stack of %d, %v %v", len(stack), len(whole), err, reading)
	}
	for _, line := range [][]string{{"explain", "#1", "--why", "a test"}, {"explain", stack[0].SuspectID, "--why", "a test"}, {"case", "#3", "--why", "a test"}, {"explain", "#2000", "--why", "a test"}, {"status"}, {"verify"}, {"audit", "verify"}, {"audit", "list"}, {"diff", m.AsOf.String(), m.NightID.String(), "--why", "a test"}} {
		if text, err := run(t, line...); err != nil || text == "" {
			t.Errorf("%v: %q, %v", line[0], text, err)
		}
	}
	if _, err := run(t, "explain", "nobody", "--why", "a test"); err == nil || !strings.Contains(err.Error(), "nobody of that name is in the ranking") {
		t.Errorf("explain of nobody: %v", err)
	}
	log, err := audit.Read(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	approved := false
	for _, e := range log {
		text, err := json.Marshal(e)
		if err != nil || bytes.Contains(text, []byte(stack[0].SuspectID)) {
			t.Errorf("the audit log names a suspect: %v", err)
		}
		approved = approved || e.Did == schemas.Approved && e.Actor.Verified == audit.Attested && e.Actor.Subject == "officer"
	}
	if !approved {
		t.Error("the log does not say that an officer approved, vouched for by the desk")
	}
}
