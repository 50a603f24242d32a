package scoring

import (
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// slow is the contract read once more, as plainly as can be: maps, big numbers and calendar dates. It
// shares nothing with the engine but the reference tables and the row types.
// victimSex is what the tables ask, by what the column says; a null is unknown.
var victimSex = map[string]reference.Sex{"F": reference.Female, "M": reference.OtherSex, "X": reference.OtherSex}

func slow(asOf schemas.Date, rows []schemas.Offence) ([]schemas.Ranked, schemas.Dispositions, int64) {
	var counts schemas.Dispositions
	var conflicting int64
	type row struct {
		schemas.Offence
		weight reference.Weight
		age    int
	}
	text := func(s *string) (string, bool) {
		if s == nil {
			return "", true
		}
		return strings.Trim(*s, " \t\r\n\u00a0"), utf8.ValidString(*s)
	}
	in := func(s string, allowed ...string) bool { return s == "" || slices.Contains(allowed, s) }
	inRange := func(t *int64) bool {
		if t == nil {
			return true
		}
		at := time.UnixMicro(*t).UTC()
		return at.Year() >= 1900 && at.Year() < 2201
	}
	str := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	age := func(a *int32) *int32 {
		if a == nil || *a < 0 || *a > 130 {
			return nil
		}
		return a
	}
	byID := map[string][]row{}
	for _, r := range rows {
		bad := false
		get := func(s *string) string {
			v, ok := text(s)
			bad = bad || !ok
			return v
		}
		id, report, suspect, status := get(r.AllegationID), get(r.ReportID), get(r.SuspectID), get(r.SuspectStatus)
		code, class, urn, borough := get(r.OffenceCode), get(r.OffenceClass), get(r.OffenceURN), get(r.Borough)
		victim, sex, source, outcome := get(r.VictimID), get(r.VictimSex), get(r.Source), get(r.Outcome)
		var a, b int
		wellFormed := false
		if n, _ := fmt.Sscanf(code+"|", "%d/%d|", &a, &b); n == 2 {
			parts := strings.Split(code, "/")
			wellFormed = len(parts[0]) <= 3 && len(parts[1]) <= 2 && !strings.ContainsAny(code, "+- ")
		} else if len(code) == 5 && strings.Trim(code, "0123456789") == "" {
			wellFormed = true
			fmt.Sscanf(code[:3], "%d", &a)
			fmt.Sscanf(code[3:], "%d", &b)
		}
		switch {
		case bad, id == "", report == "", !wellFormed, source == "", outcome == "", r.ReportedAt == nil, r.UpdatedAt == nil,
			!in(status, "at_large", "on_bail", "in_custody", "deceased", "unknown"), !in(sex, "F", "M", "X", "U"),
			!in(source, "victim", "witness", "third_party", "police_detected", "intelligence"),
			!in(outcome, "open", "charged", "convicted", "no_further_action", "acquitted", "no_crime"),
			!inRange(r.ReportedAt), !inRange(r.CommittedAt), !inRange(r.UpdatedAt):
			counts[schemas.Quarantined]++
			continue
		}
		for _, known := range reference.Default().Boroughs() {
			if strings.EqualFold(known.Name, borough) {
				borough = known.Name
			}
		}
		code = fmt.Sprintf("%03d/%02d", a, b)
		n := schemas.Offence{AllegationID: &id, ReportID: &report, SuspectID: str(suspect), SuspectAge: age(r.SuspectAge), SuspectStatus: str(status),
			OffenceCode: &code, OffenceClass: str(class), OffenceURN: str(urn), ReportedAt: r.ReportedAt, CommittedAt: r.CommittedAt, Borough: str(borough),
			VictimID: str(victim), VictimSex: str(sex), VictimAge: age(r.VictimAge), DomesticAbuse: r.DomesticAbuse, Source: &source, Outcome: &outcome, UpdatedAt: r.UpdatedAt}
		byID[id] = append(byID[id], row{Offence: n, weight: reference.Default().Weigh(reference.Query{URN: urn, Code: code, Class: class, Victim: victimSex[sex],
			DomesticAbuse: r.DomesticAbuse != nil && *r.DomesticAbuse})})
	}
	// A version as a list of strings that compare as the contract wants: null below everything.
	key := func(r row) []string {
		s := func(v *string) string {
			if v == nil {
				return ""
			}
			return "=" + *v
		}
		n := func(v *int32) string {
			if v == nil {
				return ""
			}
			return fmt.Sprintf("%03d", *v)
		}
		t := func(v *int64) string {
			if v == nil {
				return ""
			}
			return fmt.Sprintf("%020d", *v+1e18)
		}
		abuse := ""
		if r.DomesticAbuse != nil {
			abuse = map[bool]string{false: "0", true: "1"}[*r.DomesticAbuse]
		}
		return []string{s(r.AllegationID), s(r.ReportID), s(r.SuspectID), n(r.SuspectAge), s(r.SuspectStatus), s(r.OffenceCode), s(r.OffenceClass), s(r.OffenceURN),
			t(r.ReportedAt), t(r.CommittedAt), s(r.Borough), s(r.VictimID), s(r.VictimSex), n(r.VictimAge), abuse, s(r.Source), s(r.Outcome)}
	}
	suspects, kept, victims := map[string][]row{}, map[string][]row{}, map[string]bool{}
	for _, versions := range byID {
		stays := versions[0]
		for _, v := range versions {
			if *v.UpdatedAt > *stays.UpdatedAt || *v.UpdatedAt == *stays.UpdatedAt && slices.Compare(key(v), key(stays)) > 0 {
				stays = v
			}
		}
		equal := int64(-1)
		for _, v := range versions {
			switch {
			case *v.UpdatedAt < *stays.UpdatedAt:
				counts[schemas.Superseded]++
			default:
				equal++
				if slices.Compare(key(v), key(stays)) != 0 {
					conflicting++
				}
			}
		}
		counts[schemas.Duplicate] += equal
		y, m, d := time.UnixMicro(*stays.ReportedAt).In(schemas.London).Date()
		asOfDay, _ := time.Parse(time.DateOnly, asOf.String())
		stays.age = int(asOfDay.Sub(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
		var disposition schemas.Disposition
		placeholders := []string{"unknown", "not known", "n/k", "nk", "n/a", "none", "null", "nil", "tbc", "-", "0"}
		switch {
		case stays.age < 0:
			disposition = schemas.AfterAsOf
		case stays.age > 364:
			disposition = schemas.OutsideWindow
		case stays.SuspectID == nil || slices.Contains(placeholders, strings.ToLower(*stays.SuspectID)):
			disposition = schemas.NoNamedSuspect
		case *stays.Source == "intelligence":
			disposition = schemas.IntelligenceOnly
		case *stays.Source == "police_detected":
			disposition = schemas.PoliceDetected
		case *stays.Outcome == "no_crime" || *stays.Outcome == "acquitted":
			disposition = schemas.Cleared
		case stays.weight.Verdict <= reference.SexUnknown:
			disposition = schemas.NotVAWG
		case stays.weight.Verdict == reference.Unscored:
			disposition = schemas.UnscoredOffence
		case stays.SuspectAge != nil && *stays.SuspectAge < 18:
			disposition = schemas.SuspectUnder18
		default:
			disposition = schemas.Scored
			suspects[*stays.SuspectID] = append(suspects[*stays.SuspectID], stays)
		}
		if stays.SuspectID != nil {
			kept[*stays.SuspectID] = append(kept[*stays.SuspectID], stays)
		}
		if disposition != schemas.Scored {
			counts[disposition]++
		}
		if disposition >= schemas.NoNamedSuspect && stays.VictimID != nil {
			victims[*stays.VictimID] = true
		}
	}
	var all []schemas.Ranked
	sums := map[string]int64{}
	for id, list := range suspects {
		// A row without an age is a child's when some row of theirs allows it: born on the day of that report, so many
		// years before.
		adults := list[:0:0]
		for _, r := range list {
			child := r.SuspectAge == nil && slices.ContainsFunc(kept[id], func(other row) bool {
				return other.SuspectAge != nil && dayOf(*r.ReportedAt).Before(dayOf(*other.ReportedAt).AddDate(18-int(*other.SuspectAge), 0, 0))
			})
			if child {
				counts[schemas.SuspectUnder18]++
			} else {
				adults = append(adults, r)
			}
		}
		if list = adults; len(list) == 0 {
			continue
		}
		if slices.ContainsFunc(kept[id], func(r row) bool { return r.SuspectStatus != nil && *r.SuspectStatus == "deceased" }) {
			counts[schemas.SuspectDeceased] += int64(len(list))
			continue
		}
		counts[schemas.Scored] += int64(len(list))
		s := schemas.Ranked{SuspectID: id, Allegations: int64(len(list)), AlsoVictim: victims[id], FirstReported: *list[0].ReportedAt, LastReported: *list[0].ReportedAt, Boroughs: []string{}}
		base, share, latest := new(big.Int), map[string]*big.Int{}, map[string]int64{}
		reports, people := map[string]bool{}, map[string]bool{}
		status := list[0]
		for _, r := range list {
			part := big.NewInt(r.weight.Tenths)
			part.Mul(part, big.NewInt(recencyByHand[r.age]))
			base.Add(base, part)
			sums[id] += r.weight.Tenths
			s.MaxDays = max(s.MaxDays, float64(r.weight.Tenths)/10)
			s.FirstReported, s.LastReported = min(s.FirstReported, *r.ReportedAt), max(s.LastReported, *r.ReportedAt)
			reports[*r.ReportID] = true
			if r.VictimID != nil {
				people[*r.VictimID] = true
			}
			if r.DomesticAbuse != nil && *r.DomesticAbuse {
				s.DomesticAbuse++
			}
			if r.CommittedAt != nil && time.UnixMicro(*r.ReportedAt).Sub(time.UnixMicro(*r.CommittedAt)) > 365*24*time.Hour {
				s.NonRecent++
			}
			if *r.UpdatedAt > *status.UpdatedAt || *r.UpdatedAt == *status.UpdatedAt && *r.AllegationID > *status.AllegationID {
				status = r
			}
			if r.Borough == nil {
				continue
			}
			if share[*r.Borough] == nil {
				share[*r.Borough] = new(big.Int)
				latest[*r.Borough] = *r.ReportedAt
				s.Boroughs = append(s.Boroughs, *r.Borough)
			}
			share[*r.Borough].Add(share[*r.Borough], part)
			latest[*r.Borough] = max(latest[*r.Borough], *r.ReportedAt)
		}
		s.SuspectStatus = status.SuspectStatus
		s.Reports, s.Victims, s.SumDays = int64(len(reports)), int64(len(people)), float64(sums[id])/10
		sort.Strings(s.Boroughs)
		for _, known := range reference.Default().Boroughs() { // by name, so a full tie keeps the first
			b := known.Name
			if share[b] == nil {
				continue
			}
			if s.OwnerBorough != nil {
				if c := share[b].Cmp(share[*s.OwnerBorough]); c < 0 || c == 0 && latest[b] <= latest[*s.OwnerBorough] {
					continue
				}
			}
			s.OwnerBorough, s.OwnerBCU = &b, &known.BCU
		}
		f := int64(1_000_000 + 100_000*min(len(list)-1, 10))
		score := base.Mul(base, big.NewInt(f))
		s.Score = score.Quo(score, big.NewInt(1_000_000)).Int64()
		s.ScoreDays = float64(s.Score) / 10_000_000
		all = append(all, s)
	}
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
	return all, counts, conflicting
}

// dayOf is the London day of an instant, at noon UTC.
func dayOf(micros int64) time.Time {
	y, m, d := time.UnixMicro(micros).In(schemas.London).Date()
	return time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
}

// recencyByHand is r(age) from exact powers: the whole number nearest to 10^6 * 2^(-age/180).
var recencyByHand = func() []int64 {
	table := make([]int64, 365)
	for age := range table {
		low, high := int64(0), int64(1_000_000)
		for low < high { // the largest r with (2r-1)^180 * 2^age <= (2*10^6)^180
			r := (low + high + 1) / 2
			left := new(big.Int).Exp(big.NewInt(2*r-1), big.NewInt(180), nil)
			if left.Lsh(left, uint(age)).Cmp(new(big.Int).Exp(big.NewInt(2_000_000), big.NewInt(180), nil)) <= 0 {
				low = r
			} else {
				high = r - 1
			}
		}
		table[age] = low
	}
	return table
}()
