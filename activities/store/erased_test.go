package store

import (
	"encoding/json"
	"errors"
	"io"
	"testing"

	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

// An artefact that became another is opened by the record of that alone, and is nobody else's.
func TestRewrittenArtefacts(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{"folder": t.TempDir(), "S3": s3test.New(t).URL} {
		t.Run(kind, func(t *testing.T) {
			st, err := Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			id := schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}
			write := func(content string) schemas.ArtifactRef {
				t.Helper()
				ref, err := st.Write(t.Context(), id.Path()+"/"+schemas.StackFile, "", func(w io.Writer) (int64, error) {
					_, err := io.WriteString(w, content)
					return int64(len(content)), err
				})
				if err != nil {
					t.Fatal(err)
				}
				return ref
			}
			opens := func(ref schemas.ArtifactRef, want error, as schemas.ArtifactRef) {
				t.Helper()
				for range 2 { // the second time it is known
					a, err := st.Open(t.Context(), ref)
					if !errors.Is(err, want) || err == nil && a.Ref != as {
						t.Errorf("%v, %v", a, err)
					}
					if err == nil {
						a.Close()
					}
				}
			}
			was := write("S-1 S-2")
			opens(was, nil, was)
			is := write("S-2")
			opens(was, ErrDamaged, was)
			data, err := json.Marshal(schemas.Erasure{NightID: id, Person: "k7qd", Files: []schemas.Rewritten{{Was: was, Is: is}}})
			if err == nil {
				err = st.CreateOnly(t.Context(), id.ErasureKey(1), data)
			}
			if err != nil {
				t.Fatal(err)
			}
			opens(was, nil, is)
			opens(is, nil, is)
			if got, err := st.Latest(t.Context(), was); err != nil || got != is {
				t.Errorf("%v, %v", got, err)
			}
			if err := errors.Join(st.Verify(t.Context(), is)); err != nil {
				t.Error(err)
			}
			if err := st.Verify(t.Context(), was); !errors.Is(err, ErrDamaged) {
				t.Errorf("what it was: %v", err)
			}
			if _, err := st.Link(t.Context(), was, "nights/2026-06-30/r2/stack.parquet"); !errors.Is(err, ErrRewritten) {
				t.Errorf("taken over: %v", err)
			}
			if _, err := st.Link(t.Context(), is, "nights/2026-06-30/r2/stack.parquet"); err != nil {
				t.Error(err)
			}
			write("S-3")
			opens(was, ErrDamaged, was)
			write("S-1 S-2") // before the file is written there is the record
			opens(was, nil, was)
		})
	}
}
