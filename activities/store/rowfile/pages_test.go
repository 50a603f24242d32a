package rowfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/apache/arrow/go/v16/arrow/memory"
	"github.com/apache/arrow/go/v16/parquet/file"
	"github.com/apache/arrow/go/v16/parquet/pqarrow"
)

// everyType has a field of each type that a column is made of.
type everyType struct {
	Delta   int64    `parquet:"delta,delta,uncompressed" json:"delta"`
	Whole   int64    `parquet:"whole" json:"whole"`
	Real    float64  `parquet:"real" json:"real"`
	Truth   bool     `parquet:"truth" json:"truth"`
	Unique  string   `parquet:"unique,uncompressed" json:"unique"`
	Text    string   `parquet:"text" json:"text"`
	NoWhole *int64   `parquet:"no_whole,optional" json:"no_whole"`
	NoReal  *float64 `parquet:"no_real,optional" json:"no_real"`
	NoTruth *bool    `parquet:"no_truth,optional" json:"no_truth"`
	NoSmall *int32   `parquet:"no_small,optional" json:"no_small"`
	NoText  *string  `parquet:"no_text,optional" json:"no_text"`
	List    []string `parquet:"list,list" json:"list"`
}

// rowsWith makes rows whose values are among so many different ones, and of which so many in a hundred are null.
func rowsWith(n, different, nulls int) []everyType {
	r := rand.New(rand.NewPCG(uint64(n), uint64(different*100+nulls)))
	rows := make([]everyType, n)
	some := func() int64 { return int64(r.IntN(different)) - int64(different/3) }
	for i := range rows {
		row := &rows[i]
		row.Delta, row.Whole, row.Real = int64(i)*some(), some(), float64(some())/4
		row.Truth, row.Unique, row.Text = some()%2 == 0, fmt.Sprint("row ", i), fmt.Sprint("text ", some())
		if r.IntN(100) >= nulls {
			row.NoWhole, row.NoReal, row.NoTruth = ptr(some()), ptr(float64(some())), ptr(some()%2 == 0)
		}
		if r.IntN(100) >= nulls {
			row.NoSmall, row.NoText = ptr(int32(some())), ptr(fmt.Sprint(some()))
		}
		row.List = []string{}
		for range r.IntN(3) * (100 - nulls) / 100 {
			row.List = append(row.List, fmt.Sprint("item ", some()))
		}
	}
	return rows
}

// Arrow's reader, which shares nothing with the writer, finds every value, whether a column came to be one run, packed,
// numbered or compressed.
func TestAnotherReaderFindsTheSame(t *testing.T) {
	for _, c := range []struct{ rows, different, nulls int }{
		{1, 1, 0}, {7, 1, 100}, {1000, 1, 0}, {1000, 2, 50}, {1001, 300, 3}, {RowGroupRows + 9, maxEntries, 10}, {RowGroupRows, maxEntries + 1, 10}, {9999, 1 << 20, 1},
	} {
		t.Run(fmt.Sprintf("%d rows of %d values", c.rows, c.different), func(t *testing.T) {
			rows := rowsWith(c.rows, c.different, c.nulls)
			var b bytes.Buffer
			if _, err := WriteAll(&b, func(yield func([]everyType) error) error { return yield(rows) }); err != nil {
				t.Fatal(err)
			}
			p, err := file.NewParquetReader(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if p.NumRows() != int64(len(rows)) {
				t.Fatalf("the footer promises %d rows of %d", p.NumRows(), len(rows))
			}
			reader, err := pqarrow.NewFileReader(p, pqarrow.ArrowReadProperties{BatchSize: 1 << 20}, memory.NewGoAllocator())
			if err != nil {
				t.Fatal(err)
			}
			table, err := reader.ReadTable(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer table.Release()
			got := make([]everyType, len(rows))
			for i := range int(table.NumCols()) {
				row := 0
				for _, chunk := range table.Column(i).Data().Chunks() {
					for j := range chunk.Len() {
						cell, err := json.Marshal(map[string]any{table.Column(i).Name(): chunk.GetOneForMarshal(j)})
						if err != nil {
							t.Fatal(err)
						}
						if err := json.Unmarshal(cell, &got[row]); err != nil {
							t.Fatal(err)
						}
						row++
					}
				}
			}
			for i := range rows {
				if !reflect.DeepEqual(got[i], rows[i]) {
					t.Fatalf("row %d: Arrow reads %+v, written was %+v", i, got[i], rows[i])
				}
			}
			again, err := ReadAll[everyType](bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil || !reflect.DeepEqual(again, rows) {
				t.Errorf("parquet-go reads something else, or %v", err)
			}
		})
	}
}

// The bounds in the footer are those of the values: other systems skip row groups by them.
func TestBoundsInTheFooter(t *testing.T) {
	rows := sample(RowGroupRows + 5)
	p, err := file.NewParquetReader(bytes.NewReader(write(t, rows, 8192)))
	if err != nil {
		t.Fatal(err)
	}
	const n = RowGroupRows + 5
	for _, c := range []struct {
		group, column int
		low, high     int64
	}{{0, 0, 1, RowGroupRows}, {1, 0, RowGroupRows + 1, n}, {0, 4, 6, n}, {1, 4, 1, 5}} { // positions rise, scores fall
		column, err := p.MetaData().RowGroup(c.group).ColumnChunk(c.column)
		if err != nil {
			t.Fatal(err)
		}
		s, err := column.Statistics()
		if err != nil {
			t.Fatal(err)
		}
		if low, high := int64(leUint64(s.EncodeMin())), int64(leUint64(s.EncodeMax())); low != c.low || high != c.high {
			t.Errorf("group %d, column %d: from %d to %d, want %d to %d", c.group, c.column, low, high, c.low, c.high)
		}
	}
}

func leUint64(b []byte) (n uint64) {
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	return n
}
