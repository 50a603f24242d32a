package extract_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/schemas"
)

// export is a force's own Parquet file: names in capitals, an age as a float, a column too many and several that are
// missing.
type export struct {
	AllegationID string   `parquet:"ALLEGATION_ID"`
	ReportID     string   `parquet:"REPORT_ID"`
	SuspectID    string   `parquet:"SUSPECT_ID"`
	SuspectAge   *float64 `parquet:"SUSPECT_AGE,optional"`
	OffenceCode  string   `parquet:"OFFENCE_CODE"`
	ReportedAt   int64    `parquet:"REPORTED_AT,timestamp(millisecond)"`
	UpdatedAt    int64    `parquet:"UPDATED_AT,timestamp(millisecond)"`
	VictimSex    string   `parquet:"VICTIM_SEX"`
	Source       string   `parquet:"SOURCE"`
	Outcome      string   `parquet:"OUTCOME"`
	Station      string   `parquet:"STATION"`
}

// counter is a sink that counts rows and ages.
type counter struct{ rows, ages int }

func (c *counter) Add(batch arrow.Record, _ int64) error {
	age := batch.Column(schemas.SuspectAge)
	c.rows, c.ages = c.rows+age.Len(), c.ages+age.Len()-age.NullN()
	return nil
}

func (c *counter) Close() error { return nil }

// A file is held to the contract when it is opened; each goroutine then has a sink of its own.
func ExampleFile_Scan() {
	age, half := 27.0, 27.5
	var made bytes.Buffer
	err := parquet.Write(&made, []export{
		{AllegationID: "A-1", ReportID: "R-1", SuspectID: "S-1", SuspectAge: &age, OffenceCode: "019/08", VictimSex: "F", Source: "victim", Outcome: "open"},
		{AllegationID: "A-2", ReportID: "R-2", SuspectID: "S-2", SuspectAge: &half, OffenceCode: "019/08", VictimSex: "F", Source: "witness", Outcome: "open"},
		{AllegationID: "A-3", ReportID: "R-2", SuspectID: "S-3", OffenceCode: "019/08", VictimSex: "F", Source: "witness", Outcome: "open"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := extract.Open(bytes.NewReader(made.Bytes()), int64(made.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Rows(), "rows, columns beside the contract's:", f.ExtraColumns())
	seen := &counter{}
	err = f.Scan(context.Background(), 1, 0, func() extract.Sink { return seen }, nil)
	fmt.Println(seen.rows, "rows read,", seen.ages, "age,", err)
	fmt.Println("could not be read:", f.Unreadable())
	// Output:
	// 3 rows, columns beside the contract's: 1
	// 3 rows read, 1 age, <nil>
	// could not be read: map[suspect_age:1]
}

// A file that does not follow the contract is refused by a line that names the column.
func ExampleOpen() {
	var made bytes.Buffer
	if err := parquet.Write(&made, []struct {
		AllegationID string `parquet:"allegation_id"`
		ReportID     string `parquet:"report_id"`
		SuspectID    string `parquet:"suspect_id"`
		OffenceCode  string `parquet:"offence_code"`
		ReportedAt   string `parquet:"reported_at"`
		UpdatedAt    int64  `parquet:"updated_at,timestamp"`
		VictimSex    string `parquet:"victim_sex"`
		Source       string `parquet:"source"`
		Outcome      string `parquet:"outcome"`
	}{{AllegationID: "A-1"}}); err != nil {
		fmt.Println(err)
		return
	}
	_, err := extract.Open(bytes.NewReader(made.Bytes()), int64(made.Len()))
	fmt.Println(err)
	// Output:
	// SchemaMismatch: the extract does not follow the contract: column reported_at: expected timestamp, found string
}
