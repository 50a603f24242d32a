package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// terms are what differs between two lists of allegations, what moves the score most first.
func terms(before, after []schemas.Contribution, was, is *schemas.Ranked, asOf schemas.Date, window int) []Term {
	list := []Term{}
	old := map[string]schemas.Contribution{}
	for _, row := range before {
		old[row.AllegationID] = row
	}
	// scoreDays is what an allegation of so many harm days and that recency adds.
	scoreDays := func(harm float64, recency int64) float64 { return harm * float64(recency) / schemas.PPM }
	for _, now := range after {
		had, ok := old[now.AllegationID]
		delete(old, now.AllegationID)
		if !ok {
			list = append(
				list,
				Term{now.AllegationID, "new", 0, now.HarmDays, scoreDays(now.HarmDays, now.RecencyPPM)},
			)
			continue
		}
		if had.HarmDays != now.HarmDays {
			list = append(
				list,
				Term{
					now.AllegationID,
					"weight",
					had.HarmDays,
					now.HarmDays,
					scoreDays(now.HarmDays-had.HarmDays, had.RecencyPPM),
				},
			)
		}
		older := scoreDays(now.HarmDays, now.RecencyPPM-had.RecencyPPM)
		if had.Age != now.Age {
			list = append(list, Term{now.AllegationID, "age", float64(had.Age), float64(now.Age), older})
		} else if had.RecencyPPM != now.RecencyPPM {
			was, is := float64(had.RecencyPPM)/schemas.PPM, float64(now.RecencyPPM)/schemas.PPM
			list = append(list, Term{now.AllegationID, "model", was, is, older})
		}
	}
	for id, had := range old {
		gone := Term{id, "gone", had.HarmDays, 0, -scoreDays(had.HarmDays, had.RecencyPPM)}
		if window > 0 && asOf.DaysSince(schemas.LondonDate(time.UnixMicro(had.ReportedAt))) >= window {
			gone.What = "aged_out"
		}
		list = append(list, gone)
	}
	slices.SortFunc(list, func(a, b Term) int {
		return cmp.Or(
			-cmp.Compare(max(a.Days, -a.Days), max(b.Days, -b.Days)),
			cmp.Compare(a.Allegation, b.Allegation),
			cmp.Compare(a.What, b.What),
		)
	})
	if was != nil && is != nil {
		if f, g := factor(before, *was), factor(after, *is); f != g {
			list = append(list, Term{What: "frequency", Before: f, After: g})
		}
	}
	return list
}

// factor is the frequency factor of a score, in thousandths at the finest, as models declare it.
func factor(own []schemas.Contribution, r schemas.Ranked) float64 {
	f := float64(r.Score) / float64(sumBase(own))
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', 3, 64), 64)
	if err != nil {
		return f
	}
	return rounded
}

func sumBase(own []schemas.Contribution) (sum int64) {
	for _, c := range own {
		sum += c.Base
	}
	return max(sum, 1)
}

// Words say why: the greatest differences, or who else moved. Without ids no allegation is named.
func (c Change) Words(ids bool) string {
	var parts []string
	ages, older := 0, 0.0
	name := func(allegation string) string {
		if ids {
			return allegation
		}
		return "an allegation"
	}
	for _, t := range c.Terms {
		switch t.What {
		case "age":
			ages, older = ages+1, t.After-t.Before
		case "new":
			parts = append(parts, fmt.Sprintf("new: %s, %s", name(t.Allegation), text.CountDays(t.After, "day")))
		case "gone":
			parts = append(
				parts,
				fmt.Sprintf("no longer counted: %s, %s", name(t.Allegation), text.CountDays(t.Before, "day")),
			)
		case "aged_out":
			parts = append(parts, fmt.Sprintf("left the window: %s, %s", name(t.Allegation), text.CountDays(t.Before, "day")))
		case "weight":
			parts = append(
				parts,
				fmt.Sprintf(
					"weight of %s: %s -> %s",
					name(t.Allegation),
					text.Days(t.Before),
					text.CountDays(t.After, "day"),
				),
			)
		case "model":
			parts = append(parts, fmt.Sprintf("recency of %s: %.3f -> %.3f", name(t.Allegation), t.Before, t.After))
		}
	}
	if more := len(parts) - 3; more > 0 {
		parts = append(parts[:3], fmt.Sprintf("%d more", more))
	}
	if ages > 0 {
		parts = append(
			parts,
			fmt.Sprintf(
				"%s %+.0f %s of age",
				text.Count(ages, "allegation"),
				older,
				text.Noun(int(max(older, -older)), "day"),
			),
		)
	}
	for _, t := range c.Terms {
		if t.What == "frequency" {
			parts = append(parts, fmt.Sprintf("frequency factor %s -> %s", number(t.Before), number(t.After)))
		}
	}
	if !c.Explained {
		parts = append(parts, c.aggregate()...)
	}
	score := func(r *schemas.Ranked) string {
		if r == nil {
			return "none"
		}
		return fmt.Sprintf("%s at %d", text.DaysTenth(r.ScoreDays), r.Position)
	}
	moved := fmt.Sprintf("score days %s -> %s", score(c.Before), score(c.After))
	if len(parts) == 0 {
		switch c.Kind {
		case schemas.ChangeEntered:
			parts = append(parts, "nothing of the suspect's own: others fell")
		case schemas.ChangeLeft:
			parts = append(parts, "nothing of the suspect's own: outranked")
		case schemas.ChangeMoved:
			parts = append(parts, "nothing of the suspect's own: others moved")
		}
	}
	return strings.Join(append(parts, moved), "; ")
}

// aggregate is what two rankings alone tell.
func (c Change) aggregate() (parts []string) {
	if c.Before == nil || c.After == nil {
		return nil
	}
	if a, b := c.Before.Allegations, c.After.Allegations; a != b {
		parts = append(parts, fmt.Sprintf("allegations %d -> %d", a, b))
	}
	if a, b := c.Before.SumDays, c.After.SumDays; a != b {
		parts = append(parts, fmt.Sprintf("harm days %s -> %s", text.DaysTenth(a), text.DaysTenth(b)))
	}
	if parts == nil && c.Before.Score != c.After.Score {
		parts = append(parts, "the same harm, of another age or by another model")
	}
	return parts
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
