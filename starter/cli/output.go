package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"harmstack/schemas"
)

// table prints rows in columns that line up; the first row is the header.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return w.Flush()
}

// printJSON is what --json prints: indented, one document.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// thousands groups digits: 36,000.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted is a number and what it counts: 1 value, 1,200 values.
func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// days shows harm days with one decimal.
func days(d float64) string {
	whole, tenth, _ := strings.Cut(strconv.FormatFloat(d, 'f', 1, 64), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return strconv.FormatFloat(d, 'g', -1, 64)
	}
	return thousands(n) + "." + tenth
}

// orDash shows a null as a dash.
func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// londonDay shows an instant as the London date on which it fell.
func londonDay(micros int64) string { return schemas.LondonDate(time.UnixMicro(micros)).String() }

// dispositionRows is the table of section 4: every disposition, and the sum.
func dispositionRows(d schemas.Dispositions) [][]string {
	rows := [][]string{{"DISPOSITION", "ROWS"}}
	for i, n := range d {
		rows = append(rows, []string{schemas.Disposition(i).String(), fmt.Sprintf("%12s", thousands(n))})
	}
	return append(rows, []string{"rows read", fmt.Sprintf("%12s", thousands(d.Sum()))})
}

// checkRows is the table of a night's checks.
func checkRows(outcomes []schemas.CheckOutcome) [][]string {
	rows := [][]string{{"CHECK", "", "FOUND", "LIMIT"}}
	for _, c := range outcomes {
		mark := c.Mark()
		if c.Failed {
			mark = strings.ToUpper(mark)
		}
		rows = append(rows, []string{c.Name, mark, c.Found, strconv.FormatFloat(c.Limit, 'g', -1, 64)})
	}
	return rows
}

// rankedRows is the table of the first suspects.
func rankedRows(stack []schemas.Ranked) [][]string {
	rows := [][]string{{"POSITION", "RANK", "TIED", "SUSPECT", "SCORE DAYS", "HARM DAYS", "ALLEGATIONS", "VICTIMS", "LAST REPORT", "BOROUGH"}}
	for _, r := range stack {
		tied := ""
		if r.TieSize > 1 {
			tied = strconv.FormatInt(r.TieSize, 10)
		}
		borough := "central desk"
		if r.OwnerBorough != nil {
			borough = *r.OwnerBorough
		}
		rows = append(rows, []string{
			strconv.FormatInt(r.Position, 10), strconv.FormatInt(r.Rank, 10), tied, r.SuspectID,
			fmt.Sprintf("%10s", days(r.ScoreDays)), fmt.Sprintf("%9s", days(r.SumDays)),
			strconv.FormatInt(r.Allegations, 10), strconv.FormatInt(r.Victims, 10),
			londonDay(r.LastReported), borough,
		})
	}
	return rows
}
