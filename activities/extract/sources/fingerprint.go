package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"harmstack/schemas"
	"harmstack/schemas/yamlfile"
)

// Identify names an extract by its bytes before anything is made of them, and says how they are read: as what, by which
// mapping. ok is false where only reading would tell (a database, a bucket), and where it cannot be read: opening it
// says why.
func Identify(ctx context.Context, name string) (ref schemas.ArtifactRef, reading string, ok bool) {
	d, err := find(name)
	if err != nil || d.Postgres != nil {
		return ref, "", false
	}
	at := name
	if d.CSV != "" {
		at = d.CSV
		declared, err := openPlace(ctx, name)
		if err != nil {
			return ref, "", false
		}
		data, err := yamlfile.Read(declared.path, yamlfile.Small)
		if err != nil {
			return ref, "", false
		}
		sum := sha256.Sum256(data)
		reading = hex.EncodeToString(sum[:])
	}
	p, err := openPlace(ctx, at)
	if err != nil || p.bucket != nil {
		return ref, "", false
	}
	o, err := files(ctx, at, "")
	if err != nil {
		return ref, "", false
	}
	defer o.close()
	if err := o.hash(ctx); err != nil {
		return ref, "", false
	}
	if d.isText(o) {
		reading += " csv"
	}
	return o.ref(name, 0), reading, true
}
