package sources

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"gocloud.dev/blob"

	"harmstack/schemas"
)

// Prefixes are the folders and buckets below which a request may name an extract by path or URL. The zero value admits
// nothing.
type Prefixes []prefix

// String lists them, for a hash.
func (p Prefixes) String() string {
	var all []string
	for _, one := range p {
		if one.bucket != nil {
			all = append(all, one.bucket.String())
		} else {
			all = append(all, one.folder)
		}
	}
	return strings.Join(all, "\n")
}

// prefix is a folder on this machine, or one of a bucket.
type prefix struct {
	folder string   // absolute; empty for a bucket
	bucket *url.URL // with the query that says how it is spoken to
}

// What is wrong with a place that a request names. None repeats it.
var (
	errOutside = errors.New("the extract lies below no folder or bucket of HARMSTACK_EXTRACT_PREFIXES: " +
		"give the name of a configured source, or have the place added to the worker's environment")
	errNotPlain = errors.New("the extract's path or URL is not plain: " +
		"write it without .., empty elements, backslashes, fragments and characters that cannot be seen")
	errDeclaration = errors.New("a declaration (*.yaml) is taken from the worker's configuration only: " +
		"name it in HARMSTACK_SOURCES, and give that name")
	errQuery = errors.New("the extract's URL says how the bucket is spoken to: " +
		"leave out what follows the question mark, which stands in HARMSTACK_EXTRACT_PREFIXES")
)

// ParsePrefixes reads folders and URLs of buckets that are separated by commas or new lines. The error repeats none.
func ParsePrefixes(text string) (all Prefixes, err error) {
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		if err := schemas.ValidateSource(field); err != nil {
			return nil, errors.New("a prefix holds credentials, or cannot be read: give folders and URLs of buckets")
		}
		path, u, err := plain(field)
		if err != nil {
			return nil, errors.New("a prefix is not plain: write it without .., empty elements and backslashes")
		}
		if u != nil {
			if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
				return nil, errors.New("a prefix is no folder and no bucket that can be read")
			}
			all = append(all, prefix{bucket: u})
			continue
		}
		if path, err = filepath.Abs(path); err != nil || path == filepath.Dir(path) {
			return nil, errors.New("a prefix is the whole machine: name a folder")
		}
		all = append(all, prefix{folder: path})
	}
	return all, nil
}

// Admit checks a path or URL that a request names, and gives the source to open: below a bucket with the query that was
// configured, whatever else the request asks for. Paths are compared by whole elements, and again after their links
// were followed. The error never repeats the name.
func (p Prefixes) Admit(name string) (source string, err error) {
	if err := schemas.ValidateSource(name); err != nil {
		return "", err
	}
	path, u, err := plain(name)
	if err != nil {
		return "", err
	}
	place := path
	if u != nil {
		place = u.Path
	}
	if isDeclaration(place) || isDeclaration(name) {
		return "", errDeclaration
	}
	if u != nil {
		return p.admitBucket(u)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", errOutside
	}
	real, err := follow(path)
	if err != nil {
		return "", errOutside
	}
	for _, at := range p {
		if at.folder == "" || !below(at.folder, path) {
			continue
		}
		if root, err := follow(at.folder); err == nil && below(root, real) {
			return name, nil
		}
	}
	return "", errOutside
}

func (p Prefixes) admitBucket(u *url.URL) (string, error) {
	for _, at := range p {
		b := at.bucket
		if b == nil || b.Scheme != u.Scheme || b.Host != u.Host ||
			!below(strings.Trim(b.Path, "/"), strings.Trim(u.Path, "/")) {
			continue
		}
		if u.RawQuery != "" && u.RawQuery != b.RawQuery {
			return "", errQuery
		}
		open := *u
		open.RawQuery = b.RawQuery
		return open.String(), nil
	}
	return "", errOutside
}

// plain is the local path of a name, or else its URL, when it can only mean what it seems to.
func plain(name string) (path string, u *url.URL, err error) {
	local := !strings.Contains(name, "://")
	path = name
	if !local {
		if u, err = url.Parse(name); err != nil || u.Opaque != "" || u.User != nil || strings.Contains(name, "#") {
			return "", nil, errNotPlain
		}
		path = u.Path
	}
	if strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) ||
		strings.Contains(path, `\`) && (!local || filepath.Separator != '\\') {
		return "", nil, errNotPlain
	}
	elements := strings.Split(strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(path), "/"), "/"), "/")
	for i, e := range elements {
		dot := e == "." && (!local || i > 0)
		if e == ".." || dot || e == "" && len(elements) > 1 {
			return "", nil, errNotPlain
		}
	}
	if local {
		return path, nil, nil
	}
	if u.Scheme == "file" {
		if u.Host != "" || u.RawQuery != "" || u.Path == "" {
			return "", nil, errNotPlain
		}
		return filepath.FromSlash(path), nil, nil
	}
	u.RawPath = "" // the path as it was checked
	return "", u, nil
}

// below tells whether a path is a folder or lies in it, by whole elements.
func below(folder, path string) bool {
	if folder == "" || folder == path {
		return true
	}
	rest, ok := strings.CutPrefix(filepath.ToSlash(path), strings.TrimSuffix(filepath.ToSlash(folder), "/"))
	return ok && strings.HasPrefix(rest, "/")
}

// follow is where a path leads. Of one that is not there yet, the part that is there is followed; a link that leads
// nowhere is an error, for it may lead anywhere later.
func follow(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if _, there := os.Lstat(path); there == nil || path == filepath.Dir(path) {
		return "", err
	}
	parent, err := follow(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

func isDeclaration(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, ".yaml") || strings.HasSuffix(lower, ".yml")
}
