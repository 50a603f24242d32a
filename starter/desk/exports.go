package desk

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"path"
	"strconv"
	"strings"

	"harmstack/activities/store/rowfile"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// download is a page that a browser keeps as a file.
type download struct {
	name, media string
	data        []byte
}

func (f download) send(w http.ResponseWriter) {
	w.Header().Set("Content-Type", f.media)
	w.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(f.data)))
	_, _ = w.Write(f.data)
}

// export hands out a table under the last part of the page's address, to somebody who said what for. Restricted
// suspects must have been left out: a file is passed around (contract, section 8).
func (d *Desk) export(
	r *http.Request, p Person, id schemas.NightID, did string, write map[string]func(*bytes.Buffer) error,
) (any, error) {
	name := path.Base(r.URL.Path)
	format := strings.TrimPrefix(path.Ext(name), ".")
	why := d.why(r)
	if why == "" {
		table := strings.TrimSuffix(name, path.Ext(name))
		return askWhy{"the " + table + " of " + id.String() + " as a file", nightPath(id) + "/" + table}, nil
	}
	var out bytes.Buffer
	if err := write[format](&out); err != nil {
		return nil, err
	}
	media := map[string]string{"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}[format]
	file := download{"harmstack-" + id.String() + "-" + name, media, out.Bytes()}
	return file, d.note(r.Context(), p, audit.Disclosure, did+" as "+format, object(r), why, false)
}

// stackFile is the stack, or what else the address asks for, as a file.
func (d *Desk) stackFile(r *http.Request, p Person) (any, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	if _, err := readStackAsk(r); err != nil {
		return nil, err
	}
	if d.why(r) == "" {
		return d.export(r, p, m.NightID, "", nil)
	}
	v, err := d.stackView(r, p, m)
	if err != nil {
		return nil, err
	}
	var rows []schemas.Ranked
	for _, row := range v.Rows {
		if !row.Restricted {
			rows = append(rows, row.Ranked)
		}
	}
	return d.export(r, p, m.NightID, v.did("downloaded"), map[string]func(*bytes.Buffer) error{
		"csv": func(out *bytes.Buffer) error { _, err := rowfile.WriteCSV(out, rows); return err },
		"parquet": func(out *bytes.Buffer) error {
			_, err := rowfile.WriteAll(out, func(yield func([]schemas.Ranked) error) error { return yield(rows) })
			return err
		},
	})
}

// changesFile is what changed as a file.
func (d *Desk) changesFile(r *http.Request, p Person) (any, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	if d.why(r) == "" {
		return d.export(r, p, m.NightID, "", nil)
	}
	c, err := d.changesOf(r, m)
	if err != nil {
		return nil, err
	}
	var rows []schemas.Change
	whys := map[string]string{}
	for _, one := range c.list {
		if !one.Restricted {
			rows = append(rows, one.Change)
			whys[one.SuspectID] = c.words(one, true)
		}
	}
	return d.export(r, p, m.NightID, "downloaded the changes since "+c.since(), map[string]func(*bytes.Buffer) error{
		"csv": func(out *bytes.Buffer) error { return changesCSV(out, rows, whys) },
		"parquet": func(out *bytes.Buffer) error {
			_, err := rowfile.WriteAll(out, func(yield func([]schemas.Change) error) error { return yield(rows) })
			return err
		},
	})
}

// changesCSV writes changes as a sheet: the columns of changes.parquet and why, cells that a spreadsheet would run
// quoted.
func changesCSV(out *bytes.Buffer, rows []schemas.Change, whys map[string]string) error {
	w := csv.NewWriter(out)
	header := []string{"suspect_id", "change", "reason", "position", "previous_position", "score_days",
		"previous_score_days", "why"}
	if err := w.Write(header); err != nil {
		return err
	}
	whole := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	real := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'f', -1, 64)
	}
	for _, c := range rows {
		reason := ""
		if c.Reason != nil {
			reason = *c.Reason
		}
		err := w.Write([]string{text.Cell(c.SuspectID), c.Kind, reason, whole(c.Position), whole(c.Previous),
			real(c.ScoreDays), real(c.PreviousDays), text.Cell(whys[c.SuspectID])})
		if err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// errOther says that a night cannot be compared with what the address names.
var errOther = fault.New(fault.BadRequest, "against: name a published night as 2026-06-29-r1")
