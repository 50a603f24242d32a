package sources

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract/postgres/pgtest"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// merged are the links of every form of the input below; the last lacks its second id.
var merged = []schemas.PersonLink{{PersonID: "P1", SameAs: "P2"}, {PersonID: "Zoë", SameAs: "P2"}, {PersonID: " P4", SameAs: "P1"}, {PersonID: "P5", SameAs: ""}}

func parquetFile[T any](t *testing.T, rows []T, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	_, err := w.Write(rows)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The same links in every form in which they may come.
func TestLinksInEveryForm(t *testing.T) {
	type plainly struct {
		PersonID string `parquet:"person_id"`
		SameAs   string `parquet:"same_as"`
	}
	type nullable struct {
		Note   int64   `parquet:"note"`
		SameAs *string `parquet:"Same_As,optional,dict"`
		More   []struct {
			Name string `parquet:"name"`
		} `parquet:"more,list"`
		PersonID *string `parquet:"PERSON_ID,optional"`
	}
	type renamed struct {
		Old string `parquet:"old,delta"`
		New string `parquet:"new,dict"`
	}
	var a []plainly
	var b []nullable
	var c []renamed
	text := "same_as;person_id;note\n"
	for _, l := range merged {
		a, c = append(a, plainly(l)), append(c, renamed{l.PersonID, l.SameAs})
		n := nullable{PersonID: &l.PersonID, SameAs: &l.SameAs}
		if l.SameAs == "" {
			n.SameAs = nil
		}
		b = append(b, n)
		text += l.SameAs + ";" + l.PersonID + ";x\n"
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write([]byte("person_id,same_as\r\nP1,P2\r\nZoë,P2\r\n\" P4\",P1\r\n\r\nP5,\r\n"))
	w.Close()
	for scenario, form := range map[string]struct {
		file  string
		data  []byte
		links Links
	}{
		"Parquet, both required": {"l.parquet", parquetFile(t, a), Links{}},
		"Parquet, with nulls, a dictionary, further columns and other letter case": {"l.parquet", parquetFile(t, b, parquet.Compression(&parquet.Zstd)), Links{}},
		"Parquet, in row groups and pages of two rows":                             {"l.parquet", parquetFile(t, a, parquet.MaxRowsPerRowGroup(2), parquet.PageBufferSize(20)), Links{}},
		"Parquet, with names of its own":                                           {"l.parquet", parquetFile(t, c), Links{Columns: map[string]string{"person_id": "old", "same_as": "new"}}},
		"CSV, zipped, by the contract's names":                                     {"l.csv.gz", zipped.Bytes(), Links{}},
		"CSV, separated otherwise, with a further column":                          {"l.csv", []byte(text), Links{Delimiter: ";"}},
		"CSV, in another encoding and with names of its own": {"l.csv", []byte("old,new\nP1,P2\nZo\xeb,P2\n P4,P1\nP5,\n"),
			Links{Encoding: "windows-1252", Columns: map[string]string{"person_id": "old", "same_as": "new"}}},
	} {
		t.Run(scenario, func(t *testing.T) {
			form.links.File = filepath.Join(t.TempDir(), form.file)
			if err := os.WriteFile(form.links.File, form.data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := form.links.validate(false); err != nil {
				t.Fatal(err)
			}
			got, err := form.links.read(t.Context(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Rows, merged) || got.Ref.Rows != 4 || got.Ref.Bytes != int64(len(form.data)) || got.Ref.URI != form.links.File || got.Ref.Schema != schemas.PersonLinkSchema {
				t.Errorf("%q, %+v", got.Rows, got.Ref)
			}
			if sum := sha256sum(t, form.links.File); got.Ref.SHA256 != sum {
				t.Errorf("%s, want %s", got.Ref.SHA256, sum)
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		for i, l := range a {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.parquet", i)), parquetFile(t, []plainly{l}), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := OpenLinks(t.Context(), dir, Options{})
		if err != nil || !slices.Equal(got.Rows, merged) || got.Ref.Files != 4 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("none yet", func(t *testing.T) {
		for file, data := range map[string][]byte{"l.parquet": parquetFile[plainly](t, nil), "l.csv": []byte("person_id,same_as\n")} {
			path := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := OpenLinks(t.Context(), path, Options{}); err != nil || len(got.Rows) != 0 || len(got.Ref.SHA256) != 64 {
				t.Errorf("%+v, %v", got, err)
			}
		}
	})
}

func sha256sum(t *testing.T, path string) string {
	t.Helper()
	o, err := files(t.Context(), path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if err := o.hash(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o.sums[0]
}

// What cannot be links is refused with one line that names the column, and no value.
func TestLinksThatCannotBeRead(t *testing.T) {
	type numbers struct {
		PersonID int64  `parquet:"person_id"`
		SameAs   string `parquet:"same_as"`
	}
	type half struct {
		PersonID string `parquet:"person_id"`
		Other    string `parquet:"hunter2"`
	}
	type twice struct {
		A string `parquet:"person_id"`
		B string `parquet:"Same_as"`
		C string `parquet:"SAME_AS"`
	}
	whole := parquetFile(t, []half{{"P1", "P2"}})
	damaged := parquetFile(t, []schemas.PersonLink{{PersonID: "P1", SameAs: "P2"}})
	for i := 4; i < 60; i++ {
		damaged[i] ^= 0x55
	}
	for _, c := range []struct {
		scenario, file string
		data           []byte
		kind, want     string
	}{
		{"a column is missing", "l.parquet", whole, fault.SchemaMismatch, "column same_as is not there"},
		{"both are missing", "l.csv", []byte("hunter2,b\n1,2\n"), fault.SchemaMismatch, "column person_id is not there\ncolumn same_as is not there"},
		{"a column of numbers", "l.parquet", parquetFile(t, []numbers{{1, "P2"}}), fault.SchemaMismatch, "column person_id: expected string, found int"},
		{"a column twice", "l.parquet", parquetFile(t, []twice{{"P1", "P2", "P3"}}), fault.SchemaMismatch, "column same_as is there twice, in different letter case"},
		{"a column twice, as text", "l.csv", []byte("person_id,same_as,same_as\nhunter2,b,c\n"), fault.SchemaMismatch, "column same_as is there twice"},
		{"an empty CSV", "l.csv", nil, fault.SchemaMismatch, "the text is empty"},
		{"an empty Parquet file", "l.parquet", nil, fault.SchemaMismatch, "it is empty"},
		{"half a Parquet file", "l.parquet", whole[:len(whole)-9], fault.SchemaMismatch, "it is cut short"},
		{"damaged pages", "l.parquet", damaged, fault.DamagedArtifact, "column person_id, row group 0"},
		{"another quote", "l.csv", []byte("person_id,same_as\n\"hunter2,b\n"), fault.DamagedArtifact, "line 2"},
		{"a row with a field less", "l.csv", []byte("person_id,same_as\nhunter2\n"), fault.DamagedArtifact, "line 2"},
		{"not there", "", nil, fault.SourceNotFound, "no such file"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "none")
			if c.file != "" {
				path = filepath.Join(filepath.Dir(path), c.file)
				if err := os.WriteFile(path, c.data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := OpenLinks(t.Context(), path, Options{})
			if fault.Kind(err) != c.kind || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "person links: ") {
				t.Fatalf("%s: %v", fault.Kind(err), err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v names what is in the file", err)
			}
		})
	}
}

// A source declares its links; the extract may be of any kind.
func TestDeclaredLinks(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(t, filepath.Join(dir, "crimes.parquet"), offences("A", 10))
	put("crimes.csv", []byte("allegation_id,report_id,suspect_id,offence_code,reported_at,victim_sex,source,outcome,updated_at\nA1,R1,S1,019/08,2026-06-30T10:00:00Z,F,victim,open,2026-06-30T10:00:00Z\n"))
	put("merged.csv", []byte("person_id,same_as\nP1,P2\n"))
	for scenario, c := range map[string]struct {
		yaml string
		rows int64
	}{
		"beside Parquet":                  {"parquet: crimes.parquet\nlinks: merged.csv\n", 10},
		"beside CSV, in full":             {"csv: crimes.csv\nlinks:\n  file: merged.csv\n  columns: {same_as: same_as}\n", 1},
		"by a path that is whole already": {"parquet: " + filepath.Join(dir, "crimes.parquet") + "\nlinks: " + filepath.Join(dir, "merged.csv") + "\n", 10},
	} {
		t.Run(scenario, func(t *testing.T) {
			source := put("crimes.yaml", []byte(c.yaml))
			opened, err := Open(t.Context(), source, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			if opened.Rows() != c.rows || opened.Links == nil || !slices.Equal(opened.Links.Rows, []schemas.PersonLink{{PersonID: "P1", SameAs: "P2"}}) {
				t.Errorf("%d rows, %+v", opened.Rows(), opened.Links)
			}
			found, err := Check(t.Context(), source)
			if err != nil || !strings.HasSuffix(found, "; the person links have their columns, 0 more are not read") {
				t.Errorf("%q, %v", found, err)
			}
			refs, _, ok := Identify(t.Context(), source)
			if !ok || len(refs) != 2 || refs[0].URI != source || refs[1].SHA256 != opened.Links.Ref.SHA256 || refs[1].Schema != schemas.PersonLinkSchema {
				t.Errorf("%+v", refs)
			}
			ref, err := opened.Ref()
			if err != nil || refs[0].SHA256 != ref.SHA256 {
				t.Errorf("%+v, %+v, %v", refs[0], ref, err)
			}
			put("merged.csv", []byte("person_id,same_as\nP1,P3\n"))
			defer put("merged.csv", []byte("person_id,same_as\nP1,P2\n"))
			if again, _, _ := Identify(t.Context(), source); again[0].SHA256 != refs[0].SHA256 || again[1].SHA256 == refs[1].SHA256 {
				t.Errorf("%+v, after a change of the links %+v", refs, again)
			}
		})
	}
	t.Run("without any", func(t *testing.T) {
		source := put("crimes.yaml", []byte("parquet: crimes.parquet\n"))
		opened, err := Open(t.Context(), source, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		refs, _, ok := Identify(t.Context(), source)
		if opened.Links != nil || !ok || len(refs) != 1 {
			t.Errorf("%+v, %+v", opened.Links, refs)
		}
	})
	t.Run("ready when they are there, however old", func(t *testing.T) {
		source := put("crimes.yaml", []byte("parquet: crimes.parquet\nlinks: late.parquet\n"))
		now, old := time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, -400)
		if err := os.Chtimes(filepath.Join(dir, "crimes.parquet"), now, now); err != nil {
			t.Fatal(err)
		}
		asOf := schemas.LondonDate(time.Now()).AddDays(-2) // whose end an hour ago is after, in the first hour of a day too
		whole := parquetFile(t, merged[:1])
		if err := Ready(t.Context(), source, asOf, 0); !errors.Is(err, ErrLate) || !strings.Contains(err.Error(), "there is no file (the person links)") {
			t.Errorf("%v", err)
		}
		path := put("late.parquet", whole[:len(whole)-9])
		if err := Ready(t.Context(), source, asOf, 0); !errors.Is(err, ErrLate) || !strings.Contains(err.Error(), "person links: they are not whole yet") {
			t.Errorf("%v", err)
		}
		put("late.parquet", whole)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		if err := Ready(t.Context(), source, asOf, 0); err != nil {
			t.Error(err)
		}
	})
	for yaml, want := range map[string]string{
		"parquet: a.parquet\ncsv: b.csv\n":                                                                  "give one of csv, parquet and postgres",
		"links: a.csv\n":                                                                                    "give one of csv, parquet and postgres",
		"parquet: a.parquet\ncolumns: {outcome: o}\n":                                                       "Parquet tells its own",
		"parquet: a.parquet\nlinks: {}\n":                                                                   "links: give either file or query",
		"parquet: a.parquet\nlinks: {query: SELECT 1}\n":                                                    "links.query: there is no database to ask",
		"parquet: a.parquet\nlinks: {file: a, query: SELECT 1}\n":                                           "links: give either file or query",
		"parquet: a.parquet\nlinks: {file: a, columns: {id: x}}\n":                                          "links.columns: name what person_id and same_as are called there",
		"parquet: a.parquet\nlinks: {file: a, encoding: latin}\n":                                           "links: encoding or delimiter",
		"parquet: a.parquet\nlinks: {file: a, layout: x}\n":                                                 `unknown field "layout"`,
		"postgres: {url: 'postgres://r@localhost/c', query: S}\nlinks: {query: SELECT 1, delimiter: ';'}\n": "links.query: encoding and delimiter are of CSV",
	} {
		if _, err := parse([]byte(yaml)); !errors.Is(err, ErrDeclaration) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

// Links by a second query are of the same moment as the rows.
func TestLinksOfADatabase(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(offencesTable + `; INSERT INTO offences (allegation_id, report_id, suspect_id, offence_code, reported_at, source, outcome, updated_at)
		SELECT i, i, 'P' || i, '019/08', now(), 'victim', 'open', now() FROM generate_series(1, 100) i;
		CREATE TABLE merges (old bigint, new text, officer text); INSERT INTO merges VALUES (20, 'P2', 'x'), (3, NULL, 'y'), (1, 'P2', 'z')`)
	yaml := "postgres: {url: %q, query: SELECT * FROM offences}\nincremental: {full: sunday}\nlinks: {query: %q}\n"
	d := declare(t, yaml, server.URL, "SELECT 'P' || old AS person_id, new AS same_as, officer FROM merges;")
	st := testStore(t)
	night := schemas.MustDate("2026-06-30")
	want := []schemas.PersonLink{{PersonID: "P1", SameAs: "P2"}, {PersonID: "P20", SameAs: "P2"}, {PersonID: "P3", SameAs: ""}}
	var sums []string
	for i, change := range []string{"", "CREATE TABLE sorted AS SELECT * FROM merges ORDER BY old; DROP TABLE merges; ALTER TABLE sorted RENAME TO merges", "UPDATE merges SET new = 'P9' WHERE old = 3"} {
		if change != "" {
			server.Exec(change)
		}
		_, opened, err := extracted(t.Context(), d, st, "night", Options{AsOf: night, Store: st})
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			want[2].SameAs = "P9"
		}
		if r := opened.Links; !slices.Equal(r.Rows, want) || r.Ref.Rows != 3 || r.Ref.URI != "crimes.yaml" || r.Ref.Bytes == 0 || opened.Rows() != 100 {
			t.Errorf("%+v", r)
		}
		if got := opened.Reading.Mode == schemas.ReadIncrementally; got != (i > 0) {
			t.Errorf("%d: read %s", i, opened.Reading)
		}
		sums = append(sums, opened.Links.Ref.SHA256)
	}
	if sums[0] != sums[1] || sums[1] == sums[2] {
		t.Errorf("%q: another order is the same input, another link is not", sums)
	}
	// One view: what comes between the rows and the links is in neither.
	b, err := d.open(t.Context(), Options{AsOf: night})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	server.Exec("INSERT INTO merges VALUES (4, 'P5', '')")
	if r, err := d.Links.query(t.Context(), "crimes.yaml", b.links); err != nil || len(r.Rows) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	for query, says := range map[string]string{
		"SELECT old AS person_id FROM merges":                    "column same_as is not there",
		"SELECT old AS person_id, same_as FROM merges":           "42703",
		"SELECT 1 AS person_id, 2 AS same_as, 3 AS same_as":      "column same_as is there twice",
		"SELECT old AS person_id, new AS same_as FROM gone_away": "42P01",
	} {
		path := filepath.Join(t.TempDir(), "crimes.yaml")
		if err := os.WriteFile(path, []byte(fmt.Sprintf(yaml, server.URL, query)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Check(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "person links: ") {
			t.Errorf("%s: %v", query, err)
		}
	}
}
