package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
)

func manifestOf(t *testing.T, dir string) (m schemas.Manifest) {
	t.Helper()
	if err := json.Unmarshal(read(t, dir, schemas.ManifestFile), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// A night keeps its links, so that it can be scored again as it was, and explained by the ids that were merged.
func TestLinksAreKeptWithTheNight(t *testing.T) {
	asOf, dir := schemas.MustDate("2026-06-30"), t.TempDir()
	night := filepath.Join(dir, "nights/2026-06-30/r1")
	t.Setenv("HARMSTACK_STORE", dir)
	links := []schemas.PersonLink{{PersonID: "W", SameAs: "V"}, {PersonID: "V", SameAs: "S-03"}}
	publishNight(t, dir, asOf, edgeOfTheStack(asOf), links...)
	again, other, none := filepath.Join(t.TempDir(), "again"), filepath.Join(t.TempDir(), "other"), filepath.Join(t.TempDir(), "none")
	if _, err := run(t, "score", "--night", "2026-06-30", "--out", again); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{schemas.RankingFile, schemas.StackFile, schemas.ContributionsFile, schemas.LinksFile} {
		if !bytes.Equal(read(t, again, file), read(t, night, file)) {
			t.Errorf("%s is another", file)
		}
	}
	was, m := manifestOf(t, night), manifestOf(t, again)
	if *m.Facts.Links != *was.Facts.Links || *m.Facts.Links != (schemas.LinkFacts{Links: 2, RowsChanged: 1}) || len(m.Inputs) != 2 ||
		!strings.HasSuffix(m.Inputs[1].URI, "nights/2026-06-30/r1/links.parquet") || m.Inputs[1].SHA256 != was.LinksSHA256() {
		t.Errorf("%+v, %+v", m.Facts.Links, m.Inputs)
	}
	// The links are another input: with those of a file the night is another.
	file := filepath.Join(t.TempDir(), "merged.csv")
	if err := os.WriteFile(file, []byte("person_id,same_as\nW,S-50\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "score", "--night", "2026-06-30", "--links", file, "--out", other)
	if err != nil || !strings.Contains(out, "1 person link replaced ids in 1 row.") {
		t.Errorf("%v\n%s", err, out)
	}
	if m := manifestOf(t, other); m.Inputs[1].URI != file || m.Facts.Links.Links != 1 || bytes.Equal(read(t, other, schemas.RankingFile), read(t, night, schemas.RankingFile)) {
		t.Errorf("%+v", m.Inputs)
	}
	if out, err := run(t, "diff", "2026-06-30", other, "--why", "a test"); err != nil || !strings.Contains(out, "Other person links: "+was.LinksSHA256()[:8]+" to "+manifestOf(t, other).LinksSHA256()[:8]) {
		t.Errorf("%v\n%s", err, out)
	}
	// Explained by the id that is ranked, by one that was merged, by one in the middle of the chain.
	want, err := run(t, "explain", "S-03", "--as-of", "2026-06-30", "--why", "a test")
	if err != nil || !strings.Contains(want, "2 allegations") {
		t.Fatalf("%v\n%s", err, want)
	}
	for _, id := range []string{"W", "V"} {
		if got, err := run(t, "explain", id, "--as-of", "2026-06-30", "--why", "a test"); err != nil || got != want {
			t.Errorf("%s: %v\n%s", id, err, got)
		}
	}
	if _, err := run(t, "explain", "nobody of that name", "--as-of", "2026-06-30", "--why", "a test"); err == nil {
		t.Error("somebody was found")
	}
	// Where the links are gone, by their time, the others are still explained.
	if err := os.Remove(filepath.Join(night, schemas.LinksFile)); err != nil {
		t.Fatal(err)
	}
	if got, err := run(t, "explain", "S-03", "--as-of", "2026-06-30", "--why", "a test"); err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := run(t, "explain", "W", "--as-of", "2026-06-30", "--why", "a test"); err == nil || !strings.Contains(err.Error(), "nobody of that name") {
		t.Errorf("%v", err)
	}
	publishNight(t, filepath.Join(dir, "without"), asOf, edgeOfTheStack(asOf))
	if _, err := run(t, "score", "--store", filepath.Join(dir, "without"), "--night", "2026-06-30", "--out", none); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(none, schemas.LinksFile)); err == nil || manifestOf(t, none).Facts.Links != nil {
		t.Error("links of a night without any")
	}
}

// `starter score --links` takes any order, leaves nothing of an earlier scoring behind, and refuses what contradicts.
func TestScoreWithLinks(t *testing.T) {
	asOf, out := schemas.MustDate("2026-06-30"), t.TempDir()
	extract := filepath.Join(t.TempDir(), "extract.parquet")
	if err := parquet.WriteFile(extract, edgeOfTheStack(asOf)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "merged.csv")
	score := func(links string) (string, error) {
		t.Helper()
		args := []string{"score", "--extract", extract, "--as-of", "2026-06-30", "--out", out}
		if links != "" {
			if err := os.WriteFile(file, []byte("person_id,same_as\n"+links), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--links", file)
		}
		return run(t, args...)
	}
	if _, err := score(""); err != nil {
		t.Fatal(err)
	}
	plain := read(t, out, schemas.RankingFile)
	var all [2][]byte
	for i, links := range []string{"S-01,S-02\nW,S-01\n", "W,S-01\nS-05,S-05\nS-01,S-02\nW,S-01\n"} {
		if _, err := score(links); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{schemas.LinksFile, schemas.RankingFile, schemas.StackFile, schemas.ContributionsFile} {
			all[i] = append(all[i], read(t, out, file)...)
		}
		if m := manifestOf(t, out); m.Suspects != 99 || *m.Facts.Links != (schemas.LinkFacts{Links: 2, RowsChanged: 2}) {
			t.Errorf("%d suspects, %+v", m.Suspects, m.Facts.Links)
		}
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Error("another order of the links gives other bytes")
	}
	if _, err := score("S-01,S-02\nS-02,S-01\n"); err == nil || !strings.Contains(err.Error(), "cannot be followed: 1 cycle, of 2 ids in all") || strings.Contains(err.Error(), "S-0") {
		t.Errorf("%v", err)
	}
	if _, err := score(""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, schemas.LinksFile)); err == nil || !bytes.Equal(read(t, out, schemas.RankingFile), plain) {
		t.Error("the links of an earlier scoring are still there")
	}
}
