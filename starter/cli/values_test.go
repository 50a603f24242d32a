package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/starter/synthetic"
)

// records are a synthetic extract as records of text, with its header.
func records(t *testing.T) (header []string, rows [][]string) {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "made.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := synthetic.Write(context.Background(), f, synthetic.Options{AsOf: schemas.MustDate("2026-06-30"), Suspects: 400, Seed: 5}); err != nil {
		t.Fatal(err)
	}
	made, err := parquet.ReadFile[schemas.Offence](f.Name())
	if err != nil {
		t.Fatal(err)
	}
	writeCSV(t, filepath.Join(dir, "made.csv"), made)
	all, err := csv.NewReader(bytes.NewReader(read(t, dir, "made.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1:]
}

// scored writes records as CSV, beside a declaration if there is one, and gives back the ranking and what was printed.
func scored(t *testing.T, header []string, rows [][]string, declaration string) (ranking []byte, printed string) {
	t.Helper()
	dir := t.TempDir()
	var all bytes.Buffer
	w := csv.NewWriter(&all)
	if err := w.WriteAll(append([][]string{header}, rows...)); err != nil {
		t.Fatal(err)
	}
	extract := filepath.Join(dir, "extract.csv")
	if err := os.WriteFile(extract, all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if declaration != "" {
		extract = filepath.Join(dir, "extract.yaml")
		if err := os.WriteFile(extract, []byte("csv: extract.csv\n"+declaration), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	printed, err := run(t, "score", "--extract", extract, "--as-of", "2026-06-30", "--out", filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, filepath.Join(dir, "out"), schemas.RankingFile), printed
}

// edited changes the values of some columns.
func edited(header []string, rows [][]string, columns []string, change func(i int, value string) string) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		out[i] = slices.Clone(row)
		for _, name := range columns {
			c := slices.Index(header, name)
			out[i][c] = change(i, row[c])
		}
	}
	return out
}

// Ages are the same however a program writes whole numbers; those that nobody can read are told, never passed over.
func TestAgesHoweverTheyAreWritten(t *testing.T) {
	header, rows := records(t)
	ages := []string{"suspect_age", "victim_age"}
	want, printed := scored(t, header, rows, "")
	for _, form := range []string{"%s.0", "%s.00", "+%s", " %s.", "0%s.0"} {
		got, told := scored(t, header, edited(header, rows, ages, func(_ int, value string) string {
			if value == "" || strings.HasPrefix(value, "-") {
				return value
			}
			return fmt.Sprintf(form, value)
		}), "")
		if !bytes.Equal(got, want) {
			t.Errorf("%s: another ranking", form)
		}
		if a, b, _ := strings.Cut(told, "suspects ranked"); b == "" || a != printed[:len(a)] {
			t.Errorf("%s: other counts: %s", form, told)
		}
	}
	given := 0
	got, told := scored(t, header, edited(header, rows, ages[:1], func(_ int, value string) string {
		if value != "" {
			given++
			value += ".5"
		}
		return value
	}), "")
	line := fmt.Sprintf("Could not be read, and taken as null: %s of suspect_age.\n", text.Count(given, "value"))
	if bytes.Equal(got, want) || !strings.Contains(told, line) {
		t.Errorf("%s\nwant %s", told, line)
	}
	_, told = scored(t, header, edited(header, rows, ages[1:], func(i int, value string) string {
		return []string{value, "30", "131", "-1", "1985"}[min(i, 4)]
	}), "")
	if line := fmt.Sprintf("Could not be read, and taken as null: %s of victim_age.\n", text.Count(len(rows)-2, "value")); !strings.Contains(told, line) {
		t.Errorf("%s\nwant %s", told, line)
	}
	without := edited(header, rows, nil, nil)
	names := slices.Clone(header)
	c := slices.Index(header, "suspect_age")
	names = slices.Delete(names, c, c+1)
	for i := range without {
		without[i] = slices.Delete(without[i], c, c+1)
	}
	if _, told := scored(t, names, without, ""); !strings.Contains(told, "The extract has no column suspect_age: nobody was left out as under 18.\n") {
		t.Error(told)
	}
}

// The ranking is one and the same for the rows in any order, by layouts of which two fit many a date.
func TestRankingOfRowsInAnyOrder(t *testing.T) {
	header, rows := records(t)
	random := rand.New(rand.NewPCG(3, 4))
	rows = edited(header, rows, []string{"reported_at"}, func(i int, value string) string {
		date := strings.SplitN(value, "T", 2)[0]
		y, m, d := date[:4], date[5:7], date[8:10]
		if i%3 == 0 {
			return m + "/" + d + "/" + y
		}
		return d + "/" + m + "/" + y
	})
	const declaration = "columns: {reported_at: {from: reported_at, zone: Europe/London, layouts: [02/01/2006, 01/02/2006]}}\n"
	want, printed := scored(t, header, rows, declaration)
	for range 5 {
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		got, told := scored(t, header, rows, declaration)
		if a, b, _ := strings.Cut(told, "suspects ranked"); !bytes.Equal(got, want) || b == "" || a != printed[:len(a)] {
			t.Fatalf("another ranking: %s", told)
		}
	}
}

// A model's file is bounded and told of by its path, as every YAML file.
func TestHostileModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.yaml")
	for file, want := range map[string]string{
		strings.Repeat("[", 200<<10):           "more than 64 KiB",
		"name: " + strings.Repeat("{", 40<<10): "line 1: it goes deeper than 32 levels",
		"name: own\nhalf_life_days: hunter2":   "own.yaml: model: line 2: half_life_days: a whole number is needed here",
		"name: own\nhalf_life_days: 180.5":     "own.yaml: model: line 2: half_life_days: a whole number is needed here",
	} {
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := run(t, "score", "--extract", "none.csv", "--as-of", "2026-06-30", "--out", t.TempDir(), "--model", path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.30s: %v", file, err)
		}
	}
}
