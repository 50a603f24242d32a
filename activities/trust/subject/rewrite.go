package subject

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// What is done to a row to erase somebody from it.
type fate int

const (
	stays fate = iota
	goes       // it is about them, or alleges something of them
	blank      // it is about somebody else, and they are its victim: it stays without their id
)

// file is one file of a night that names the person, and how it is written without them.
type file struct {
	ref     schemas.ArtifactRef // as it lies there
	removed int64
	blanked int64
	write   func(io.Writer) (int64, error)
}

// without finds out whether a file of a night names the person; nil: it does not.
func (h *Held) without(ctx context.Context, st *store.Store, m schemas.Manifest, ref schemas.ArtifactRef) (*file, error) {
	switch name := strings.TrimPrefix(ref.URI, m.Path()+"/"); {
	case strings.HasPrefix(name, schemas.ExtractFolder+"/"):
		// Most parts name nobody, and two of the columns tell.
		named, err := rowsWithout(ctx, st, ref, h.people)
		if err != nil || named == nil {
			return nil, err
		}
		return rowsWithout(ctx, st, ref, h.offence)
	case name == schemas.RankingFile, name == schemas.StackFile:
		return rowsWithout(ctx, st, ref, func(r *schemas.Ranked) fate { return gone(h.is(r.SuspectID)) })
	case name == schemas.ChangesFile:
		return rowsWithout(ctx, st, ref, func(c *schemas.Change) fate { return gone(h.is(c.SuspectID)) })
	case name == schemas.ContributionsFile:
		return rowsWithout(ctx, st, ref, h.contribution)
	case name == schemas.CasesFile:
		return rowsWithout(ctx, st, ref, h.inCase)
	case name == schemas.QuarantineFile:
		return rowsWithout(ctx, st, ref, h.quarantined)
	case name == schemas.LinksFile:
		either := func(l *schemas.PersonLink) fate { return gone(h.is(l.PersonID) || h.is(l.SameAs)) }
		return rowsWithout(ctx, st, ref, either)
	case name == schemas.StabilityFile:
		return h.standings(ctx, st, m)
	case name == schemas.StackCSVFile:
		return h.whole(ctx, st, ref, h.sheet)
	case name == schemas.ReportFile:
		return h.whole(ctx, st, ref, h.page)
	}
	return nil, fault.Errorf(fault.DamagedArtifact, "%s: this program does not know how to erase somebody from it", ref.URI)
}

func gone(is bool) fate {
	if is {
		return goes
	}
	return stays
}

// people are the columns of an extract that name somebody.
type people struct {
	SuspectID *string `parquet:"suspect_id,optional"`
	VictimID  *string `parquet:"victim_id,optional"`
}

func (h *Held) people(p *people) fate { return gone(h.names(p.SuspectID) || h.names(p.VictimID)) }

func (h *Held) offence(o *schemas.Offence) fate {
	switch {
	case h.names(o.SuspectID):
		return goes
	case h.names(o.VictimID):
		o.VictimID = nil
		return blank
	}
	return stays
}

func (h *Held) contribution(c *schemas.Contribution) fate {
	switch {
	case h.is(c.SuspectID):
		return goes
	case h.names(c.VictimID):
		c.VictimID = nil
		return blank
	}
	return stays
}

// inCase: what is alleged of the person goes also from the case of their victim.
func (h *Held) inCase(c *schemas.Case) fate {
	switch {
	case h.is(c.PersonID), h.names(c.SuspectID), c.Role == schemas.RoleVictim && h.names(c.OtherID):
		return goes
	case h.names(c.OtherID), h.names(c.VictimID):
		c.OtherID, c.VictimID = nil, nil
		return blank
	}
	return stays
}

func (h *Held) quarantined(q *schemas.Quarantine) fate {
	switch {
	case h.is(schemas.TrimSpace(string(q.SuspectID))):
		return goes
	case h.is(schemas.TrimSpace(string(q.VictimID))):
		q.VictimID = nil
		return blank
	}
	return stays
}

// rowsWithout is a file of rows, of each of which do tells what becomes of it.
func rowsWithout[T any](ctx context.Context, st *store.Store, ref schemas.ArtifactRef, do func(*T) fate) (*file, error) {
	f := &file{}
	rows := func(see func([]T) error) error {
		return eachRow(ctx, st, ref, &f.ref, func(batch []T) error {
			kept := batch[:0]
			for i := range batch {
				switch do(&batch[i]) {
				case goes:
					f.removed++
					continue
				case blank:
					f.blanked++
				}
				kept = append(kept, batch[i])
			}
			return see(kept)
		})
	}
	if err := rows(func([]T) error { return nil }); err != nil || f.removed+f.blanked == 0 {
		return nil, err
	}
	f.write = func(w io.Writer) (int64, error) {
		removed, blanked := f.removed, f.blanked
		defer func() { f.removed, f.blanked = removed, blanked }()
		out := parquet.NewGenericWriter[T](w, parquet.CreatedBy("harmstack", "1", ""), parquet.Compression(&parquet.Snappy))
		written := int64(0)
		err := rows(func(kept []T) error {
			for len(kept) > 0 {
				n := min(int64(len(kept)), rowfile.RowGroupRows-written%rowfile.RowGroupRows)
				if _, err := out.Write(kept[:n]); err != nil {
					return err
				}
				if kept, written = kept[n:], written+n; written%rowfile.RowGroupRows == 0 {
					if err := out.Flush(); err != nil {
						return err
					}
				}
			}
			return nil
		})
		return written, errors.Join(err, out.Close())
	}
	return f, nil
}

// eachRow reads the rows of an artefact, and says in is what lies there.
func eachRow[T any](
	ctx context.Context, st *store.Store, ref schemas.ArtifactRef, is *schemas.ArtifactRef, see func([]T) error,
) error {
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return err
	}
	defer artifact.Close()
	*is = artifact.Ref
	err = rowfile.Read(artifact, artifact.Size(), func(batch []T) error { return errors.Join(ctx.Err(), see(batch)) })
	if err != nil {
		err = fmt.Errorf("%s: %w", ref.URI, err)
	}
	return err
}

// standings is stability.parquet, whose columns are called after the models.
func (h *Held) standings(ctx context.Context, st *store.Store, m schemas.Manifest) (*file, error) {
	ref, _ := m.Output(schemas.StabilityFile)
	models, rows, err := nights.Standings(ctx, st, m)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(slices.Clone(rows), func(s schemas.Standing) bool { return h.is(s.SuspectID) })
	if len(kept) == len(rows) {
		return nil, nil
	}
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	f := &file{ref: artifact.Ref, removed: int64(len(rows) - len(kept))}
	var named schemas.Stability
	for _, name := range models {
		named.Models = append(named.Models, schemas.Model{Name: name})
	}
	f.write = func(w io.Writer) (int64, error) { return nights.WriteStandings(w, named, kept) }
	return f, artifact.Close()
}

// whole is a small file that is read whole.
func (h *Held) whole(
	ctx context.Context,
	st *store.Store,
	ref schemas.ArtifactRef,
	do func(data []byte) (kept []byte, rows, removed int64, err error),
) (*file, error) {
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer artifact.Close()
	data, err := io.ReadAll(artifact)
	if err != nil {
		return nil, err
	}
	kept, rows, removed, err := do(data)
	if err != nil || removed == 0 {
		return nil, err
	}
	return &file{ref: artifact.Ref, removed: removed, write: func(w io.Writer) (int64, error) {
		_, err := w.Write(kept)
		return rows, err
	}}, nil
}

// sheet is stack.csv without the person.
func (h *Held) sheet(data []byte) (kept []byte, rows, removed int64, err error) {
	in := csv.NewReader(bytes.NewReader(data))
	all, err := in.ReadAll()
	if err != nil || len(all) == 0 {
		return data, 0, 0, err
	}
	column := slices.Index(all[0], "suspect_id")
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	for i, row := range all {
		theirs := func(id string) bool { return row[column] == text.Cell(id) }
		if i > 0 && column >= 0 && slices.ContainsFunc(h.IDs, theirs) {
			removed++
			continue
		}
		if err := out.Write(row); err != nil {
			return nil, 0, 0, err
		}
	}
	out.Flush()
	return b.Bytes(), int64(len(all)-1) - removed, removed, out.Error()
}

// erasedNote stands in a report of which rows were erased.
const erasedNote = `<p class="soft">Somebody was erased from this page after it was published. ` +
	`Its figures and charts are as they were published.</p>`

// page is report.html without the person's lines in its tables.
func (h *Held) page(data []byte) (kept []byte, rows, removed int64, err error) {
	page := string(data)
	for _, id := range h.IDs {
		escaped := template.HTMLEscapeString(id)
		for {
			at := strings.Index(page, "<bdi>"+escaped+"</bdi>")
			if at < 0 {
				break
			}
			from, to := strings.LastIndex(page[:at], "<tr"), strings.Index(page[at:], "</tr>")
			if from < 0 || to < 0 {
				return nil, 0, 0, fault.Errorf(fault.DamagedArtifact, "%s: it is no page of this program's", schemas.ReportFile)
			}
			page = page[:from] + strings.TrimPrefix(page[at+to+len("</tr>"):], "\n")
			removed++
		}
	}
	if removed > 0 && !strings.Contains(page, erasedNote) {
		page = strings.Replace(page, "<main>\n", "<main>\n"+erasedNote+"\n", 1)
	}
	return []byte(page), 0, removed, nil
}
