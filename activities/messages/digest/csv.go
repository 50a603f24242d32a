package digest

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"time"

	"harmstack/schemas/text"
)

var csvHeader = []string{
	"reference", "position", "rank", "tie_size", "suspect_id", "score_days", "sum_days", "max_days", "allegations",
	"reports", "victims", "first_reported", "last_reported", "owner_borough", "boroughs", "domestic_abuse",
	"non_recent", "also_victim", "suspect_status",
}

// stackCSV lists the team's rows, with the reference that the text uses beside the suspect id.
func stackCSV(in Input) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	rows := [][]string{csvHeader}
	for _, r := range in.Suspects {
		rows = append(rows, []string{
			in.Pseudonym(r.SuspectID), whole(r.Position), whole(r.Rank), whole(r.TieSize), text.Cell(r.SuspectID),
			decimal(r.ScoreDays), decimal(r.SumDays), decimal(r.MaxDays), whole(r.Allegations), whole(r.Reports), whole(r.Victims),
			instant(r.FirstReported), instant(r.LastReported), text.Cell(orEmpty(r.OwnerBorough)), text.Cells(r.Boroughs, "; "),
			whole(r.DomesticAbuse), whole(r.NonRecent), strconv.FormatBool(r.AlsoVictim), text.Cell(orEmpty(r.SuspectStatus)),
		})
	}
	_ = w.WriteAll(rows) // a buffer takes every write
	return b.Bytes()
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func whole(n int64) string       { return strconv.FormatInt(n, 10) }
func decimal(d float64) string   { return strconv.FormatFloat(d, 'f', -1, 64) }
func instant(micro int64) string { return time.UnixMicro(micro).UTC().Format(time.RFC3339Nano) }
