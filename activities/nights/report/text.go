package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// words turns a name of the contract into words: no_crime is no crime.
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// percent writes a share; a small one keeps two figures, so that it does not vanish.
func percent(part, whole int64) string {
	if whole == 0 {
		return "–"
	}
	switch p := 100 * float64(part) / float64(whole); {
	case part == 0 || part == whole:
		return strconv.FormatFloat(p, 'f', 0, 64) + "%"
	case p < 0.01:
		return "< 0.01%"
	case p < 1:
		return strconv.FormatFloat(p, 'f', 2, 64) + "%"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
}

func longDate(d schemas.Date) string { return d.Start().Format("2 January 2006") }

func shortDate(micro int64) string {
	return time.UnixMicro(micro).In(schemas.London).Format("2 Jan 2006")
}

// short writes an axis label: 200, 5k, 2M.
func short(v float64) string {
	for _, unit := range []struct {
		from float64
		name string
	}{{1e9, "bn"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.from {
			return strconv.FormatFloat(v/unit.from, 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// positions lists where suspects stand, as far as a line holds.
func positions(list []int64) string {
	const most = 12
	var parts []string
	for i, p := range list {
		if i == most {
			return strings.Join(parts, ", ") + fmt.Sprintf(" and %d more", len(list)-most)
		}
		parts = append(parts, text.Number(p))
	}
	if n := len(parts); n > 1 {
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
	return strings.Join(parts, "")
}

// span names a bin of scores.
func span(from, to float64) string {
	if math.IsInf(to, 1) {
		return plain(from) + " or more"
	}
	return plain(from) + " to " + plain(to)
}

// plain writes the edge of a bin in full.
func plain(v float64) string {
	if v >= 1 {
		return text.Number(int64(v))
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
