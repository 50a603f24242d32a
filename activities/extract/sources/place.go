package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"harmstack/activities/extract"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// ErrChanging is returned for an extract that somebody is still writing: what is read of it is not to be taken for
// whole. It may pass.
var ErrChanging = errors.New("the extract is still being written")

// errEmpty is the extract.ErrNoSource of a folder without an extract.
var errEmpty = fmt.Errorf("%w", extract.ErrNoSource)

// errLink is of a folder whose files are not all its own: whoever may write there could have others read.
var errLink = errors.New("the folder holds a link that leads out of it, or nowhere, which is not followed: " +
	"put the file there, or a relative link to one in the folder")

// place is where the files of an extract lie: a file or a folder, here or in a bucket.
type place struct {
	name   string
	path   string       // local
	bucket *blob.Bucket // nil for a local place
	key    string       // in the bucket
	folder bool         // known by the first list
}

// object is one file of an extract.
type object struct {
	name    string // below the folder, with slashes
	size    int64
	stamp   string // another one when the file was written again
	written time.Time
}

// openPlace finds what a path or URL means, without reading it.
func openPlace(ctx context.Context, name string) (*place, error) {
	if err := schemas.ValidateSource(name); err != nil {
		return nil, fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	p := &place{name: name, path: name}
	if !strings.Contains(name, "://") {
		return p, nil
	}
	u, err := url.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("%w: its URL cannot be read", extract.ErrNoSource)
	}
	if u.Scheme == "file" {
		p.path = filepath.FromSlash(u.Path)
		return p, nil
	}
	if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
		return nil, fmt.Errorf("%w: give a path or the URL of a bucket, not %s://", extract.ErrNoSource, u.Scheme)
	}
	p.key = strings.TrimPrefix(u.Path, "/")
	u.Path, u.RawPath = "", ""
	if p.bucket, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	return p, nil
}

func (p *place) close() error {
	if p.bucket == nil {
		return nil
	}
	return p.bucket.Close()
}

// list names the files, in the order of their names: all Parquet or all CSV, when the place is a folder.
func (p *place) list(ctx context.Context) (files []object, err error) {
	if p.bucket != nil {
		files, err = p.listBucket(ctx)
	} else {
		files, err = p.listLocal()
	}
	if err != nil || !p.folder {
		return files, err
	}
	if files, err = choose(files); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return files, nil
}

func (p *place) listLocal() (files []object, err error) {
	info, err := os.Stat(p.path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	if p.folder = info.IsDir(); !p.folder {
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%w: %s is no regular file", extract.ErrNoSource, p.path)
		}
		return []object{{filepath.Base(p.path), info.Size(), stamp(info), info.ModTime().UTC()}}, nil
	}
	root, err := os.OpenRoot(p.path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	defer root.Close()
	err = fs.WalkDir(os.DirFS(p.path), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := root.Stat(filepath.FromSlash(name)) // of what a link leads to, when that is in the folder
		if errors.Is(err, fs.ErrNotExist) && d.Type()&fs.ModeSymlink == 0 {
			return fmt.Errorf("%w: a file is gone", ErrChanging)
		}
		if err != nil && d.Type()&fs.ModeSymlink != 0 {
			err = errLink
		} else if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a link to a folder, which is not followed", name)
		}
		if err == nil {
			files = append(files, object{name, info.Size(), stamp(info), info.ModTime().UTC()})
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrChanging) {
		err = fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	return files, err
}

func stamp(info fs.FileInfo) string { return info.ModTime().UTC().String() }

func (p *place) listBucket(ctx context.Context) (files []object, err error) {
	prefix := p.key
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		a, err := p.bucket.Attributes(ctx, p.key)
		if err == nil {
			return []object{
				{
					p.key[strings.LastIndexByte(p.key, '/')+1:],
					a.Size,
					fmt.Sprintf("%s %s %x", a.ModTime.UTC(), a.ETag, a.MD5),
					a.ModTime.UTC(),
				},
			}, nil
		}
		if gcerrors.Code(err) != gcerrors.NotFound {
			return nil, p.unreadable(err)
		}
		prefix += "/"
	}
	p.key, p.folder = prefix, true
	for objects := p.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		o, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, p.unreadable(err)
		}
		files = append(
			files,
			object{
				strings.TrimPrefix(o.Key, prefix),
				o.Size,
				fmt.Sprintf("%s %x", o.ModTime.UTC(), o.MD5),
				o.ModTime.UTC(),
			},
		)
	}
}

// unreadable tells what no retry mends from what may pass.
func (p *place) unreadable(err error) error {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument:
		return fmt.Errorf("%w: %s: %w", extract.ErrNoSource, p.name, err)
	}
	return fmt.Errorf("%s: %w", p.name, err)
}

// choose picks the files of a folder that are its extract. What writers put beside them begins with a dot or an
// underscore: marks of success, checksums, work under way.
func choose(all []object) (files []object, err error) {
	slices.SortFunc(all, func(a, b object) int { return strings.Compare(a.name, b.name) })
	text := 0
	for _, o := range all {
		hidden := false
		for _, element := range strings.Split(o.name, "/") {
			switch {
			case element == "_delta_log", element == ".hoodie", strings.HasSuffix(element, ".metadata.json"):
				return nil, fmt.Errorf(
					"%w: it is a table with a history (Delta, Hudi or Iceberg), whose files hold old rows too: export the rows as they are now",
					extract.ErrNoSource,
				)
			case element == "_temporary":
				return nil, fmt.Errorf(
					"%w: %s is there: wait for the export, or delete it when that broke off",
					ErrChanging,
					element,
				)
			}
			hidden = hidden || strings.HasPrefix(element, ".") || strings.HasPrefix(element, "_")
		}
		switch {
		case hidden || !isText(o.name) && !strings.HasSuffix(strings.ToLower(o.name), ".parquet"):
			continue
		case isText(o.name):
			text++
		}
		files = append(files, o)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: the folder holds no *.parquet, *.csv or *.csv.gz", errEmpty)
	}
	if text > 0 && text < len(files) {
		return nil, fmt.Errorf(
			"%w: the folder holds both Parquet and CSV: which of them is the extract?",
			extract.ErrNoSource,
		)
	}
	return files, nil
}

func isText(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".csv.gz")
}

// title names a file for a person.
func (p *place) title(o object) string {
	if p.folder {
		return strings.TrimSuffix(p.name, "/") + "/" + o.name
	}
	return p.name
}

// open opens a file as it was listed. An object of a bucket is copied to a temporary file that has no name, and hashed
// on the way; sum is empty for a local file.
func (p *place) open(ctx context.Context, o object, temp string) (_ file, sum string, err error) {
	if p.bucket != nil {
		return p.fetch(ctx, o, temp)
	}
	path := p.path
	var f *os.File
	if p.folder {
		path = filepath.Join(path, filepath.FromSlash(o.name))
		f, err = os.OpenInRoot(p.path, filepath.FromSlash(o.name))
	} else {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	info, err := f.Stat()
	if err == nil && (info.Size() != o.size || stamp(info) != o.stamp) {
		err = fmt.Errorf("%w: %s has changed", ErrChanging, path)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, "", nil
}

func (p *place) fetch(ctx context.Context, o object, temp string) (_ file, sum string, err error) {
	key := p.key
	if p.folder {
		key += o.name
	}
	r, err := p.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, "", p.unreadable(err)
	}
	defer r.Close()
	f, err := unnamed(temp)
	if err != nil {
		return nil, "", err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), &cancelled{ctx, r})
	if err == nil && n != o.size {
		err = fmt.Errorf(
			"%w: it had %s, %s read",
			ErrChanging,
			text.Count(o.size, "byte"),
			text.Count(n, "was", "were"),
		)
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("fetching %s: %w", p.title(o), err), f.Close())
	}
	return f, hex.EncodeToString(hash.Sum(nil)), nil
}

// file is one that can be read anywhere in it.
type file interface {
	io.ReaderAt
	io.Closer
}

// unnamed makes a temporary file that is gone once it is closed, also when the process is killed, and that nobody else
// can read.
func unnamed(temp string) (*spill.Stream, error) {
	f, err := spill.Folder(temp).Stream()
	if err != nil {
		return nil, fmt.Errorf("a temporary file for the extract: %w", err)
	}
	return f, nil
}

// unchanged makes sure that the files are still those that were listed before they were read.
func (p *place) unchanged(ctx context.Context, before []object) error {
	after, err := p.list(ctx)
	if err != nil {
		return err
	}
	if !slices.Equal(before, after) {
		return fmt.Errorf("%w: %s changed while it was read: run again once the export is whole", ErrChanging, p.name)
	}
	return nil
}

// cancelled ends a long read when the context does.
type cancelled struct {
	ctx context.Context
	io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
