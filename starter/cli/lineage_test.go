package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/schemas"
)

// The lineage names every file of the night with the hash that the file has, and each stage with what it read.
func TestLineage(t *testing.T) {
	asOf, dir := schemas.MustDate("2026-06-30"), t.TempDir()
	t.Setenv("HARMSTACK_STORE", dir)
	publishNight(t, dir, asOf, edgeOfTheStack(asOf))
	out, err := run(t, "lineage", "2026-06-30", "--json")
	var l lineage
	if err == nil {
		err = json.Unmarshal([]byte(out), &l)
	}
	if err != nil {
		t.Fatal(err)
	}
	var stages, files []string
	for _, s := range l.Stages {
		stages = append(stages, s.Stage+" of "+strings.Join(s.Reads, ","))
		for _, o := range s.Outputs {
			sum := sha256.Sum256(read(t, dir, filepath.FromSlash(o.URI)))
			if hex.EncodeToString(sum[:]) != o.SHA256 {
				t.Errorf("%s has another sha256", o.URI)
			}
			files = append(files, filepath.Base(o.URI))
		}
	}
	if got, want := strings.Join(stages, "; "), "extract of ; check of extract; score of extract; rank of score,extract; publish of rank"; got != want {
		t.Errorf("stages %s", got)
	}
	if got, want := strings.Join(files, " "), "part-00000.parquet quarantine.parquet suspects.parquet sums.parquet candidates.parquet contenders.parquet "+
		"ranking.parquet stack.parquet stack.csv contributions.parquet stability.parquet cases.parquet changes.parquet report.html"; got != want {
		t.Errorf("files %s", got)
	}
	if len(l.Inputs) != 1 || l.Inputs[0].Rows != 101 || l.Decision != nil || l.Basis.Edition.Name != "cchi-2020" {
		t.Errorf("%+v", l)
	}
	text, err := run(t, "lineage", "2026-06-30-r1")
	for _, part := range []string{"rank     score, extract  nights/2026-06-30/r1/ranking.parquet", "101  ", "cchi-2020", "Nobody has decided it yet", "build test"} {
		if err != nil || !strings.Contains(text, part) {
			t.Errorf("%q is not in %v\n%s", part, err, text)
		}
	}
	// A manifest of a build that noted no stages.
	manifest := filepath.Join(dir, "nights/2026-06-30/r1", schemas.ManifestFile)
	var old map[string]any
	if err := json.Unmarshal(read(t, manifest), &old); err != nil {
		t.Fatal(err)
	}
	delete(old, "stages")
	data, err := json.Marshal(old)
	if err == nil {
		err = os.WriteFile(manifest, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if text, err := run(t, "lineage", "2026-06-30"); err != nil || !strings.Contains(text, "not noted") || !strings.Contains(text, "quarantine.parquet") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := run(t, "lineage", "2026-07-01"); err == nil || !strings.Contains(err.Error(), "no night of 2026-07-01 is published") {
		t.Errorf("%v", err)
	}
}
