package cli

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract/sources"
	"harmstack/schemas"
)

// A column that is called nearly like one of the contract is told by its name in the contract; its own is told nowhere.
func TestColumnsThatAreCalledNearlySo(t *testing.T) {
	header, rows := records(t)
	want, _ := scored(t, header, rows, "")
	at := slices.Index(header, "suspect_age")
	renamed := func(name string) []string {
		names := slices.Clone(header)
		names[at] = name
		return names
	}
	if got, told := scored(t, renamed("Suspect_Age"), rows, ""); !bytes.Equal(got, want) || strings.Contains(told, "nearly") {
		t.Errorf("another letter case: another ranking, or %s", told)
	}
	got, told := scored(t, renamed("suspect  agé"), rows, "")
	if bytes.Equal(got, want) || !strings.Contains(told, "A column that is called nearly suspect_age is not read: is it meant?\n") || strings.Contains(told, "agé") {
		t.Errorf("%s", told)
	}
}

// Whole numbers in a floating-point column of Parquet are ages; those that are not whole are told, once.
func TestFloatingPointAgesInParquet(t *testing.T) {
	type row struct {
		AllegationID string   `parquet:"allegation_id"`
		ReportID     string   `parquet:"report_id"`
		SuspectID    string   `parquet:"suspect_id"`
		SuspectAge   *float64 `parquet:"suspect_age,optional"`
		OffenceCode  string   `parquet:"offence_code"`
		OffenceClass string   `parquet:"offence_class"`
		ReportedAt   int64    `parquet:"reported_at,timestamp(microsecond)"`
		VictimSex    string   `parquet:"victim_sex"`
		Source       string   `parquet:"source"`
		Outcome      string   `parquet:"outcome"`
		UpdatedAt    int64    `parquet:"updated_at,timestamp(microsecond)"`
		VictimAges   string   `parquet:"victim_ages"`
	}
	day := schemas.MustDate("2026-06-01").Start().UnixMicro()
	var rows []row
	for i, age := range []float64{17, 18, 40, 27.5, 16} {
		id := string(rune('a' + i))
		rows = append(rows, row{AllegationID: id, ReportID: id, SuspectID: "S" + id, SuspectAge: &age, OffenceCode: "019/08", OffenceClass: "19C", ReportedAt: day, VictimSex: "F", Source: "victim",
			Outcome: "open", UpdatedAt: day})
	}
	rows = append(rows, row{AllegationID: "z", ReportID: "z", SuspectID: "Sz", OffenceCode: "019/08", OffenceClass: "19C", ReportedAt: day, VictimSex: "F", Source: "victim", Outcome: "open", UpdatedAt: day})
	dir := t.TempDir()
	path := filepath.Join(dir, "x.parquet")
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "score", "--extract", path, "--as-of", "2026-06-30", "--out", filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Could not be read, and taken as null: 1 value of suspect_age.\n", "A column that is called nearly victim_age is not read: is it meant?\n", "4 suspects ranked"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not said: %s", line, out)
		}
	}
	if found, err := sources.Check(t.Context(), path); err != nil || found != "6 rows follow the contract; a column that is called nearly victim_age is not read: is it meant?" {
		t.Errorf("doctor would say %q, %v", found, err)
	}
}
