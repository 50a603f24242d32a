package schemas

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadStability(t *testing.T) {
	s, err := LoadStability("")
	if err != nil || len(s.Models) != 10 || s.Named().SHA256 == "" {
		t.Fatalf("the default: %+v %v", s, err)
	}
	night := Model{WindowDays: 730, Depth: 50, MinimumAllegations: 2}
	for _, m := range s.For(night) {
		if m.WindowDays != 730 || m.Depth != 50 || m.MinimumAllegations != 2 {
			t.Errorf("%s scores another night", m.Name)
		}
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	for text, want := range map[string]string{
		"models: []":                                                    "there are 0",
		"models:\n  - {name: Half Life}":                                "models[0].name",
		"models:\n  - {name: standing}":                                 "models[0].name",
		"models:\n  - {name: a}\n  - {name: a}":                         "it stands twice",
		"models:\n  - {name: a, depth: 5}":                              "the night's own",
		"models:\n  - {name: a, half_life_days: -1}":                    "half_life_days",
		"models:\n  - {name: a, half_lives: 1}":                         "half_lives",
		"models:\n  - {name: a, half_life_days: 90, per_report: worst}": "per_report",
		"models:\n  - {name: a, edition: ../cchi.csv}":                  "models[0].edition",
		"models:\n  - {name: a, edition: /cchi.csv}":                    "models[0].edition",
		"models:\n  - {name: a, edition: ..}":                           "models[0].edition",
		"models:\n  - {name: a, edition: none.csv}":                     "model a: its edition",
	} {
		path := filepath.Join(t.TempDir(), "stability.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadStability(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Another table under the same name is another comparison, and no model of a night has one.
func TestStabilityReadsAnEdition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hashes := map[string]bool{}
	for _, table := range []string{"one", "two"} {
		write("cchi-2025.csv", table)
		s, err := LoadStability(write("stability.yaml", "models:\n  - {name: a}\n  - {name: b, edition: cchi-2025.csv}"))
		if err != nil || s.Models[0].EditionTable() != "" || s.Models[1].EditionTable() != table {
			t.Fatalf("%+v, %v", s, err)
		}
		hashes[s.Named().SHA256] = true
	}
	if len(hashes) != 2 {
		t.Error("two tables have one hash")
	}
	night := "name: n\nwindow_days: 365\ndepth: 100\nminimum_allegations: 1\n"
	if _, err := ParseModel([]byte(night)); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseModel([]byte(night + "edition: cchi-2025.csv\n")); err == nil || !strings.Contains(err.Error(), "edition") {
		t.Errorf("a model of a night with an edition of its own: %v", err)
	}
}
