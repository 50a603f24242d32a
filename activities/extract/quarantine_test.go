package extract

import (
	"bytes"
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/parquet-go/parquet-go"

	"harmstack/activities/store/leaktest"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/sweep"
)

// More rows than wait in memory come back whole, in the order of the extract, whatever the order in which
// they were found; and the same rows give the same bytes.
func TestQuarantineOfAWholeExtract(t *testing.T) {
	rows := sample(3*heldRows + 5)
	data := encode(t, rows)
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var files [][]byte
	for _, threads := range []int{1, 3} {
		q := Quarantine{Temp: spill.Folder(t.TempDir())}
		err = f.Scan(t.Context(), threads, 0, func() Sink {
			return sinkFunc(func(batch arrow.Record, first int64) error {
				for i := int(batch.NumRows()) - 1; i >= 0; i-- {
					if err := q.Add(batch, i, first+int64(i), "because"); err != nil {
						return err
					}
				}
				return nil
			})
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if size, found := leaktest.OpenFiles(t, string(q.Temp), "because"); size == 0 || len(found) > 0 {
			t.Errorf("%d bytes spilled, %q found", size, found)
		}
		var out bytes.Buffer
		if n, err := q.Write(&out); err != nil || n != int64(len(rows)) {
			t.Fatalf("%d rows, %v", n, err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		files = append(files, out.Bytes())
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("other bytes with other threads")
	}
	back, err := parquet.Read[schemas.Quarantine](bytes.NewReader(files[0]), int64(len(files[0])))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]string{}
	for i, r := range back {
		if r.Row != int64(i) || r.Reason != "because" {
			t.Fatalf("place %d: row %d, %q", i, r.Row, r.Reason)
		}
		r.Reason = ""
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got[r.Row] = string(text)
	}
	compare(t, got, expected(rows))
}

// However many rows are quarantined, and however long they are, few wait in memory.
func TestQuarantineHoldsLittle(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, c := range []struct {
		scenario string
		rows     int
		text     int // bytes of each row's report_id
	}{
		{"many rows", 1_500_000, 4},
		{"long rows", 3000, 64 << 10},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if !sweep.Whole() {
				c.rows /= 4
			}
			row := sample(1)[0]
			row.ReportID = ptr(strings.Repeat("r", c.text))
			data := encode(t, []schemas.Offence{row})
			f, err := Open(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			q := Quarantine{Temp: spill.Folder(t.TempDir())}
			defer q.Close()
			before := heap()
			err = f.Scan(t.Context(), 1, 0, func() Sink {
				return sinkFunc(func(batch arrow.Record, _ int64) error {
					for i := range c.rows {
						if err := q.Add(batch, 0, int64(c.rows-i), "because"); err != nil {
							return err
						}
					}
					return nil
				})
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if held := heap() - before; held > 24<<20 {
				t.Errorf("%d MiB are held", held>>20)
			}
			if n, err := q.Write(io.Discard); err != nil || n != int64(c.rows) {
				t.Errorf("%d rows were written of %d, %v", n, c.rows, err)
			}
		})
	}
}
