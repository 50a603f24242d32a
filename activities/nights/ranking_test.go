package nights

import (
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"harmstack/activities/store"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
)

// A ranking of three row groups, whose ties cross them, and from which people were erased: what is read here and there is
// what a look at every row finds.
func TestRanking(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st, err := store.Open(ctx, filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var all []schemas.Ranked
	n := 2*rowfile.RowGroupRows + 700
	for i := range n {
		if i%1000 == 7 {
			continue // erased
		}
		all = append(all, schemas.Ranked{
			Position: int64(i + 1), SuspectID: fmt.Sprintf("S-%07d", i), Score: int64((n - i) / 20_000), Victims: 2, Allegations: 3,
			Restricted: i%9000 == 3, Boroughs: []string{"Barnet", "Hackney"}, Lane: schemas.LaneFree, OwnerBorough: new("Hackney"),
		})
	}
	ref, err := st.Write(ctx, "nights/2026-06-30/r1/"+schemas.RankingFile, schemas.RankingSchema, func(w io.Writer) (int64, error) {
		return rowfile.WriteAll(w, func(yield func([]schemas.Ranked) error) error { return yield(all) })
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenRanking(ctx, st, schemas.Manifest{Outputs: []schemas.ArtifactRef{ref}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	last := all[len(all)-1].Position
	edge := all[rowfile.RowGroupRows-1].Position
	for _, c := range [][2]int64{{1, 1}, {1, 100}, {101, 200}, {8, 8}, {edge - 5, edge + 5}, {edge, edge}, {edge + 1, edge + 1}, {last - 3, last + 100},
		{last + 1, last + 100}, {0, 0}, {5, 4}} {
		var want []schemas.Ranked
		for _, row := range all {
			if row.Position >= c[0] && row.Position <= c[1] {
				want = append(want, row)
			}
		}
		got, err := r.Range(ctx, c[0], c[1])
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%d to %d: %v, %d rows, not %d", c[0], c[1], err, len(got), len(want))
		}
	}
	found, err := r.Find(ctx, "S-0000000", "S-0065999", "S-0000007", "S-0000012", "S-1", "")
	var at []int64
	for _, row := range found {
		at = append(at, row.Position)
	}
	if err != nil || !slices.Equal(at, []int64{1, 13, 66000}) || found[1].SuspectID != "S-0000012" {
		t.Errorf("%v %v", at, err)
	}
	restricted, err := r.Restricted(ctx)
	if err != nil || len(restricted) != 8 || !restricted["S-0063003"] || restricted["S-0000004"] {
		t.Errorf("%v %v", restricted, err)
	}
	for _, place := range []schemas.Ranked{{}, {Score: 99}, {Score: 3, SuspectID: "S-0000500"}, {Score: 1, SuspectID: "S-0040000"},
		{Score: 2, SuspectID: "S-0020000x"}, {Score: 0, SuspectID: "T"}} {
		before := func(o *schemas.Ranked) bool {
			return place.Score > o.Score || place.Score == o.Score && place.SuspectID < o.SuspectID
		}
		want := int64(0)
		for i := range all {
			if before(&all[i]) {
				break
			}
			want++
		}
		if got, err := r.Above(ctx, before); err != nil || got != want {
			t.Errorf("%d of %q: %d stand above, not %d: %v", place.Score, place.SuspectID, got, want, err)
		}
	}
}
