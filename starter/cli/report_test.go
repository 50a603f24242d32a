package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// The officer reads the report of a sealed store; who took it out, and why, is in the log.
func TestReportIsTakenOutOfASealedStore(t *testing.T) {
	dir, key := filepath.Join(t.TempDir(), "store"), storeKey(t, "k")
	deployAt(t, dir, "a")
	t.Setenv("HARMSTACK_STORE_KEY", key)
	if said, err := run(t, "setup"); err != nil {
		t.Fatal(said, err)
	}
	st, err := store.Open(t.Context(), dir)
	if err == nil {
		err = st.Unlock(t.Context(), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	id, err := nights.Claim(t.Context(), st, schemas.MustDate("2026-06-30"), "run")
	if err != nil {
		t.Fatal(err)
	}
	m := schemas.Manifest{NightID: id, RowsRead: 1, Suspects: 1}
	m.Dispositions[schemas.Scored] = 1
	page := strings.Repeat("<p>S-0012345", 10_000)
	for _, file := range []string{schemas.ReportFile, schemas.QuarantineFile, schemas.RankingFile, schemas.StackFile, schemas.StackCSVFile,
		schemas.ContributionsFile, schemas.ChangesFile} {
		ref, err := st.Write(t.Context(), id.Path()+"/"+file, "", func(w io.Writer) (int64, error) {
			_, err := io.WriteString(w, page)
			return 0, err
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Outputs = append(m.Outputs, ref)
	}
	if _, err := nights.Publish(t.Context(), st, m); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "report.html")
	for scenario, c := range map[string]struct{ command, says string }{
		"no file":       {"report --as-of 2026-06-30 --why x", "name a file by --out"},
		"no reason":     {"report --as-of 2026-06-30 --out " + out, "--why: say why you look"},
		"another night": {"report --as-of 2026-06-29 --why x --out " + out, "no night of 2026-06-29"},
	} {
		if said, err := run(t, strings.Fields(c.command)...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %s, %v", scenario, said, err)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused command wrote the file")
	}
	if said, err := run(t, "report", "--as-of", "2026-06-30", "--why", "the decision", "--out", out); err != nil || !strings.Contains(said, out) {
		t.Fatal(said, err)
	}
	if got := string(read(t, filepath.Dir(out), "report.html")); got != page {
		t.Errorf("%d bytes", len(got))
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	log, err := audit.Read(t.Context(), st)
	if err != nil || len(log) != 2 || log[1].Did != "took the report out of the store" || log[1].On.Night != id.String() || log[1].Why != "the decision" {
		t.Errorf("%+v, %v", log, err)
	}
}
