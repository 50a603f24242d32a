// Package report writes report.html: the one page on which an officer sees a night's stack before
// approving it. The page needs no script, no network and no other file.
//
// It shows the ids of the suspects on the stack, as stack.csv beside it does, but for those of restricted handling, and
// of victims only how many. It holds no time of writing, path or revision, so that an equal night is an equal page. The
// package must not know Temporal, the artefact store or how a suspect is scored: it prints what it is
// handed.
package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Page is everything that the page depends on.
type Page struct {
	// Manifest is the night's, as it will be published; its outputs are not shown.
	Manifest schemas.Manifest
	Model    schemas.Model
	// Stack is by position. Changes are the night's, in the order of changes.parquet.
	Stack         []schemas.Ranked
	Changes       []schemas.Change
	Contributions []schemas.Contribution
	Distribution  Distribution
	// RestrictedDesk: somebody is told of the suspects of restricted handling. They are counted here and not shown.
	RestrictedDesk bool
	// Standings are who is among the first of which of so many other models; a night of version 1 has none.
	Standings []schemas.Standing
	Models    int
}

var (
	//go:embed report.html
	source string
	//go:embed report.css
	style string

	page = template.Must(template.New("report").Funcs(template.FuncMap{
		"n": text.Number[int64], "count": text.Count[int64], "days": text.Days, "countDays": text.CountDays, "tenth": text.DaysTenth, "span": span,
	}).Parse(source))
)

// Write writes the page: a pure function of its input.
func Write(w io.Writer, p Page) error {
	sum := sha256.Sum256([]byte(style))
	v := newView(p)
	v.Style = template.CSS(style)
	v.StyleHash = base64.StdEncoding.EncodeToString(sum[:])
	return page.Execute(w, v)
}

// Look is what to look at before deciding, as the page says it at its top. A Page without a Distribution but the age of
// its newest report will do.
func Look(p Page) []string {
	v := &view{Page: p, CutScore: float64(p.Manifest.Cut.Score) / schemas.ScorePerDay}
	v.addLook()
	return v.Look
}

// Meaning says in plain words what became of the rows of a disposition.
func Meaning(d schemas.Disposition) string { return rules[d] }

// WhyLeft says in plain words why somebody left the stack.
func WhyLeft(reason string) string { return whys[reason] }
