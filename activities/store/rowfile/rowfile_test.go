package rowfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"harmstack/schemas"
)

func ptr[T any](v T) *T { return &v }

func sample(n int) []schemas.Ranked {
	rows := make([]schemas.Ranked, n)
	for i := range rows {
		rows[i] = schemas.Ranked{Position: int64(i + 1), Rank: int64(i + 1), TieSize: 1, SuspectID: fmt.Sprintf("S%d", i), Score: int64(n - i),
			ScoreDays: 0.5, Boroughs: []string{}, FirstReported: -1, LastReported: 1_767_225_600_000_001}
		if i%2 == 0 {
			rows[i].OwnerBorough, rows[i].OwnerBCU, rows[i].SuspectStatus = ptr("Camden"), ptr("Central North"), ptr("on_bail")
			rows[i].Boroughs = []string{"Barnet", "Camden"}
			rows[i].AlsoVictim = true
		}
	}
	return rows
}

// write writes rows in pieces of the given size.
func write(t *testing.T, rows []schemas.Ranked, piece int) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := WriteAll(&b, func(yield func([]schemas.Ranked) error) error {
		for from := 0; from < len(rows); from += piece {
			if err := yield(rows[from:min(from+piece, len(rows))]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || n != int64(len(rows)) {
		t.Fatalf("%d rows, %v", n, err)
	}
	return b.Bytes()
}

// A stack of a few rows is read for each of 33 teams: the reader makes nothing for rows that are not there.
func TestFewRowsCostLittle(t *testing.T) {
	data := write(t, sample(3), 3)
	made := testing.AllocsPerRun(10, func() {
		if rows, err := ReadAll[schemas.Ranked](bytes.NewReader(data), int64(len(data))); err != nil || len(rows) != 3 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	})
	if made > 1000 { // it is some 340; 172,000 when the library is asked for 4,096 rows
		t.Errorf("%.0f allocations for three rows", made)
	}
}

// What is written is read again, and equal rows give equal bytes however they come.
func TestWriteAndRead(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, RowGroupRows, RowGroupRows + 5} {
		rows := sample(n)
		data := write(t, rows, 8192)
		if !bytes.Equal(data, write(t, rows, 1000)) {
			t.Errorf("%d rows: other pieces gave other bytes", n)
		}
		got, err := ReadAll[schemas.Ranked](bytes.NewReader(data), int64(len(data)))
		if err != nil || len(got) != n || n > 0 && !reflect.DeepEqual(got, rows) {
			t.Errorf("%d rows were read of %d, %v", len(got), n, err)
		}
	}
}

func TestReadOfADamagedFile(t *testing.T) {
	good := write(t, sample(1000), 1000)
	for cut := range 20 {
		data := good[:len(good)*cut/20]
		if _, err := ReadAll[schemas.Ranked](bytes.NewReader(data), int64(len(data))); err == nil {
			t.Errorf("cut at %d/20: no error", cut)
		}
	}
}

func TestYieldErrorEndsTheFile(t *testing.T) {
	full := errors.New("the disk is full")
	if _, err := WriteAll(&bytes.Buffer{}, func(func([]schemas.Ranked) error) error { return full }); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

// A sheet is passed around: who is restricted is not on it.
func TestRestrictedAreInNoSheet(t *testing.T) {
	rows := sample(3)
	rows[1].Restricted = true
	var b bytes.Buffer
	n, err := WriteCSV(&b, rows)
	if text := b.String(); err != nil || n != 2 || !strings.Contains(text, "S0,") || strings.Contains(text, "S1,") || !strings.Contains(text, "S2,") {
		t.Errorf("%d rows, %v\n%s", n, err, text)
	}
}

func TestWriteCSV(t *testing.T) {
	rows := sample(2)
	rows[1].SuspectID = "=HYPERLINK(1)"
	var b bytes.Buffer
	if n, err := WriteCSV(&b, rows); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if got := strings.Join(lines[1], "|"); got != "1|1|1|S0|2|0.5|0|0|0|0|0|0|1969-12-31T23:59:59.999999Z|2026-01-01T00:00:00.000001Z|Camden|Central North|Barnet;Camden|0|0|true|on_bail||false|false|0" {
		t.Errorf("line %s", got)
	}
	if lines[2][3] != "'=HYPERLINK(1)" {
		t.Errorf("a spreadsheet would take %q for a formula", lines[2][3])
	}
}
