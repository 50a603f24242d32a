package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/memory"
	arrowparquet "github.com/apache/arrow/go/v16/parquet"
	"github.com/apache/arrow/go/v16/parquet/compress"
	"github.com/apache/arrow/go/v16/parquet/pqarrow"
	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract/postgres/pgtest"
	"harmstack/schemas"
	"harmstack/schemas/sweep"
	"harmstack/starter/synthetic"
)

// The same offences, two hundred thousand in the whole sweep, from every kind of source: one identical ranking.
func TestEverySourceGivesTheSameRanking(t *testing.T) {
	dir, suspects := t.TempDir(), 10_000
	if sweep.Whole() {
		suspects = 67_900
	}
	made := filepath.Join(dir, "made.parquet")
	f, err := os.Create(made)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := synthetic.Write(context.Background(), f, synthetic.Options{AsOf: schemas.MustDate("2026-06-30"), Suspects: suspects, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	rows, err := parquet.ReadFile[schemas.Offence](made)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 29*suspects/10 {
		t.Fatalf("%d rows", len(rows))
	}
	plain := filepath.Join(dir, "plain.csv")
	writeCSV(t, plain, rows)
	text, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := io.Copy(w, bytes.NewReader(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	reversed := filepath.Join(dir, "small-groups.parquet")
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	if err := parquet.WriteFile(reversed, rows, parquet.MaxRowsPerRowGroup(777), parquet.Compression(&parquet.Zstd)); err != nil {
		t.Fatal(err)
	}
	byArrow := filepath.Join(dir, "arrow.parquet")
	writeArrow(t, byArrow, rows)
	server := pgtest.Start(t)
	load(t, server, text)
	for name, content := range map[string]string{
		"plain.csv.gz": zipped.String(),
		"declared.yaml": "csv: renamed.csv\ndelimiter: ';'\ncolumns:\n  allegation_id: crime_ref\n  reported_at: {from: date_reported, zone: Europe/London, layouts: ['02/01/2006 15:04:05.000000 -0700']}\n" +
			"  outcome: {from: disposal, values: {NFA: no_further_action}}\n",
		"database.yaml": fmt.Sprintf("postgres:\n  url: %q\n  query: SELECT * FROM offences ORDER BY md5(allegation_id)\n", server.URL),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rename(t, plain, filepath.Join(dir, "renamed.csv"))
	var want []byte
	var counts schemas.Dispositions
	for _, name := range []string{"made.parquet", "small-groups.parquet", "arrow.parquet", "plain.csv", "plain.csv.gz", "declared.yaml", "database.yaml"} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			if _, err := run(t, "score", "--extract", filepath.Join(dir, name), "--as-of", "2026-06-30", "--out", out); err != nil {
				t.Fatal(err)
			}
			var m schemas.Manifest
			if err := json.Unmarshal(read(t, out, schemas.ManifestFile), &m); err != nil {
				t.Fatal(err)
			}
			if ranking := read(t, out, schemas.RankingFile); want == nil {
				want, counts = ranking, m.Dispositions
			} else if !bytes.Equal(ranking, want) || m.Dispositions != counts {
				t.Errorf("another ranking: %v", m.Dispositions)
			}
			if len(m.Facts.Unreadable) > 0 || len(m.Inputs[0].SHA256) != 64 || m.Inputs[0].Bytes == 0 || m.Inputs[0].Rows != m.RowsRead {
				t.Errorf("%+v, %+v", m.Facts, m.Inputs)
			}
		})
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "harmstack-*.parquet")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func writeCSV(t *testing.T, path string, rows []schemas.Offence) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := csv.NewWriter(f)
	var record []string
	for _, c := range schemas.Offences {
		record = append(record, c.Name)
	}
	w.Write(record)
	for i := range rows {
		v := reflect.ValueOf(rows[i])
		for c := range record {
			record[c] = ""
			switch p := v.Field(c).Interface().(type) {
			case *string:
				if p != nil {
					record[c] = *p
				}
			case *int32:
				if p != nil {
					record[c] = strconv.Itoa(int(*p))
				}
			case *bool:
				if p != nil {
					record[c] = strconv.FormatBool(*p)
				}
			case *int64:
				if p != nil {
					record[c] = time.UnixMicro(*p).UTC().Format("2006-01-02T15:04:05.999999Z")
				}
			}
		}
		w.Write(record)
	}
	w.Flush()
	if w.Error() != nil {
		t.Fatal(w.Error())
	}
}

// rename writes a force's own CSV: other names, other codes, London time with its offset (an hour a year comes twice),
// semicolons.
func rename(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r, w := csv.NewReader(in), csv.NewWriter(out)
	w.Comma = ';'
	header, err := r.Read()
	for err == nil {
		if header[0] == "allegation_id" {
			header[0], header[schemas.ReportedAt], header[schemas.Outcome] = "crime_ref", "date_reported", "disposal"
		} else {
			if at, err := time.Parse(time.RFC3339, header[schemas.ReportedAt]); err == nil {
				header[schemas.ReportedAt] = at.In(schemas.London).Format("02/01/2006 15:04:05.000000 -0700")
			}
			header[schemas.Outcome] = strings.Replace(header[schemas.Outcome], "no_further_action", "NFA", 1)
		}
		w.Write(header)
		header, err = r.Read()
	}
	w.Flush()
	if err != io.EOF || w.Error() != nil {
		t.Fatal(err, w.Error())
	}
}

// writeArrow writes by Arrow's own writer: dictionaries, milliseconds where they suffice, gzip, small pages.
func writeArrow(t *testing.T, path string, rows []schemas.Offence) {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemas.OffenceArrow)
	defer b.Release()
	for i := range rows {
		v := reflect.ValueOf(rows[i])
		for c := range schemas.OffenceColumns {
			f := v.Field(c)
			if f.IsNil() {
				b.Field(c).AppendNull()
				continue
			}
			switch to := b.Field(c).(type) {
			case *array.StringBuilder:
				to.Append(f.Elem().String())
			case *array.Int32Builder:
				to.Append(int32(f.Elem().Int()))
			case *array.BooleanBuilder:
				to.Append(f.Elem().Bool())
			case *array.TimestampBuilder:
				to.Append(arrow.Timestamp(f.Elem().Int()))
			}
		}
	}
	record := b.NewRecord()
	defer record.Release()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schemas.OffenceArrow, f, arrowparquet.NewWriterProperties(arrowparquet.WithCompression(compress.Codecs.Gzip), arrowparquet.WithDataPageSize(8<<10),
		arrowparquet.WithMaxRowGroupLength(50_000)), pqarrow.DefaultWriterProps())
	if err == nil {
		err = w.Write(record)
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
}

// load puts the rows into a database whose columns have its own types.
func load(t *testing.T, server *pgtest.Server, text []byte) {
	t.Helper()
	types := map[schemas.ColumnType]string{schemas.String: "text", schemas.Int32: "int", schemas.Bool: "boolean", schemas.Timestamp: "timestamptz"}
	var columns []string
	for _, c := range schemas.Offences {
		columns = append(columns, c.Name+" "+types[c.Type])
	}
	server.Exec("CREATE TABLE offences (" + strings.Join(columns, ", ") + ")")
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.PgConn().CopyFrom(t.Context(), bytes.NewReader(text), "COPY offences FROM STDIN (FORMAT csv, HEADER, NULL '')"); err != nil {
		t.Fatal(err)
	}
}
