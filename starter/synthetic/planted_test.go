package synthetic

import (
	"bytes"
	"encoding/csv"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// made is an extract as rows.
func made(t *testing.T, o Options) (Summary, []schemas.Offence) {
	t.Helper()
	var b bytes.Buffer
	s, err := Write(t.Context(), &b, o)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[schemas.Offence](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || int64(len(rows)) != s.Rows {
		t.Fatalf("%d rows of %d, %v", len(rows), s.Rows, err)
	}
	return s, rows
}

// clean is a value as section 3 reads it: trimmed, and a blank is none.
func clean(s *string) string {
	if s == nil {
		return ""
	}
	return schemas.TrimSpace(*s)
}

func isOneOf(column int, s *string) bool {
	return slices.Contains(schemas.Offences[column].Enum, clean(s))
}

// isReadable is rule 1 of section 4 for what is made here.
func isReadable(o schemas.Offence) bool {
	_, isCode := schemas.NormaliseOffenceCode(clean(o.OffenceCode))
	return isCode && isOneOf(schemas.Outcome, o.Outcome) && isOneOf(schemas.Source, o.Source) &&
		clean(o.ReportID) != "" && *o.ReportedAt >= schemas.MinTimestamp
}

// kept are the rows that rules 1 and 2 leave, and the counts of the others.
func kept(rows []schemas.Offence) (stay []schemas.Offence, counts Planted) {
	counts = Planted{}
	versions := map[string][]schemas.Offence{}
	broken := map[string]int64{}
	for _, o := range rows {
		if !isReadable(o) {
			counts[QuarantinedRow]++
			broken[*o.AllegationID] = max(broken[*o.AllegationID], *o.UpdatedAt)
			continue
		}
		versions[*o.AllegationID] = append(versions[*o.AllegationID], o)
	}
	for id, all := range versions {
		latest := slices.MaxFunc(all, func(a, b schemas.Offence) int { return int(*a.UpdatedAt - *b.UpdatedAt) })
		for _, o := range all {
			if *o.UpdatedAt < *latest.UpdatedAt {
				counts[EarlierVersion]++
			} else {
				counts[Repeated]++
			}
		}
		counts[Repeated]-- // itself
		if broken[id] > *latest.UpdatedAt {
			counts[OlderStands]++
		}
		stay = append(stay, latest)
	}
	return stay, counts
}

// What the summary says was planted is found in the rows, by the words of the contract.
func TestWhatIsPlantedIsThere(t *testing.T) {
	s, rows := made(t, Options{AsOf: asOf, Suspects: 20_000, Seed: 4})
	stay, found := kept(rows)
	tables := reference.Default()
	links := map[string]string{}
	for _, l := range s.Links {
		links[l.PersonID] = l.SameAs
	}
	found[Merged] = int64(len(links))
	person := func(id *string) string {
		for links[clean(id)] != "" {
			id = new(links[clean(id)])
		}
		return clean(id)
	}
	suspects := map[string][]schemas.Offence{}
	pairs := map[[2]string]bool{}
	for _, o := range stay {
		is := func(kind string, yes bool) {
			if yes {
				found[kind]++
			}
		}
		is("restricted", clean(o.Handling) == schemas.HandlingRestricted)
		is(UnknownHandling, o.Handling != nil && !isOneOf(schemas.Handling, o.Handling))
		is(Withdrawn, clean(o.Outcome) == "victim_does_not_support")
		is(Transferred, clean(o.Outcome) == "transferred")
		is(PlaceholderSuspect, clean(o.SuspectID) != "" && tables.IsPlaceholder(clean(o.SuspectID)))
		is(PlaceholderVictim, clean(o.VictimID) != "" && tables.IsPlaceholder(clean(o.VictimID)))
		code, _ := schemas.NormaliseOffenceCode(clean(o.OffenceCode))
		is(ClassMissing, o.OffenceClass == nil && o.OffenceURN == nil && slices.Contains([]string{"005/01", "008/01", "008/06", "019/08"}, code))
		is(URNContradicts, tables.URNContradicts(clean(o.OffenceURN), code))
		for _, age := range []*int32{o.SuspectAge, o.VictimAge} {
			is(OutOfRange, age != nil && (*age < 0 || *age > 130))
		}
		is(OutOfRange, o.CommittedAt != nil && (time.UnixMicro(*o.CommittedAt).UTC().Year() < 1900 || time.UnixMicro(*o.CommittedAt).UTC().Year() > 2200))
		is(OutOfRange, o.SuspectStatus != nil && !isOneOf(schemas.SuspectStatus, o.SuspectStatus))
		is(OutOfRange, o.VictimSex != nil && !isOneOf(schemas.VictimSex, o.VictimSex))
		is(OutOfRange, o.Handling != nil && !isOneOf(schemas.Handling, o.Handling))
		b, isKnown := tables.FindBorough(clean(o.Borough))
		is(BoroughAlias, isKnown && !strings.EqualFold(tables.Boroughs()[b].Name, clean(o.Borough)))
		is(BoroughUnknown, o.Borough != nil && !isKnown)
		if !tables.IsPlaceholder(clean(o.SuspectID)) {
			suspects[person(o.SuspectID)] = append(suspects[person(o.SuspectID)], o)
			pairs[[2]string{person(o.SuspectID), person(o.VictimID)}] = true
		}
	}
	for pair := range pairs {
		if pair[0] < pair[1] && pairs[[2]string{pair[1], pair[0]}] {
			found[Counter]++
		}
	}
	for _, all := range suspects {
		first, last, isChild, isDead := 9999, 0, false, 0
		latest := all[0]
		for _, o := range all {
			if o.SuspectAge != nil && *o.SuspectAge >= 0 && *o.SuspectAge <= 130 {
				born := time.UnixMicro(*o.ReportedAt).In(schemas.London).Year() - int(*o.SuspectAge)
				first, last = min(first, born), max(last, born)
				isChild = isChild || *o.SuspectAge < 18
			}
			if clean(o.SuspectStatus) == "deceased" {
				isDead++
			}
			if *o.UpdatedAt > *latest.UpdatedAt {
				latest = o
			}
		}
		if last-first > 2 {
			found[AgesDisagree]++
		}
		for _, o := range all {
			if isChild && o.SuspectAge == nil {
				found[ChildElsewhere]++
			}
		}
		if isDead > 0 && isDead < len(all) {
			found[DeadElsewhere]++
		}
		switch clean(latest.SuspectStatus) {
		case "in_custody":
			found[InCustody]++
		case "on_bail":
			found[OnBail]++
		}
	}
	// Of these the rows cannot tell what the generator knows: whether it is the suspect or the victim who is restricted,
	// and which of the dead a row of another case alone tells of; and a few people are seen on the rows of another case
	// only, after their own have left the export.
	if r := found["restricted"]; r > s.Planted[RestrictedSuspect]+s.Planted[RestrictedVictim] || r < s.Planted[RestrictedSuspect] || r < s.Planted[RestrictedVictim] {
		t.Errorf("%d restricted rows of %d and %d", r, s.Planted[RestrictedSuspect], s.Planted[RestrictedVictim])
	}
	if found[DeadElsewhere] < s.Planted[DeadElsewhere] || s.Planted[DeadElsewhere] == 0 {
		t.Errorf("%d of %d who are dead by another row", found[DeadElsewhere], s.Planted[DeadElsewhere])
	}
	for _, kind := range []string{InCustody, OnBail} {
		if d := found[kind] - s.Planted[kind]; d < 0 || 100*d > 3*s.Planted[kind] {
			t.Errorf("%d of %d people %s", found[kind], s.Planted[kind], kind)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Planted)) {
		switch kind {
		case RestrictedSuspect, RestrictedVictim, InCustody, OnBail, DeadElsewhere, Released:
			continue
		}
		if found[kind] != s.Planted[kind] || s.Planted[kind] == 0 {
			t.Errorf("%d rows or people are %s, the summary says %d", found[kind], kind, s.Planted[kind])
		}
	}
	if n, want := len(s.Planted), 24; n != want {
		t.Errorf("%d kinds are planted, %d are declared", n, want)
	}
	if share := float64(s.Planted[Withdrawn]) / float64(len(stay)); share < 0.38 || share > 0.46 {
		t.Errorf("%.3f of the victims do not support the case, 34 to 45 %% are published by kind", share)
	}
}

// The exports of two mornings tell one story: what was written before the first is the same in both, and whatever is not
// there any more was written anew or has left the export.
func TestConsecutiveExportsTellOneStory(t *testing.T) {
	for _, days := range []int{1, 40} {
		o := Options{AsOf: schemas.MustDate("2025-10-25"), Suspects: 4000, Seed: 9} // the clocks go back on the 26th
		cut := o.AsOf.AddDays(1).Start().Add(3 * time.Hour).UnixMicro()
		before, first := made(t, o)
		o.AsOf = o.AsOf.AddDays(days)
		after, second := made(t, o)
		from := o.AsOf.AddDays(1 - exportDays).Start().UnixMicro()

		key := func(o schemas.Offence) string {
			return strings.Join([]string{*o.AllegationID, clean(o.ReportID), clean(o.SuspectID), clean(o.SuspectStatus),
				clean(o.OffenceCode), clean(o.Outcome), clean(o.Source), time.UnixMicro(*o.UpdatedAt).String()}, "|")
		}
		had, has, news := map[string]int{}, map[string]int{}, map[string]bool{}
		status := func(rows []schemas.Offence) map[string]string {
			latest, of := map[string]int64{}, map[string]string{}
			for _, o := range rows {
				if id := clean(o.SuspectID); id != "" && *o.UpdatedAt > latest[id] {
					latest[id], of[id] = *o.UpdatedAt, clean(o.SuspectStatus)
				}
			}
			return of
		}
		for _, o := range first {
			had[key(o)]++
			if *o.UpdatedAt > cut {
				t.Fatalf("a row of the future")
			}
		}
		for _, o := range second {
			has[key(o)]++
			if *o.UpdatedAt > cut {
				news[*o.AllegationID] = true
			} else if has[key(o)] > had[key(o)] {
				t.Fatalf("%d days later a row was written before, and was not there", days)
			}
		}
		for _, o := range first {
			reported := *o.ReportedAt
			if reported < schemas.MinTimestamp {
				reported += 226 * year
			}
			if has[key(o)] < had[key(o)] && !news[*o.AllegationID] && reported >= from {
				t.Fatalf("%d days later a row is gone", days)
			}
		}
		now, released := status(second), 0
		for id, was := range status(first) {
			if is := now[id]; was == "in_custody" && is != "in_custody" && is != "" {
				released++
			}
		}
		if released == 0 || len(news) == 0 {
			t.Errorf("%d days later %d are released, and %d rows were written", days, released, len(news))
		}
		target := map[string]string{}
		for _, l := range after.Links {
			if _, isTwice := target[l.PersonID]; isTwice || l.PersonID == l.SameAs {
				t.Error("an id has two targets, or itself")
			}
			target[l.PersonID] = l.SameAs
		}
		ids := map[string]bool{}
		for _, o := range second {
			ids[clean(o.SuspectID)], ids[clean(o.VictimID)] = true, true
		}
		chains := 0
		for _, l := range before.Links {
			if ids[l.PersonID] && target[l.PersonID] != l.SameAs {
				t.Errorf("%d days later two nominals are not merged any more", days)
			}
			if target[l.SameAs] != "" {
				chains++
			}
		}
		if chains == 0 || days > 1 && len(after.Links) == len(before.Links) {
			t.Errorf("%d links, %d of them in chains, then %d", len(before.Links), chains, len(after.Links))
		}
	}
}

func TestWriteLinks(t *testing.T) {
	links := []Link{{"P2", "P1"}, {"P3", "P2"}}
	var asCSV, asParquet bytes.Buffer
	if err := WriteLinks(&asCSV, links, true); err != nil || asCSV.String() != "person_id,same_as\nP2,P1\nP3,P2\n" {
		t.Errorf("%q, %v", asCSV.String(), err)
	}
	if _, err := csv.NewReader(&asCSV).ReadAll(); err != nil {
		t.Error(err)
	}
	if err := WriteLinks(&asParquet, links, false); err != nil {
		t.Fatal(err)
	}
	got, err := parquet.Read[Link](bytes.NewReader(asParquet.Bytes()), int64(asParquet.Len()))
	if err != nil || !slices.Equal(got, links) {
		t.Errorf("%v, %v", got, err)
	}
	if err := WriteLinks(full{}, links, true); err == nil {
		t.Error("a full disk was not noticed")
	}
}
