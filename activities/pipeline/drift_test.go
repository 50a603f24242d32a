package pipeline

import (
	"testing"

	"harmstack/activities/extract"
	"harmstack/schemas"
)

// Some writers choose a column's type by the values that they see: what changes with the day's data alone is told, not
// refused.
func TestTypesThatChangeWithTheData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario     string
		before, now  string
		told, refuse bool
	}{
		{"an age is missing that day", "int64", "double", true, false},
		{"none is missing", "double", "int64", true, false},
		{"numeric of a database", "int32", "decimal", true, false},
		{"no value that day", "string", extract.Empty, true, false},
		{"values again", extract.Empty, "string", true, false},
		{"still none", extract.Empty, extract.Empty, false, false},
		{"another type", "int32", "int64", true, true},
		{"a column that is lost", "double", extract.Absent, true, true},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			refused, noted := compareForms(map[string]string{"suspect_age": c.before}, map[string]string{"suspect_age": c.now}, schemas.MustDate("2026-06-01"))
			if len(refused) > 0 != c.refuse || len(refused)+len(noted) > 0 != c.told {
				t.Errorf("refused %q, noted %q", refused, noted)
			}
		})
	}
}
