package csvmap

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// isoZones are the ways of ISO 8601 to end with a zone, by their length.
var isoZones = map[int]string{0: "", 1: "Z07:00", 3: "Z07", 5: "Z0700", 6: "Z07:00"}

// isoLayout is the way of writing ISO 8601, of those that databases and programs use, that a text has the shape of: a
// date, perhaps a time of day after T or a space, perhaps a zone. Seconds take a fraction too.
func isoLayout(text string) string {
	const date = "2006-01-02"
	if len(text) <= len(date) || text[len(date)] != 'T' && text[len(date)] != ' ' {
		return date
	}
	layout, clock := date+text[len(date):len(date)+1], text[len(date)+1:]
	zone := ""
	if i := strings.IndexAny(clock, "Z+- "); i >= 0 {
		clock, zone = clock[:i], clock[i:]
	}
	if layout += "15:04"; len(clock) > len("15:04") {
		layout += ":05"
	}
	if strings.HasPrefix(zone, " ") {
		layout, zone = layout+" ", zone[1:]
	}
	return layout + isoZones[len(zone)]
}

// timestamp reads microseconds since 1970, floored, by the first layout that fits: what a value is read as depends on
// nothing but the value and the mapping. Without layouts it is ISO 8601, without a zone in the column's.
func (o *origin) timestamp(text string) (micros int64, ok bool) {
	if len(o.Layouts) == 0 {
		t, err := time.ParseInLocation(isoLayout(text), text, o.zone)
		return t.UnixMicro(), err == nil
	}
	for _, layout := range o.Layouts {
		if t, ok := instant(layout, text, o.zone); ok {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}

// nowhere is a zone in which no abbreviation is known, so that what is read in it keeps the one it came with.
var nowhere = time.FixedZone("", 0)

// instant reads one time. Package time takes an abbreviation that it does not know for UTC: those are read here.
func instant(layout, text string, zone *time.Location) (time.Time, bool) {
	if !abbreviated(layout) {
		t, err := time.ParseInLocation(layout, text, zone)
		return t, err == nil
	}
	t, err := time.ParseInLocation(layout, text, nowhere)
	if err != nil {
		return t, false
	}
	seconds, ok := offset(t.Location().String(), t, zone)
	y, month, d := t.Date()
	h, m, s := t.Clock()
	return time.Date(y, month, d, h, m, s-seconds, t.Nanosecond(), time.UTC), ok
}

// figures tells whether a layout has an offset in figures, which says all by itself.
func figures(layout string) bool {
	return strings.Contains(layout, "-07") || strings.Contains(layout, "Z07")
}

// abbreviated tells whether a zone's abbreviation is all that a layout has of it.
func abbreviated(layout string) bool { return strings.Contains(layout, "MST") && !figures(layout) }

// offset is how many seconds east of UTC an abbreviation is, of UTC itself and of those that the zone's clocks bear in
// the year of a time. One that others share, as IST, is the zone's; GMT+3 is none, for some mean by it what others
// write GMT-3.
func offset(abbreviation string, at time.Time, zone *time.Location) (seconds int, ok bool) {
	if abbreviation == "UTC" || abbreviation == "GMT" {
		return 0, true
	}
	y, m, d := at.Date()
	for _, local := range []time.Time{time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, zone),
		time.Date(y, time.January, 1, 0, 0, 0, 0, zone), time.Date(y, time.July, 1, 0, 0, 0, 0, zone)} {
		if name, seconds := local.Zone(); name == abbreviation {
			return seconds, true
		}
	}
	return 0, false
}

// zoneName is what looks like a zone in the text between a layout's elements, which package time compares and does not
// heed.
var (
	elements = strings.NewReplacer("January", "", "Jan", "", "Monday", "", "Mon", "", "PM", "", "pm", "")
	zoneName = regexp.MustCompile(`[A-Z]{2,4}T|UTC|Z`)
)

// doubtful says in words why a layout cannot be meant in a zone: it would read times as others, without a word. old
// tells that times of many years ago are read.
func doubtful(layout string, zone *time.Location, old bool) string {
	if !abbreviated(layout) && !figures(layout) {
		if name := zoneName.FindString(elements.Replace(layout)); name != "" &&
			!(zone == time.UTC && (name == "UTC" || name == "GMT" || name == "Z")) {
			return "has a zone that is not heeded: write MST for an abbreviation, Z07:00 for an offset or Z"
		}
	}
	years := []int{2026}
	if old {
		years = append(years, 1951)
	}
	for _, year := range years {
		for _, month := range []time.Month{time.January, time.July} {
			at := time.Date(year, month, 23, 16, 47, 58, 0, zone)
			back, ok := instant(layout, at.Format(layout), zone)
			same := back.Equal(at) || back.Equal(at.Add(-58*time.Second)) ||
				back.Equal(time.Date(year, month, 23, 16, 0, 0, 0, zone)) ||
				back.Equal(time.Date(year, month, 23, 0, 0, 0, 0, zone))
			if !ok || !same {
				return fmt.Sprintf(
					"does not keep a time: 16:47 on %s would be read as another. Write 2006 for the year, 01 or Jan for the month, "+
						"02 for the day, 15 for the hour, or 03 with PM",
					at.Format("2 January 2006"),
				)
			}
		}
	}
	return ""
}

// Doubt says in words what of a mapping may read less than is meant; empty: nothing.
func (m *Mapping) Doubt() string {
	for _, name := range slices.Sorted(maps.Keys(m.Columns)) {
		for _, layout := range m.Columns[name].Layouts {
			if m.Columns[name].Zone == "" && abbreviated(layout) {
				return fmt.Sprintf(
					"columns.%s.layouts: no zone is declared, so that of the abbreviations only UTC and GMT are read",
					name,
				)
			}
		}
	}
	return ""
}
