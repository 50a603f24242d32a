package sources

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/extract/postgres/pgtest"
)

// A query that the user may plan and not run is found before the night is: without SELECT on a table, on one column, or
// on what a view without rights of its own reads.
func TestCheckAsksWhetherTheUserMayRead(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(offencesTable + `;
		CREATE ROLE analyst LOGIN; CREATE TABLE others AS SELECT * FROM offences; GRANT SELECT ON others TO analyst;
		CREATE TABLE narrow AS SELECT * FROM offences; GRANT SELECT (allegation_id) ON narrow TO analyst;
		CREATE VIEW shown WITH (security_invoker = true) AS SELECT * FROM offences; GRANT SELECT ON shown TO analyst`)
	for table, says := range map[string]string{"others": "", "offences": "42501 (the user may not read that)", "narrow": "42501", "shown": "42501"} {
		path := filepath.Join(t.TempDir(), "crimes.yaml")
		yaml := fmt.Sprintf("postgres:\n  url: %q\n  query: SELECT * FROM %s;\n", strings.Replace(server.URL, "reader@", "analyst@", 1), table)
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Check(t.Context(), path)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %q, %v", table, found, err)
		}
	}
}
