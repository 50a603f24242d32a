package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/activities/retention"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/worker/config"
)

// The log tells of each configuration that differs from the last, by hash, and of the same only once.
func TestAnotherConfigurationIsLogged(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, _, _, err := st.SetUp(t.Context(), "", "key"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "teams.yaml")
	if err := os.WriteFile(file, teams.Example(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{TeamsFile: file, PseudonymKey: []byte("hunter2")}
	begin := func(want int) {
		t.Helper()
		if err := noteConfiguration(t.Context(), st, cfg); err != nil {
			t.Fatal(err)
		}
		log, err := audit.Read(t.Context(), st)
		if err != nil || len(log) != want {
			t.Errorf("%d entries, not %d: %v", len(log), want, err)
		}
		for _, e := range log {
			if e.Operation != audit.Alteration || e.On.Thing != "configuration" || len(e.Inputs) < 10 || len(e.Files) != 2 || strings.Contains(e.Did+e.Why, "hunter2") {
				t.Errorf("%+v", e)
			}
		}
	}
	begin(1)
	begin(1)
	cfg.Retention = retention.Rules{Night: 400}
	begin(2)
	if err := os.WriteFile(file, append(teams.Example(), "# another hand\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	begin(3)
	begin(3)
}
