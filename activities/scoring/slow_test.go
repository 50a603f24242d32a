package scoring

import (
	"encoding/csv"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// reading is what the contract makes of an extract.
type reading struct {
	ranking []schemas.Ranked
	counts  schemas.Dispositions
	facts   schemas.Facts // but for the reasons of quarantine
	// scored holds what contributions.parquet says of each scored row, by allegation.
	scored map[string]schemas.Contribution
}

// slowRow is a row as sections 3 and 4 read it.
type slowRow struct {
	schemas.Offence
	age                   int
	day                   time.Time // of the report, in London
	weight                reference.Weight
	contradicts, outdated bool
}

// slow is the contract read once more, as plainly as can be: maps, big numbers and calendar dates. It shares nothing
// with the engine but the look-up of weights, the declaration of the model and the row types.
func slow(o Options, rows []schemas.Offence) reading {
	r := reading{scored: map[string]schemas.Contribution{}}
	byID, quarantined := map[string][]slowRow{}, map[string]int64{} // of quarantined rows, when the latest was updated
	for _, given := range rows {
		row, ok := slowRead(o, given, &r.facts)
		if ok {
			byID[*row.AllegationID] = append(byID[*row.AllegationID], row)
			continue
		}
		r.counts[schemas.Quarantined]++
		id, updated := given.AllegationID, given.UpdatedAt
		if id == nil || !utf8.ValidString(*id) || slowTrim(*id) == "" || updated == nil || !slowTime(*updated) {
			continue
		}
		if before, known := quarantined[slowTrim(*id)]; !known || *updated > before {
			quarantined[slowTrim(*id)] = *updated
		}
	}
	kept, candidates, victims := map[string][]slowRow{}, map[string][]slowRow{}, map[string]bool{}
	for id, versions := range byID {
		stays := slices.MaxFunc(versions, func(a, b slowRow) int {
			return slices.Compare(slowVersion(a.Offence), slowVersion(b.Offence))
		})
		for _, v := range versions {
			switch {
			case *v.UpdatedAt < *stays.UpdatedAt:
				r.counts[schemas.Superseded]++
			default:
				r.counts[schemas.Duplicate]++
				if !slices.Equal(slowVersion(v.Offence), slowVersion(stays.Offence)) {
					r.facts.Conflicting++
				}
			}
		}
		r.counts[schemas.Duplicate]-- // the one that stays
		if newer, known := quarantined[id]; known && newer > *stays.UpdatedAt {
			stays.outdated = true
			r.facts.OlderStands++
		}
		disposition := slowRow11(o, stays)
		if disposition != schemas.Scored {
			slowLeft(o, &r, stays, disposition)
			r.counts[disposition]++
		}
		if disposition >= schemas.NoNamedSuspect && stays.VictimID != nil {
			victims[*stays.VictimID] = true
		}
		if stays.SuspectID != nil && !slowNobody(*stays.SuspectID) {
			kept[*stays.SuspectID] = append(kept[*stays.SuspectID], stays)
			if disposition == schemas.Scored {
				candidates[*stays.SuspectID] = append(candidates[*stays.SuspectID], stays)
			}
		}
	}
	for id, list := range candidates {
		// A child's, by the row's own age or else by what some kept row allows: born on the day of that report, so many
		// years before.
		adult := slices.DeleteFunc(list, func(row slowRow) bool {
			if row.SuspectAge != nil {
				return *row.SuspectAge < 18
			}
			return slices.ContainsFunc(kept[id], func(k slowRow) bool {
				return k.SuspectAge != nil && row.day.Before(k.day.AddDate(18-int(*k.SuspectAge), 0, 0))
			})
		})
		r.counts[schemas.SuspectUnder18] += int64(len(candidates[id]) - len(adult))
		switch {
		case len(adult) == 0:
		case slices.ContainsFunc(kept[id], func(k slowRow) bool { return is(k.SuspectStatus, "deceased") }):
			r.counts[schemas.SuspectDeceased] += int64(len(adult))
		default:
			r.counts[schemas.Scored] += int64(len(adult))
			r.ranking = append(r.ranking, slowSuspect(o, id, adult, kept[id], victims[id], &r))
		}
	}
	slowRank(r.ranking)
	return r
}

func is(s *string, value string) bool { return s != nil && *s == value }

func slowTrim(s string) string { return strings.Trim(s, " \t\r\n\u00a0") }

func slowTime(micros int64) bool {
	year := time.UnixMicro(micros).UTC().Year()
	return year >= 1900 && year <= 2200
}

// slowRead is section 3, and rule 1 of section 4: ok is false when a value marked "no" is missing or cannot be held.
func slowRead(o Options, given schemas.Offence, facts *schemas.Facts) (row slowRow, ok bool) {
	ok = true
	count := func(counts *map[string]int64, column string) {
		if *counts == nil {
			*counts = map[string]int64{}
		}
		(*counts)[column]++
	}
	var nulled []string
	text := func(column string, s *string, allowed ...string) *string {
		if s == nil || slowTrim(*s) == "" {
			return nil
		}
		v := slowTrim(*s)
		if !utf8.ValidString(v) || len(allowed) > 0 && !slices.Contains(allowed, v) {
			nulled = append(nulled, column)
			return nil
		}
		return &v
	}
	needed := func(s *string, allowed ...string) *string {
		v := text("", s, allowed...)
		nulled = slices.DeleteFunc(nulled, func(column string) bool { return column == "" })
		ok = ok && v != nil
		return v
	}
	years := func(column string, age *int32) *int32 {
		if age != nil && (*age < 0 || *age > 130) {
			nulled = append(nulled, column)
			return nil
		}
		return age
	}
	row.Offence = schemas.Offence{
		AllegationID:  needed(given.AllegationID),
		ReportID:      needed(given.ReportID),
		SuspectID:     text("suspect_id", given.SuspectID),
		SuspectAge:    years("suspect_age", given.SuspectAge),
		SuspectStatus: text("suspect_status", given.SuspectStatus, "at_large", "on_bail", "in_custody", "deceased", "unknown"),
		OffenceCode:   needed(given.OffenceCode),
		OffenceClass:  text("offence_class", given.OffenceClass),
		OffenceURN:    text("offence_urn", given.OffenceURN),
		ReportedAt:    given.ReportedAt,
		CommittedAt:   given.CommittedAt,
		Borough:       text("borough", given.Borough),
		VictimID:      text("victim_id", given.VictimID),
		VictimSex:     text("victim_sex", given.VictimSex, "F", "M", "X", "U"),
		VictimAge:     years("victim_age", given.VictimAge),
		DomesticAbuse: given.DomesticAbuse,
		Source:        needed(given.Source, "victim", "witness", "third_party", "police_detected", "intelligence"),
		Outcome: needed(given.Outcome, "open", "charged", "convicted", "victim_does_not_support", "no_further_action",
			"acquitted", "no_crime", "transferred"),
		UpdatedAt: given.UpdatedAt,
		Handling:  text("handling", given.Handling, "normal", "restricted"),
	}
	if slices.Contains(nulled, "handling") {
		restricted := "restricted"
		row.Handling = &restricted
	}
	if t := row.CommittedAt; t != nil && !slowTime(*t) {
		row.CommittedAt = nil
		nulled = append(nulled, "committed_at")
	}
	for _, t := range []*int64{row.ReportedAt, row.UpdatedAt} {
		ok = ok && t != nil && slowTime(*t)
	}
	if row.OffenceCode != nil {
		code := slowCode(*row.OffenceCode)
		ok = ok && code != ""
		row.OffenceCode = &code
	}
	for _, column := range nulled { // of rows that are quarantined too
		count(&facts.OutOfRange, column)
	}
	if !ok {
		return row, false
	}
	if row.SuspectID != nil && slowNobody(*row.SuspectID) {
		count(&facts.Placeholders, "suspect_id")
	}
	if row.VictimID != nil && slowNobody(*row.VictimID) {
		count(&facts.Placeholders, "victim_id")
		row.VictimID = nil
	}
	row.Borough = slowBorough(row.Borough)
	y, m, d := time.UnixMicro(*row.ReportedAt).In(schemas.London).Date()
	row.day = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	asOf, _ := time.Parse(time.DateOnly, o.AsOf.String())
	row.age = int(asOf.Sub(row.day) / (24 * time.Hour))
	query := reference.Query{
		Code:          *row.OffenceCode,
		Victim:        map[string]reference.Sex{"F": reference.Female, "M": reference.OtherSex, "X": reference.OtherSex}[*orBlank(row.VictimSex)],
		Class:         *orBlank(row.OffenceClass),
		URN:           *orBlank(row.OffenceURN),
		DomesticAbuse: row.DomesticAbuse != nil && *row.DomesticAbuse,
	}
	row.weight = o.Tables.Weigh(query)
	row.contradicts = o.Tables.URNContradicts(query.URN, query.Code)
	return row, true
}

func orBlank(s *string) *string {
	if s == nil {
		return new(string)
	}
	return s
}

// slowCode is a Home Office code as 019/08; empty: it is none.
func slowCode(s string) string {
	digits := func(s string, most int) bool {
		return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
	}
	a, b, found := strings.Cut(s, "/")
	if !found && len(s) == 5 {
		a, b = s[:3], s[3:]
	}
	if !digits(a, 3) || !digits(b, 2) {
		return ""
	}
	return fmt.Sprintf("%03s/%02s", a, b)
}

// published reads a table of the reference folder.
func published(file string) [][]string {
	f, err := reference.Files.Open(file)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		panic(err)
	}
	return rows[1:]
}

var (
	slowPlaceholders = sync.OnceValue(func() [][]string { return published("placeholders.csv") })
	slowBoroughs     = sync.OnceValue(func() map[string]string {
		names := map[string]string{}
		for _, row := range published("boroughs.csv") {
			names[strings.ToLower(row[0])] = row[0]
		}
		for _, row := range published("borough-aliases.csv") {
			names[strings.ToLower(row[0])] = row[1]
		}
		return names
	})
)

func slowBorough(s *string) *string {
	if name, known := slowBoroughs()[strings.ToLower(*orBlank(s))]; known {
		return &name
	}
	return s
}

// slowNobody tells whether an id is a placeholder (rule 5).
func slowNobody(id string) bool {
	if strings.Trim(id, "0") == "" || strings.Trim(id, "9") == "" {
		return true
	}
	if !strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPunct(r) && !unicode.IsSymbol(r) && !unicode.IsSpace(r) }) {
		return true
	}
	words := strings.Join(strings.FieldsFunc(strings.ToLower(id), func(r rune) bool { return strings.ContainsRune(" \t\r\n\u00a0", r) }), " ")
	return slices.ContainsFunc(slowPlaceholders(), func(row []string) bool {
		if prefix, any := strings.CutSuffix(row[0], "*"); any {
			return strings.HasPrefix(words, prefix)
		}
		return words == row[0]
	})
}

// slowVersion lists a row's values so that versions compare as rule 2 wants: the later, then the greater by its
// columns in order, null below everything.
func slowVersion(r schemas.Offence) []string {
	text := func(v *string) string {
		if v == nil {
			return ""
		}
		return "=" + *v
	}
	number := func(v *int32) string {
		if v == nil {
			return ""
		}
		return fmt.Sprintf("%03d", *v)
	}
	at := func(v *int64) string {
		if v == nil {
			return ""
		}
		return fmt.Sprintf("%020d", *v+1e18)
	}
	abuse := ""
	if r.DomesticAbuse != nil {
		abuse = map[bool]string{false: "0", true: "1"}[*r.DomesticAbuse]
	}
	return []string{at(r.UpdatedAt), text(r.AllegationID), text(r.ReportID), text(r.SuspectID), number(r.SuspectAge), text(r.SuspectStatus),
		text(r.OffenceCode), text(r.OffenceClass), text(r.OffenceURN), at(r.ReportedAt), at(r.CommittedAt), text(r.Borough), text(r.VictimID),
		text(r.VictimSex), number(r.VictimAge), abuse, text(r.Source), text(r.Outcome), text(r.Handling)}
}

// slowRow11 is rules 3 to 11 of section 4; what passes them is Scored as far as the row alone tells.
func slowRow11(o Options, row slowRow) schemas.Disposition {
	switch {
	case row.age < 0:
		return schemas.AfterAsOf
	case row.age > o.Model.WindowDays-1:
		return schemas.OutsideWindow
	case row.SuspectID == nil || slowNobody(*row.SuspectID):
		return schemas.NoNamedSuspect
	case is(row.Source, "intelligence"):
		return schemas.IntelligenceOnly
	case is(row.Source, "police_detected"):
		return schemas.PoliceDetected
	case is(row.Outcome, "no_crime"), is(row.Outcome, "acquitted"):
		return schemas.Cleared
	case is(row.Outcome, "transferred"):
		return schemas.Transferred
	case row.weight.Verdict == reference.NotVAWG:
		return schemas.NotVAWG
	case row.weight.Verdict == reference.SexUnknown:
		return schemas.VictimSexUnknown
	case row.weight.Verdict == reference.Unscored:
		return schemas.UnscoredOffence
	}
	return schemas.Scored
}

// slowSuspect is section 6 for one suspect, over their scored rows and, for what any kept row says, kept.
func slowSuspect(o Options, id string, list, kept []slowRow, victim bool, r *reading) schemas.Ranked {
	s := schemas.Ranked{SuspectID: id, Allegations: int64(len(list)), AlsoVictim: victim, Boroughs: []string{},
		FirstReported: *list[0].ReportedAt, LastReported: *list[0].ReportedAt}
	for _, a := range kept {
		s.Restricted = s.Restricted || is(a.Handling, "restricted")
		for _, b := range kept {
			if a.SuspectAge != nil && b.SuspectAge != nil {
				s.AgesDisagree = s.AgesDisagree || a.day.Year()-int(*a.SuspectAge)-(b.day.Year()-int(*b.SuspectAge)) > 2
			}
		}
	}
	for _, row := range list {
		if row.Borough != nil && !slices.Contains(slices.Collect(maps.Values(slowBoroughs())), *row.Borough) {
			r.facts.UnknownBoroughs++
		}
	}
	recency := slowRecency(o.Model.HalfLifeDays, o.Model.WindowDays)
	base := func(row slowRow) int64 { return row.weight.Tenths * recency[row.age] }
	slices.SortFunc(list, func(a, b slowRow) int { // the largest first, of equal ones the least id
		if c := base(b) - base(a); c != 0 {
			return int(max(min(c, 1), -1))
		}
		return strings.Compare(*a.AllegationID, *b.AllegationID)
	})
	share, latest := map[string]*big.Int{}, map[string]int64{}
	reports, people := map[string]bool{}, map[string]bool{}
	score, tenths, status := new(big.Int), int64(0), list[0]
	for i, row := range list {
		further := int64(len(list) - 1)
		if o.Model.FrequencyApply == schemas.FrequencyEach {
			further = int64(i)
		}
		factor := 1_000_000 + o.Model.FrequencyStepPPM*min(further, o.Model.FrequencyCap)
		part := big.NewInt(base(row))
		score.Add(score, new(big.Int).Mul(part, big.NewInt(factor)))
		r.scored[*row.AllegationID] = schemas.Contribution{SuspectID: id, AllegationID: *row.AllegationID, HarmDays: float64(row.weight.Tenths) / 10,
			WeightRule: row.weight.Rule, Age: int64(row.age), RecencyPPM: recency[row.age], Base: base(row), FrequencyPPM: factor,
			LeavesOn:    row.day.AddDate(0, 0, o.Model.WindowDays).Format(time.DateOnly),
			OlderStands: row.outdated, URNContradicts: row.contradicts}
		tenths += row.weight.Tenths
		s.MaxDays = max(s.MaxDays, float64(row.weight.Tenths)/10)
		s.FirstReported, s.LastReported = min(s.FirstReported, *row.ReportedAt), max(s.LastReported, *row.ReportedAt)
		reports[*row.ReportID] = true
		if row.VictimID != nil {
			people[*row.VictimID] = true
		}
		if row.DomesticAbuse != nil && *row.DomesticAbuse {
			s.DomesticAbuse++
		}
		if row.CommittedAt != nil && time.UnixMicro(*row.ReportedAt).Sub(time.UnixMicro(*row.CommittedAt)) > 365*24*time.Hour {
			s.NonRecent++
		}
		if is(row.Outcome, "victim_does_not_support") {
			s.Withdrawn++
		}
		if *row.UpdatedAt > *status.UpdatedAt || *row.UpdatedAt == *status.UpdatedAt && *row.AllegationID > *status.AllegationID {
			status = row
		}
		if row.weight.Rule == reference.ByLowest {
			r.facts.Lowest++
		}
		if row.weight.Rule == reference.BySupplement {
			r.facts.Supplement++
		}
		if row.contradicts {
			r.facts.URNContradicts++
		}
		if row.weight.Resolution != "" {
			if r.facts.Resolutions == nil {
				r.facts.Resolutions = map[string]int64{}
			}
			r.facts.Resolutions[row.weight.Resolution]++
		}
		if row.Borough == nil {
			continue
		}
		if share[*row.Borough] == nil {
			share[*row.Borough] = new(big.Int)
			latest[*row.Borough] = *row.ReportedAt
			s.Boroughs = append(s.Boroughs, *row.Borough)
		}
		share[*row.Borough].Add(share[*row.Borough], part)
		latest[*row.Borough] = max(latest[*row.Borough], *row.ReportedAt)
	}
	s.Reports, s.Victims, s.SumDays = int64(len(reports)), int64(len(people)), float64(tenths)/10
	s.Score = score.Quo(score, big.NewInt(1_000_000)).Int64()
	s.ScoreDays = float64(s.Score) / 10_000_000
	s.SuspectStatus = status.SuspectStatus
	s.Lane = map[string]string{"in_custody": "contained", "on_bail": "bailed"}[*orBlank(s.SuspectStatus)]
	if s.Lane == "" {
		s.Lane = "free"
	}
	sort.Strings(s.Boroughs)
	for _, known := range published("boroughs.csv") {
		b, bcu := known[0], known[1]
		if share[b] == nil {
			continue
		}
		if s.OwnerBorough != nil {
			best := *s.OwnerBorough
			c := share[b].Cmp(share[best])
			if c < 0 || c == 0 && (latest[b] < latest[best] || latest[b] == latest[best] && b > best) {
				continue
			}
		}
		s.OwnerBorough, s.OwnerBCU = &b, &bcu
	}
	return s
}

// slowRank orders and numbers a ranking (section 6).
func slowRank(all []schemas.Ranked) {
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		switch {
		case a.Score != b.Score:
			return a.Score > b.Score
		case a.Victims != b.Victims:
			return a.Victims > b.Victims
		case a.Allegations != b.Allegations:
			return a.Allegations > b.Allegations
		case a.LastReported != b.LastReported:
			return a.LastReported > b.LastReported
		}
		return a.SuspectID < b.SuspectID
	})
	for i := range all {
		all[i].Position, all[i].Rank, all[i].SumRank = int64(i+1), 1, 1
		for j := range all {
			if all[j].Score > all[i].Score {
				all[i].Rank++
			}
			if all[j].Score == all[i].Score {
				all[i].TieSize++
			}
			if all[j].SumDays > all[i].SumDays {
				all[i].SumRank++
			}
		}
	}
}

// recencyByHand is r(age) of a half-life of 180 days.
var recencyByHand = slowRecency(180, 365)

// slowRecency is r(age) from exact powers: the whole number nearest to 10^6 * 2^(-age/half-life).
func slowRecency(halfLife, days int) []int64 {
	key := [2]int{halfLife, days}
	if known, ok := slowRecencies.Load(key); ok {
		return known.([]int64)
	}
	table := make([]int64, days)
	for age := range table {
		low, high := int64(0), int64(1_000_000)
		for low < high && halfLife > 0 { // the largest r with (2r-1)^half-life * 2^age <= (2*10^6)^half-life
			r := (low + high + 1) / 2
			left := new(big.Int).Exp(big.NewInt(2*r-1), big.NewInt(int64(halfLife)), nil)
			if left.Lsh(left, uint(age)).Cmp(new(big.Int).Exp(big.NewInt(2_000_000), big.NewInt(int64(halfLife)), nil)) <= 0 {
				low = r
			} else {
				high = r - 1
			}
		}
		table[age] = high
	}
	slowRecencies.Store(key, table)
	return table
}

var slowRecencies sync.Map

// The slow reading itself, where a mistake of it would be one of the engine's too: what names nobody, and codes.
func TestSlowReading(t *testing.T) {
	for id, nobody := range map[string]bool{
		"unknown": true, "UNKNOWN MALE": true, "Not  Known": true, "n/K": true, "0": true, "000": true, "99999": true, "-": true, "??.": true, "x": true, "XXX": true,
		"unk": true, "Refused to say": true, "Testing": true, "unkn": false, "0001": false, "909": false, "S-1": false, "xy": false, "nobody": false, "No": false, "notknown": false, "Ω": false,
	} {
		if slowNobody(id) != nobody {
			t.Errorf("%q names nobody: %v", id, !nobody)
		}
	}
	for given, want := range map[string]string{
		"019/08": "019/08", "19/8": "019/08", "01908": "019/08", "1/01": "001/01", "19-08": "", "0190/8": "", "19/": "", "/8": "", "019/080": "", "1908": "", "+19/8": "", "19/8/1": "",
	} {
		if got := slowCode(given); got != want {
			t.Errorf("%q reads %q, want %q", given, got, want)
		}
	}
}
