package nightly

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// minimal is the contract with as few columns as may be.
type minimal struct {
	AllegationID string `parquet:"allegation_id"`
	ReportID     string `parquet:"report_id"`
	SuspectID    string `parquet:"suspect_id"`
	OffenceCode  string `parquet:"offence_code"`
	ReportedAt   int64  `parquet:"reported_at,timestamp(microsecond)"`
	VictimSex    string `parquet:"victim_sex"`
	Source       string `parquet:"source"`
	Outcome      string `parquet:"outcome"`
	UpdatedAt    int64  `parquet:"updated_at,timestamp(microsecond)"`
}

type withAbuse struct {
	minimal
	DomesticAbuse bool  `parquet:"domestic_abuse"`
	VictimAge     int32 `parquet:"victim_age"`
}

type withMore struct {
	withAbuse
	Officer string `parquet:"officer"`
	Team    string `parquet:"team"`
}

type retyped struct {
	minimal
	DomesticAbuse bool  `parquet:"domestic_abuse"`
	VictimAge     int64 `parquet:"victim_age"`
}

type local struct {
	minimal
	DomesticAbuse bool  `parquet:"domestic_abuse"`
	VictimAge     int32 `parquet:"victim_age"`
	CommittedAt   int64 `parquet:"committed_at,timestamp(microsecond:local)"`
}

type withCommitted struct {
	withAbuse
	CommittedAt int64 `parquet:"committed_at,timestamp(microsecond)"`
}

func exportOf[T any](t *testing.T, dir string, row T) {
	t.Helper()
	if err := parquet.WriteFile(filepath.Join(dir, "x.parquet"), []T{row}); err != nil {
		t.Fatal(err)
	}
}

// night extracts as the stage does, and publishes a manifest of what it found.
func night(t *testing.T, a *Activities, p ExtractParams) (ExtractResult, error) {
	t.Helper()
	env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
	env.RegisterActivity(a)
	var r ExtractResult
	if _, err := nights.Claim(context.Background(), a.Store, p.Night.AsOf, "default-test-workflow-id/default-test-run-id"); err != nil {
		t.Fatal(err)
	}
	v, err := env.ExecuteActivity(a.Extract, p)
	if err != nil {
		return r, err
	}
	if err := v.Get(&r); err != nil {
		t.Fatal(err)
	}
	m := schemas.Manifest{NightID: p.Night, Form: r.Form, Facts: schemas.Facts{ExtraColumns: int64(r.ExtraColumns)}, Suspects: 1}
	data, err := nights.Encode(m)
	if err == nil {
		err = a.Store.CreateOnly(context.Background(), p.Night.Path()+"/"+schemas.ManifestFile, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, nil
}

// One source over many nights: what is new is told, what is lost or retyped is refused in words until somebody says why
// it is to be taken, and that is then what later nights are compared with.
func TestDrift(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	a := &Activities{Store: st, Sources: map[string]string{DefaultSource: dir, "other": dir}, Threads: 1}
	day := schemas.MustDate("2026-06-01")
	for i, c := range []struct {
		scenario string
		write    func()
		source   string
		accept   string
		refused  string   // what the error says
		drift    []string // what the manifest says
	}{
		{"the first night has nothing to be compared with", func() { exportOf(t, dir, minimal{}) }, "", "", "", nil},
		{"new columns are told", func() { exportOf(t, dir, withAbuse{}) }, "", "", "", []string{"column victim_age is new", "column domestic_abuse is new"}},
		{"columns beyond the contract are counted, not named", func() { exportOf(t, dir, withMore{}) }, "", "", "", []string{"2 columns beyond the contract more than on 2026-06-02"}},
		{"fewer of them are no matter", func() { exportOf(t, dir, withAbuse{}) }, "", "", "", nil},
		{"lost columns are refused", func() { exportOf(t, dir, minimal{}) }, "", "", "column victim_age was there on 2026-06-04 as int32, is not there now; column domestic_abuse was there on 2026-06-04 as bool, is not there now", nil},
		{"another source has another past", func() {}, "other", "", "", nil},
		{"one of another type is refused", func() { exportOf(t, dir, retyped{}) }, "", "", "column victim_age was int32 on 2026-06-04, is int64 now", nil},
		{"unless somebody says why", func() {}, "", "the source has a new exporter", "", []string{"column victim_age was int32 on 2026-06-04, is int64 now"}},
		{"which then holds", func() {}, "", "", "", nil},
		{"accepted without need", func() {}, "", "just in case", "", nil},
		{"a reason of blanks is none", func() { exportOf(t, dir, withAbuse{}) }, "", " \t", "column victim_age was int64 on 2026-06-10, is int32 now", nil},
		{"back again", func() {}, "", "the old exporter", "", []string{"column victim_age was int64 on 2026-06-10, is int32 now"}},
		{"a time in a zone", func() { exportOf(t, dir, withCommitted{}) }, "", "", "", []string{"column committed_at is new"}},
		{"has lost it", func() { exportOf(t, dir, local{}) }, "", "", "column committed_at was timestamp in us on 2026-06-13, is timestamp in us, without a zone now", nil},
		{"some files without it", func() {
			exportOf(t, dir, withCommitted{})
			if err := parquet.WriteFile(filepath.Join(dir, "y.parquet"), []withAbuse{{}}); err != nil {
				t.Fatal(err)
			}
		}, "", "", "column committed_at was there on 2026-06-13 in every file, is not in all of them now", nil},
		{"text has no types", func() {
			os.Remove(filepath.Join(dir, "x.parquet"))
			os.Remove(filepath.Join(dir, "y.parquet"))
			text := "allegation_id,report_id,suspect_id,offence_code,reported_at,victim_sex,source,outcome,updated_at,domestic_abuse,victim_age,committed_at\nA,A,S,019/08,2026-01-01,F,victim,open,2026-01-01,f,3,\n"
			if err := os.WriteFile(filepath.Join(dir, "x.csv"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "", "", "", nil},
		{"but columns", func() {
			text := "allegation_id,report_id,suspect_id,offence_code,reported_at,victim_sex,source,outcome,updated_at,domestic_abuse,committed_at\nA,A,S,019/08,2026-01-01,F,victim,open,2026-01-01,f,\n"
			if err := os.WriteFile(filepath.Join(dir, "x.csv"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "", "", "column victim_age was there on 2026-06-16 as text, is not there now", nil},
	} {
		time.Sleep(5 * time.Millisecond)
		c.write()
		r, err := night(t, a, ExtractParams{Night: schemas.NightID{AsOf: day.AddDays(i), Revision: 1}, Source: c.source, AcceptDrift: c.accept})
		if c.refused != "" {
			if !task.Is(err, fault.SchemaMismatch) || !strings.Contains(err.Error(), ": "+c.refused+": ask the source") {
				t.Errorf("%s: %v", c.scenario, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.scenario, err)
		}
		accepted := ""
		if len(c.drift) > 0 && c.accept != "" {
			accepted = c.accept
		}
		if !slices.Equal(r.Form.Drift, c.drift) || r.Form.Accepted != accepted {
			t.Errorf("%s: %q, accepted %q", c.scenario, r.Form.Drift, r.Form.Accepted)
		}
		if _, note := r.Done(); strings.Contains(note, "officer") || len(c.drift) > 0 && !strings.Contains(note, c.drift[0]) {
			t.Errorf("%s: %q", c.scenario, note)
		}
	}
}

// A night whose manifest was written before forms were noted is read, and compared with nothing.
func TestDriftOfOldManifests(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	old := `{"as_of": "2026-05-31", "revision": 1, "rows_read": 1, "inputs": [{"uri": "x", "sha256": "00", "rows": 1, "bytes": 1}]}`
	if err := st.CreateOnly(t.Context(), "nights/2026-05-31/r1/manifest.json", []byte(old)); err != nil {
		t.Fatal(err)
	}
	exportOf(t, dir, minimal{})
	a := &Activities{Store: st, Sources: map[string]string{DefaultSource: dir}, Threads: 1}
	r, err := night(t, a, ExtractParams{Night: schemas.NightID{AsOf: schemas.MustDate("2026-06-01"), Revision: 1}})
	if err != nil || r.Form.Drift != nil || r.Form.Columns["borough"] != "absent" {
		t.Errorf("%+v, %v", r.Form, err)
	}
}
