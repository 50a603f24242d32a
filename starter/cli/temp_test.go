package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
)

// What does not fit into memory, and what is converted first, goes into the folder that HARMSTACK_TEMP names, and
// nothing of it stays.
func TestTemporaryFilesGoWhereTheyMay(t *testing.T) {
	made := generate(t)
	rows, err := parquet.ReadFile[schemas.Offence](made)
	if err != nil {
		t.Fatal(err)
	}
	typed := filepath.Join(t.TempDir(), "typed.csv")
	writeCSV(t, typed, rows[:200])
	for _, c := range []struct {
		scenario string
		args     []string
	}{
		{"a scoring spills", []string{"score", "--as-of", "2026-06-30", "--memory", "16MiB", "--extract", made}},
		{"a CSV is scored", []string{"score", "--as-of", "2026-06-30", "--extract", typed}},
		{"a CSV is copied", []string{"extract", "--extract", typed}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			temp := filepath.Join(t.TempDir(), "temp")
			t.Setenv("HARMSTACK_TEMP", temp)
			args := append(c.args, "--out", t.TempDir())
			if out, err := run(t, args...); err == nil || !strings.Contains(err.Error(), temp) {
				t.Fatalf("without the folder: %v\n%s", err, out)
			}
			if err := os.Mkdir(temp, 0o700); err != nil {
				t.Fatal(err)
			}
			if out, err := run(t, args...); err != nil {
				t.Errorf("with the folder: %v\n%s", err, out)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
