package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/extract"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// fetches is how many objects of a bucket are fetched at once.
const fetches = 4

// opened are the files of an extract.
type opened struct {
	place   *place
	objects []object
	files   []file
	sums    []string // of each file, as far as they are known
}

func (o *opened) close() error {
	var errs []error
	for _, f := range o.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, o.place.close())...)
}

// files opens the files of a place.
func files(ctx context.Context, name, temp string) (*opened, error) {
	p, err := openPlace(ctx, name)
	if err != nil {
		return nil, err
	}
	o := &opened{place: p}
	if o.objects, err = p.list(ctx); err == nil {
		o.files, o.sums = make([]file, len(o.objects)), make([]string, len(o.objects))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(fetches)
		for i := range o.objects {
			g.Go(func() (err error) {
				o.files[i], o.sums[i], err = p.open(ctx, o.objects[i], temp)
				return err
			})
		}
		err = g.Wait()
	}
	if err == nil && p.bucket != nil {
		err = p.unchanged(ctx, o.objects)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// openFiles opens an extract that lies in files.
func (d Declared) openFiles(ctx context.Context, name string, options Options) (*extract.Source, error) {
	o, err := files(ctx, d.file(name), options.Temp)
	if err != nil {
		return nil, err
	}
	var s *extract.Source
	if d.isText(o) {
		s, err = d.openText(ctx, o, name, options)
	} else {
		s, err = openParquet(ctx, o, name, options.Memory)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return s, nil
}

func (d Declared) isText(o *opened) bool { return d.CSV != "" || isText(o.objects[0].name) }

// openParquet checks every file before anything is read. Those on this machine are hashed while they are read.
func openParquet(ctx context.Context, o *opened, name string, memory int64) (*extract.Source, error) {
	file, err := o.match()
	if err != nil {
		return nil, err
	}
	file.Limit(memory)
	ctx, stop := context.WithCancel(ctx)
	hashed := make(chan error, 1)
	go func() { hashed <- o.hash(ctx) }()
	return &extract.Source{File: file, Unreadable: file.Unreadable(),
		Reference: func() (ref schemas.ArtifactRef, err error) {
			err = <-hashed
			hashed <- err // for whoever asks next
			if err == nil && o.place.bucket == nil {
				err = o.place.unchanged(ctx, o.objects)
			}
			return o.ref(name, file.Rows()), err
		},
		Release: func() error {
			stop()
			<-hashed
			return o.close()
		}}, nil
}

// match opens every file against the contract. The error names every file and column at fault.
func (o *opened) match() (*extract.File, error) {
	var parts []*extract.File
	faults := &extract.SchemaMismatch{}
	for i, f := range o.files {
		var label string
		if o.place.folder {
			label = o.objects[i].name
		}
		part, err := extract.OpenNamed(label, f, o.objects[i].size)
		var mismatch *extract.SchemaMismatch
		if errors.As(err, &mismatch) {
			faults.Faults = append(faults.Faults, mismatch.Faults...)
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", o.place.title(o.objects[i]), err)
		}
		parts = append(parts, part)
	}
	if faults.Faults != nil {
		return nil, fmt.Errorf("%s: %w", o.place.name, faults)
	}
	return extract.Join(parts...), nil
}

// hash hashes the files that were not hashed when they were fetched.
func (o *opened) hash(ctx context.Context) error {
	block := make([]byte, 1<<20)
	for i, f := range o.files {
		if o.sums[i] != "" {
			continue
		}
		sum := sha256.New()
		if _, err := io.CopyBuffer(sum, &cancelled{ctx, io.NewSectionReader(f, 0, o.objects[i].size)}, block); err != nil {
			return fmt.Errorf("%s: %w", o.place.title(o.objects[i]), err)
		}
		o.sums[i] = hex.EncodeToString(sum.Sum(nil))
	}
	return nil
}

// ref names the extract. A folder's hash is that of the lines which sha256sum prints of its files, in the order of
// their names: `sha256sum * | sha256sum`.
func (o *opened) ref(name string, rows int64) schemas.ArtifactRef {
	ref := schemas.ArtifactRef{URI: name, SHA256: o.sums[0], Rows: rows, Schema: schemas.OffenceSchema}
	lines := sha256.New()
	for i, file := range o.objects {
		ref.Bytes += file.size
		fmt.Fprintf(lines, "%s  %s\n", o.sums[i], file.name)
	}
	if o.place.folder {
		ref.Files, ref.SHA256 = len(o.objects), hex.EncodeToString(lines.Sum(nil))
	}
	return ref
}

// openText converts every file, once the first lines of all were looked at.
func (d Declared) openText(
	ctx context.Context,
	o *opened,
	name string,
	options Options,
) (_ *extract.Source, err error) {
	s := &extract.Source{Unreadable: map[string]int64{}}
	if _, s.Near, err = d.headers(o); err != nil {
		return nil, err
	}
	var parts []*extract.File
	var made []file
	var absent [][]string
	s.Release = func() error {
		var errs []error
		for _, f := range made {
			errs = append(errs, f.Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Release())
		}
	}()
	var rows int64
	for i, f := range o.files {
		sum := sha256.New()
		c, err := d.convert(ctx, io.TeeReader(io.NewSectionReader(f, 0, o.objects[i].size), sum), options.Temp, func(n int64) {
			if options.Progress != nil {
				options.Progress(rows + n)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.place.title(o.objects[i]), err)
		}
		made, parts, absent = append(made, c.file), append(parts, c.parquet), append(absent, c.Absent)
		o.sums[i] = hex.EncodeToString(sum.Sum(nil))
		rows += c.Rows
		s.Extra = max(s.Extra, c.ExtraColumns)
		for column, n := range c.Unreadable {
			s.Unreadable[column] += n
		}
	}
	if o.place.bucket == nil {
		if err := o.place.unchanged(ctx, o.objects); err != nil {
			return nil, err
		}
	}
	s.File, s.TextForms = extract.Join(parts...), textForms(absent...)
	ref := o.ref(name, rows)
	s.Reference = func() (schemas.ArtifactRef, error) { return ref, nil }
	return s, o.close()
}

// headers checks the first line of every file, and counts the columns that nobody asked for; near are the columns of
// the contract that one of those is called nearly like.
func (d Declared) headers(o *opened) (extra int, near []string, err error) {
	for i, f := range o.files {
		columns, err := d.Header(io.NewSectionReader(f, 0, o.objects[i].size))
		var n int
		var close []string
		if err == nil {
			n, close, err = d.Mapping.Check(columns)
		}
		if err != nil {
			return 0, nil, fmt.Errorf("%s: %w", o.place.title(o.objects[i]), err)
		}
		extra, near = max(extra, n), append(near, close...)
	}
	slices.Sort(near)
	return extra, slices.Compact(near), nil
}

// checkFiles is Check for an extract that lies in files. Those of a bucket are fetched: their footers stand at their
// ends.
func (d Declared) checkFiles(ctx context.Context, name string) (found string, err error) {
	o, err := files(ctx, d.file(name), "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if d.isText(o) {
		extra, near, err := d.headers(o)
		more := text.Count(extra, "more is", "more are")
		return fmt.Sprintf("the columns follow the contract, %s not read%s", more, nearNote(near)) + d.doubt(), err
	}
	file, err := o.match()
	if err != nil {
		return "", err
	}
	return text.Count(file.Rows(), "row follows", "rows follow") + " the contract" + nearNote(file.NearColumns()), nil
}

// nearNote says that a column may have been meant for one of the contract.
func nearNote(near []string) string {
	if note := schemas.NearNote(near); note != "" {
		return "; " + note
	}
	return ""
}
