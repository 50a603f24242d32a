package nights_test

import (
	"io"
	"reflect"
	"testing"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

func TestStandingsAreReadAsTheyWereWritten(t *testing.T) {
	stability, err := schemas.LoadStability("")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range stability.Models {
		names = append(names, m.Name)
	}
	first := int64(1)
	core := schemas.Standing{SuspectID: "S1", Position: 1, Models: 10, Standing: schemas.Core}
	fringe := schemas.Standing{SuspectID: "S2", Position: 240, Models: 1, Standing: schemas.Fringe, Positions: make([]*int64, 10)}
	for range names {
		core.Positions = append(core.Positions, &first)
	}
	fringe.Positions[9] = new(int64(100))
	want := []schemas.Standing{core, fringe}
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	write := func(s schemas.Stability) schemas.ArtifactRef {
		ref, err := st.Write(t.Context(), "stability.parquet", schemas.StabilitySchema, func(w io.Writer) (int64, error) {
			return nights.WriteStandings(w, s, want)
		})
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	m := schemas.Manifest{Outputs: []schemas.ArtifactRef{write(stability)}}
	models, rows, err := nights.Standings(t.Context(), st, m)
	if err != nil || !reflect.DeepEqual(models, names) || !reflect.DeepEqual(rows, want) {
		t.Errorf("got %v %+v %v", models, rows, err)
	}
	if again := write(stability); again != m.Outputs[0] {
		t.Error("the same rows are other bytes")
	}
	if models, rows, err := nights.Standings(t.Context(), st, schemas.Manifest{}); models != nil || rows != nil || err != nil {
		t.Errorf("a night of version 1 has none: %v %v %v", models, rows, err)
	}
	other, err := st.Write(t.Context(), "stability.parquet", schemas.StabilitySchema, func(w io.Writer) (int64, error) {
		_, err := w.Write([]byte("no parquet at all"))
		return 2, err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = nights.Standings(t.Context(), st, schemas.Manifest{Outputs: []schemas.ArtifactRef{other}})
	if fault.Kind(err) != fault.DamagedArtifact {
		t.Errorf("a damaged file: %v", err)
	}
}
