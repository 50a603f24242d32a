package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"harmstack/schemas"
	"harmstack/schemas/yamlfile"
)

// Identify names what a source is made of by its bytes, before anything is made of them: the extract, then its person
// links, if it declares any. It says, too, how they are read: as what, by which mapping. ok is false where only reading
// would tell (a database, a bucket), and where they cannot be read: opening them says why.
func Identify(ctx context.Context, name string) (refs []schemas.ArtifactRef, reading string, ok bool) {
	d, err := find(name)
	if err != nil || d.Postgres != nil {
		return nil, "", false
	}
	if d.declared() {
		declared, err := openPlace(ctx, name)
		if err != nil {
			return nil, "", false
		}
		data, err := yamlfile.Read(declared.path, yamlfile.Small)
		if err != nil {
			return nil, "", false
		}
		sum := sha256.Sum256(data)
		reading = hex.EncodeToString(sum[:])
	}
	ref, text, ok := identify(ctx, d.file(name))
	if !ok {
		return nil, "", false
	}
	ref.URI = name
	if d.CSV != "" || text {
		reading += " csv"
	}
	refs = append(refs, ref)
	if d.Links != nil {
		ref, _, ok := identify(ctx, d.Links.File)
		if !ok {
			return nil, "", false
		}
		ref.Schema = schemas.PersonLinkSchema
		refs = append(refs, ref)
	}
	return refs, reading, true
}

// identify names files on this machine by their bytes, and tells whether they are text by their names.
func identify(ctx context.Context, at string) (ref schemas.ArtifactRef, text, ok bool) {
	p, err := openPlace(ctx, at)
	if err != nil || p.bucket != nil {
		return ref, false, false
	}
	o, err := files(ctx, at, "")
	if err != nil {
		return ref, false, false
	}
	defer o.close()
	if err := o.hash(ctx); err != nil {
		return ref, false, false
	}
	return o.ref(at, 0), isText(o.objects[0].name), true
}
