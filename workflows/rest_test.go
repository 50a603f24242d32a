package workflows

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/store/leaktest"
	"harmstack/activities/store/seal"
	"harmstack/schemas"
)

// storeKey is the URL of a key-encryption key.
func storeKey(t testing.TB) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "store.key")
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + key
}

// Whoever copies the store, or the temporary folder while a night runs, reads no id of the extract and no name in it: not
// as it is, and not in base64 or hex. Of a plain store that does not hold.
func TestNothingCanBeReadAtRest(t *testing.T) {
	const suspects = 30
	var rows []schemas.Offence
	secrets := []string{"DCI Example"} // who decided
	for i := range suspects {
		suspect := fmt.Sprintf("Suspect-%04d", i)
		for n := range 1 + i%3 {
			row := rape(suspect, "Hackney", "2026-06-30", n)
			row.VictimID = new(fmt.Sprintf("Victim-%04d-%d", i, n))
			secrets = append(secrets, suspect, *row.AllegationID, *row.ReportID, *row.VictimID)
			rows = append(rows, row)
		}
	}
	broken := rape("Suspect-broken", "Hackney", "2026-06-30", 1) // for the quarantine
	broken.Source = nil
	rows = append(rows, broken, rows[3], rows[4])
	key := storeKey(t)
	for _, c := range []struct {
		scenario, key string
		shardRows     int64
	}{
		{"plain", seal.None, 0},
		{"sealed", key, 0},
		{"sealed, over several workers", key, 12},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t, rows...)
			if err := d.store.Seal(t.Context(), c.key); err != nil {
				t.Fatal(err)
			}
			temp := t.TempDir()
			d.acts.Nightly.TempDir, d.acts.Nightly.ShardRows, d.acts.Nightly.Memory = temp, c.shardRows, 1
			looked, stop := make(chan []string), make(chan struct{})
			go func() {
				var found []string
				for {
					_, open := leaktest.OpenFiles(t, temp, secrets...)
					found = append(found, open...)
					for _, in := range leaktest.Folder(t, temp, secrets...) {
						found = append(found, in...)
					}
					select {
					case <-stop:
						looked <- found
						return
					default:
					}
				}
			}()
			n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
			d.approve(t, n)
			close(stop)
			if found := <-looked; len(found) > 0 {
				t.Errorf("%q could be read in the temporary folder", found)
			}
			if n.Suspects != suspects || d.mails(t) == 0 {
				t.Fatalf("%d suspects, %d mails: the night shows nothing", n.Suspects, d.mails(t))
			}
			folder := strings.TrimPrefix(d.store.URL(), "file://")
			found := leaktest.Folder(t, folder, secrets...)
			if c.key != seal.None && len(found) > 0 {
				t.Errorf("it can be read in %q", found)
			}
			if c.key == seal.None {
				for _, file := range []string{schemas.StackCSVFile, schemas.RankingFile, schemas.DecisionFile} {
					if found[filepath.Join(folder, n.Night.Path(), file)] == nil {
						t.Errorf("nothing was found in %s: the hunt finds nothing", file)
					}
				}
			}
		})
	}
}
