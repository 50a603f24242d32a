package incremental

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// Nights that end at once each leave a base that is whole, whichever stays.
func TestNightsThatEndAtOnce(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var nights sync.WaitGroup
	for i := range 6 {
		nights.Go(func() {
			parts := []schemas.ArtifactRef{{URI: strings.Repeat("x", 50*i), Rows: int64(i)}}
			for range 20 {
				if err := (Base{Declaration: fmt.Sprint(i), Rows: int64(i)}).Save(t.Context(), st, "crimes.yaml", parts); err != nil {
					t.Error(err)
				}
				b, err := load(t.Context(), st, "crimes.yaml")
				if err != nil || b == nil || b.Declaration != fmt.Sprint(b.Rows) || len(b.Parts) != 1 || b.Parts[0].Rows != b.Rows {
					t.Errorf("%+v, %v", b, err)
				}
			}
		})
	}
	nights.Wait()
}
