package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"harmstack/activities/store"
)

// A file is written as an artefact: whoever has the reference reads it and knows that it is that very one. What two may
// not both do is a create-only write.
func ExampleStore() {
	ctx := context.Background()
	st, err := store.Open(ctx, "mem://")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer st.Close()
	ref, err := st.Write(ctx, "nights/2026-06-30/r1/note.txt", "", func(w io.Writer) (rows int64, err error) {
		_, err = io.WriteString(w, "a quiet night")
		return 1, err
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ref.URI, ref.Bytes, "bytes, sha256", ref.SHA256[:8])

	artifact, err := st.Open(ctx, ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer artifact.Close()
	text, err := io.ReadAll(io.NewSectionReader(artifact, 0, artifact.Size()))
	fmt.Println(string(text), err)

	ref.SHA256 = "00" + ref.SHA256[2:]
	_, err = st.Open(ctx, ref)
	fmt.Println("another file:", errors.Is(err, store.ErrDamaged))

	fmt.Println("the first claim:", st.CreateOnly(ctx, "claims/2026-06-30", []byte("one")))
	err = st.CreateOnly(ctx, "claims/2026-06-30", []byte("two"))
	fmt.Println("the second one comes too late:", errors.Is(err, store.ErrExists))
	// Output:
	// nights/2026-06-30/r1/note.txt 13 bytes, sha256 96434d11
	// a quiet night <nil>
	// another file: true
	// the first claim: <nil>
	// the second one comes too late: true
}
