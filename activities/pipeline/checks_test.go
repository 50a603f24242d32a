package pipeline

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/activities/extract/sources"
	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Which nights before serve as a measure: each publishes 100 rows but one of them, which alone would make 900 usual.
func TestMeasure(t *testing.T) {
	blocked := []schemas.CheckOutcome{{Name: "rows_rose", Level: schemas.Block, Failed: true}}
	for _, c := range []struct {
		scenario string
		asOf     string
		revision int
		source   string
		decision string
		checks   []schemas.CheckOutcome
		want     string // what rows_fell says of 100 rows
	}{
		{"undecided", "2026-06-29", 1, "a", "", nil, "100 rows, usually 900"},
		{"superseded", "2026-06-29", 1, "a", schemas.SupersededBy, nil, "100 rows, usually 900"},
		{"approved", "2026-06-29", 1, "a", schemas.Approved, nil, "100 rows, usually 900"},
		{"approved in spite of a check", "2026-06-29", 1, "a", schemas.Approved, blocked, "100 rows, usually 900"},
		{"held", "2026-06-29", 1, "a", schemas.Held, nil, "there is no night to compare with yet"},
		{"blocked, and superseded", "2026-06-29", 1, "a", schemas.SupersededBy, blocked, "there is no night to compare with yet"},
		{"blocked, and undecided", "2026-06-29", 1, "a", "", blocked, "there is no night to compare with yet"},
		{"an earlier revision of the same date", "2026-06-30", 1, "a", "", nil, "there is no night to compare with yet"},
		{"a later date", "2026-07-01", 1, "a", "", nil, "there is no night to compare with yet"},
		{"of another source, when there is no other", "2026-06-29", 1, "b", "", nil, "100 rows, usually 900"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			st, err := store.Open(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			a := Night{Store: st, Checks: quality.Standard()}
			a.published(t, manifest(c.asOf, c.revision, 900, c.source, c.checks), c.decision)
			m := manifest("2026-06-30", 2, 100, "a", nil)
			if got := a.rowsFell(t, m); got != c.want {
				t.Error(got)
			}
			if !strings.Contains(c.want, "usually") {
				return
			}
			// Two usual nights from the same source outweigh it; one from another source counts no more.
			a.published(t, manifest("2026-06-28", 1, 100, "a", nil), "")
			a.published(t, manifest("2026-06-27", 1, 100, "a", nil), "")
			if got := a.rowsFell(t, m); got != "100 rows, usually 100" {
				t.Error(got)
			}
		})
	}
	t.Run("the newest fit revision of each date", func(t *testing.T) {
		st, err := store.Open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		a := Night{Store: st, Checks: quality.Standard()}
		a.published(t, manifest("2026-06-29", 1, 500, "a", nil), "")
		a.published(t, manifest("2026-06-29", 2, 300, "a", nil), "")
		a.published(t, manifest("2026-06-29", 10, 900, "a", blocked), "")
		for i := range 3 {
			a.published(t, manifest(fmt.Sprintf("2026-06-0%d", i+1), 1, 100, "a", nil), "")
		}
		a.Checks.History = 2
		if got := a.rowsFell(t, manifest("2026-06-30", 1, 100, "a", nil)); got != "100 rows, usually 200" {
			t.Error(got)
		}
	})
}

func manifest(asOf string, revision int, rows int64, source string, checks []schemas.CheckOutcome) schemas.Manifest {
	return schemas.Manifest{NightID: schemas.NightID{AsOf: schemas.MustDate(asOf), Revision: revision}, RowsRead: rows,
		Inputs: []schemas.ArtifactRef{{URI: source}}, Checks: checks}
}

func (a *Night) published(t *testing.T, m schemas.Manifest, decision string) {
	t.Helper()
	data, err := json.Marshal(m)
	if err == nil {
		err = a.Store.CreateOnly(t.Context(), m.NightID.Path()+"/"+schemas.ManifestFile, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	if decision == "" {
		return
	}
	if data, err = json.Marshal(schemas.Decision{Decision: decision, Manifest: schemas.ManifestRef{NightID: m.NightID}}); err == nil {
		err = a.Store.CreateOnly(t.Context(), m.NightID.Path()+"/"+schemas.DecisionFile, data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (a *Night) rowsFell(t *testing.T, m schemas.Manifest) string {
	t.Helper()
	all, err := nights.List(t.Context(), a.Store)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := a.checks(t.Context(), m, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(outcomes, func(o schemas.CheckOutcome) bool { return o.Name == "rows_fell" })
	return outcomes[i].Found
}

// The profile of a file, counted by hand; both forms of a column of text are counted alike.
func TestProfile(t *testing.T) {
	asOf := schemas.MustDate("2026-06-30")
	micro := func(text string) *int64 {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return new(at.UnixMicro())
	}
	row := func(code, borough, reported, changed string) schemas.Offence {
		o := schemas.Offence{ReportedAt: micro(reported), UpdatedAt: micro(changed)}
		if code != "" {
			o.OffenceCode = &code
		}
		if borough != "" {
			o.Borough = &borough
		}
		return o
	}
	rows := []schemas.Offence{
		row("019/08", "Hackney", "2026-06-30T22:59:59Z", "2026-07-01T01:00:00Z"), // the last second of the date in London
		row(" 19/8 ", "hackney ", "2026-06-30T23:00:00Z", "2026-06-01T01:00:00Z"),
		row("999/99", "HACKNEY", "2026-06-01T00:00:00Z", "2026-06-01T01:00:00Z"), // in no table
		row("99999", "Barnet", "2026-06-01T00:00:00Z", "2026-06-01T01:00:00Z"),   // likewise
		row("99999", "Barnet", "2026-06-01T00:00:00Z", "2250-01-01T00:00:00Z"),   // and a time that is none
		row("999", "Kent", "2026-06-01T00:00:00Z", "2026-06-01T01:00:00Z"),       // no code at all
		row("", "", "2026-06-01T00:00:00Z", "2200-01-01T00:00:00Z"),              // a clock that is wrong
	}
	for _, form := range []string{"dictionary", "plain"} {
		t.Run(form, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.parquet")
			var err error
			if form == "plain" {
				err = writePlain(path, rows)
			} else {
				err = parquet.WriteFile(path, rows)
			}
			if err != nil {
				t.Fatal(err)
			}
			f, err := sources.Open(t.Context(), path, sources.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p := newProfiler(asOf, reference.Default())
			if err := f.Scan(t.Context(), 2, 0, func() extract.Sink { return p.beside(nothing{}) }, nil); err != nil {
				t.Fatal(err)
			}
			r := p.result()
			if r.NewestReport != asOf || r.NewestChange.Format(time.RFC3339) != "2026-07-01T01:00:00Z" || r.AheadOfClock != 1 || *r.UnknownCodes != 3 {
				t.Errorf("%+v, %d unknown codes", r, *r.UnknownCodes)
			}
			if r.Boroughs["Hackney"] != 3 || r.Boroughs["Barnet"] != 2 || r.Boroughs["Camden"] != 0 || len(r.Boroughs) != 32 {
				t.Errorf("%v", r.Boroughs)
			}
			if r.Nulls["offence_code"] != 1 || r.Nulls["borough"] != 1 || r.Nulls["victim_id"] != 7 || r.Nulls["reported_at"] != 0 {
				t.Errorf("%v", r.Nulls)
			}
		})
	}
}

// nothing takes rows and makes nothing of them.
type nothing struct{}

func (nothing) Add(arrow.Record, int64) error { return nil }
func (nothing) Close() error                  { return nil }

// writePlain writes the rows without a dictionary.
func writePlain(path string, rows []schemas.Offence) error {
	type plain struct {
		AllegationID *string `parquet:"allegation_id,optional"`
		ReportID     *string `parquet:"report_id,optional"`
		SuspectID    *string `parquet:"suspect_id,optional"`
		OffenceCode  *string `parquet:"offence_code,optional"`
		ReportedAt   *int64  `parquet:"reported_at,optional,timestamp(microsecond)"`
		Borough      *string `parquet:"borough,optional"`
		VictimSex    *string `parquet:"victim_sex,optional"`
		Source       *string `parquet:"source,optional"`
		Outcome      *string `parquet:"outcome,optional"`
		UpdatedAt    *int64  `parquet:"updated_at,optional,timestamp(microsecond)"`
	}
	var list []plain
	for _, o := range rows {
		list = append(list, plain{OffenceCode: o.OffenceCode, ReportedAt: o.ReportedAt, Borough: o.Borough, UpdatedAt: o.UpdatedAt})
	}
	return parquet.WriteFile(path, list)
}

// A code that is in the tables of the night is known, though those that are built in lack it.
func TestCodesOfAnotherEdition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	index, err := reference.Files.ReadFile(reference.EditionFile)
	if err != nil {
		t.Fatal(err)
	}
	edition, path := filepath.Join(dir, "cchi-2025.csv"), filepath.Join(dir, "x.parquet")
	if err := os.WriteFile(edition, append(index, "cchi-2025-001,250/01,250A,A new offence,365,,,,\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	tables, err := reference.LoadPaths(reference.Paths{Edition: edition})
	if err != nil {
		t.Fatal(err)
	}
	at := schemas.MustDate("2026-06-01").Start().UnixMicro()
	row := schemas.Offence{AllegationID: new("A1"), ReportID: new("R1"), OffenceCode: new("250/01"), ReportedAt: &at, UpdatedAt: &at, Source: new("victim"), Outcome: new("open")}
	if err := parquet.WriteFile(path, []schemas.Offence{row}); err != nil {
		t.Fatal(err)
	}
	f, err := sources.Open(t.Context(), path, sources.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for scenario, c := range map[string]struct {
		tables *reference.Tables
		want   int64
	}{"built in": {reference.Default(), 1}, "of another edition": {tables, 0}} {
		st, err := store.Open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		n := Night{NightID: schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}, Store: st, Tables: c.tables, Threads: 1, Temp: dir}
		r, err := n.Check(t.Context(), File{f.File}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := *r.Profile.UnknownCodes; got != c.want {
			t.Errorf("%s: %d unknown codes, want %d", scenario, got, c.want)
		}
		st.Close()
	}
}
