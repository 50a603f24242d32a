package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// table prints rows in columns that line up; the first row is the header. Values are made safe for a terminal.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.TrimRight(strings.Join(text.Lines(row), "\t"), "\t"))
	}
	return w.Flush()
}

// say prints a line, or several, as fmt.Fprintf does. Whatever comes from elsewhere is an argument, and made safe for a
// terminal.
func say(out io.Writer, format string, args ...any) {
	for i, a := range args {
		switch v := a.(type) {
		case string:
			args[i] = text.Line(v)
		case error:
			args[i] = text.Line(v.Error())
		case fmt.Stringer:
			args[i] = text.Line(v.String())
		}
	}
	fmt.Fprintf(out, format, args...)
}

// spreadsheet prints rows for a spreadsheet; the first row is the header.
func spreadsheet(out io.Writer, rows [][]string) error {
	w := csv.NewWriter(out)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = text.Cell(strings.TrimLeft(v, " ")) // figures are padded for the table
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// printJSON is what --json prints: indented, one document.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
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
		rows = append(rows, []string{schemas.Disposition(i).String(), fmt.Sprintf("%12s", text.Number(n))})
	}
	return append(rows, []string{"rows read", fmt.Sprintf("%12s", text.Number(d.Sum()))})
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
	rows := [][]string{
		{
			"POSITION",
			"RANK",
			"TIED",
			"SUSPECT",
			"SCORE DAYS",
			"HARM DAYS",
			"ALLEGATIONS",
			"VICTIMS",
			"LAST REPORT",
			"BOROUGH",
		},
	}
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
			fmt.Sprintf("%10s", text.DaysTenth(r.ScoreDays)), fmt.Sprintf("%9s", text.DaysTenth(r.SumDays)),
			strconv.FormatInt(r.Allegations, 10), strconv.FormatInt(r.Victims, 10),
			londonDay(r.LastReported), borough,
		})
	}
	return rows
}
