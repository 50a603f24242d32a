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
