package scoring

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// withOtherEdition are the default ten models, and two by an edition in which the weights stand upside down.
func withOtherEdition(t *testing.T) schemas.Stability {
	t.Helper()
	dir := t.TempDir()
	index, err := csv.NewReader(strings.NewReader(string(readFile(t, "../../schemas/reference/"+reference.EditionFile)))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range index[1:] {
		days, err := strconv.ParseFloat(row[4], 64)
		if err != nil {
			t.Fatal(err)
		}
		row[4] = strconv.Itoa(int(10_000 / (days + 1)))
	}
	var table bytes.Buffer
	if err := csv.NewWriter(&table).WriteAll(index); err != nil {
		t.Fatal(err)
	}
	models := string(readFile(t, "../../schemas/stability.yaml")) +
		"  - {name: upside_down, half_life_days: 180, edition: upside-down.csv}\n" +
		"  - {name: upside_down_frequency, half_life_days: 90, frequency_step_ppm: 100000, frequency_cap: 10, edition: upside-down.csv}\n"
	for name, data := range map[string]string{"upside-down.csv": table.String(), "stability.yaml": models} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := schemas.LoadStability(filepath.Join(dir, "stability.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Each model's first, found beside another model, are the first of a whole ranking by it.
func TestStandingsAreTheFirstOfEachModel(t *testing.T) {
	stability := withOtherEdition(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			night := schemas.Model{Name: "night", HalfLifeDays: 180, FrequencyStepPPM: 100_000, FrequencyCap: 10,
				FrequencyApply: schemas.FrequencyEach, WindowDays: 365, Depth: 7, MinimumAllegations: 1}
			rows := manyAllegations(rand.New(rand.NewPCG(seed, 1)), 900)
			ranking := func(m schemas.Model, compare []schemas.Model) ([]schemas.Ranked, []schemas.Contender) {
				several := layout{threads: 3, batchRows: 50, dict: plain.dict}
				tables := reference.Default()
				if m.Edition != "" {
					var err error
					if tables, err = tables.WithEdition(m.Edition, m.EditionTable()); err != nil {
						t.Fatal(err)
					}
				}
				s, err := feed(t, Options{AsOf: asOf, Tables: tables, Model: m, Stability: compare}, rows, several)
				if err != nil {
					t.Fatal(err)
				}
				return rankingOf(t, s), s.Contenders
			}
			everybody, contenders := ranking(night, stability.For(night))
			standings := NewStandings(len(stability.Models), night.Depth, contenders)
			standings.Place(everybody)
			got := map[string]string{}
			for _, s := range standings.Rows {
				line := fmt.Sprint(s.Position, s.Models, s.Standing)
				for _, p := range s.Positions {
					if p != nil {
						line += fmt.Sprint(" ", *p)
					} else {
						line += " -"
					}
				}
				got[s.SuspectID] = line
			}
			positions := map[string][]string{}
			for i, m := range stability.For(night) {
				first, _ := ranking(m, nil)
				for _, r := range first[:night.Depth] {
					if positions[r.SuspectID] == nil {
						positions[r.SuspectID] = slices.Repeat([]string{"-"}, len(stability.Models))
					}
					positions[r.SuspectID][i] = fmt.Sprint(r.Position)
				}
			}
			want := map[string]string{}
			for id, list := range positions {
				at := slices.IndexFunc(everybody, func(r schemas.Ranked) bool { return r.SuspectID == id })
				in, standing := 0, schemas.Fringe
				for _, p := range list {
					if p != "-" {
						in++
					}
				}
				if in == len(list) {
					standing = schemas.Core
				}
				want[id] = fmt.Sprint(everybody[at].Position, in, standing) + " " + strings.Join(list, " ")
			}
			if len(want) <= int(night.Depth) {
				t.Fatal("the models agree about everybody: the extract shows nothing")
			}
			for id, line := range want {
				if got[id] != line {
					t.Errorf("%s: %s, want %s", id, got[id], line)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d stand, want %d", len(got), len(want))
			}
			if !slices.IsSortedFunc(standings.Rows, func(a, b schemas.Standing) int { return int(a.Position - b.Position) }) {
				t.Error("they are not in the order of the ranking")
			}
		})
	}
}

// manyAllegations are of a few hundred suspects who have from one to many.
func manyAllegations(r *rand.Rand, n int) (rows []schemas.Offence) {
	offences := [][2]string{{"019/08", "19C"}, {"008/06", "8N"}, {"008/31", "8L"}, {"005/01", "5D"}, {"195/94", "9A"}}
	for i := range n {
		suspect := fmt.Sprint("S", int(r.ExpFloat64()*80))
		rows = append(rows, with(rape(fmt.Sprint("A", i), suspect), func(o *schemas.Offence) {
			offence := offences[r.IntN(len(offences))]
			o.OffenceCode, o.OffenceClass, o.OffenceURN = ptr(offence[0]), ptr(offence[1]), nil
			o.ReportedAt = ptr(*o.ReportedAt - r.Int64N(364)*86_400_000_000)
			o.ReportID, o.VictimID = ptr(fmt.Sprint("R", i/2)), ptr(fmt.Sprint("V", r.IntN(3)))
			if r.IntN(5) == 0 {
				o.CommittedAt = ptr(*o.ReportedAt - 400*86_400_000_000)
			}
		}))
	}
	return rows
}

// Those in custody stand beside the stack when they stand above its last, and take nobody's place.
func TestWhoStandsBesideTheStack(t *testing.T) {
	// The suspects by position: a letter is free, bailed or contained; two of the same figure are tied.
	for _, c := range []struct {
		scenario, suspects string
		model              schemas.Model
		stack              string
		contained, in, out int64
	}{
		{"nobody is in custody", "f9 b8 f7 f6", schemas.Model{Depth: 3}, "f9 b8 f7", 0, 1, 0},
		{"who is above the last stands beside it", "c9 f8 c7 f6 f5", schemas.Model{Depth: 2}, "c9 f8 c7 f6", 2, 1, 0},
		{"who is below the last does not", "f8 f6 c5 f4", schemas.Model{Depth: 2}, "f8 f6", 0, 1, 0},
		{"a tie at the cut is of those not in custody", "f8 f6 c6 f6 c6", schemas.Model{Depth: 2}, "f8 f6", 0, 1, 1},
		{"with fewer than the depth nobody stands above a last that is not there", "c9 f8 c7", schemas.Model{Depth: 2}, "c9 f8", 1, 1, 0},
		{"counted, they take places", "c9 f8 c7 f6", schemas.Model{Depth: 3, Custody: schemas.CustodyCounted}, "c9 f8 c7", 0, 1, 0},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			s, rows := NewStack(c.model), []schemas.Ranked{}
			for i, name := range strings.Fields(c.suspects) {
				status := map[byte]string{'f': "at_large", 'b': "on_bail", 'c': "in_custody"}[name[0]]
				rows = append(rows, schemas.Ranked{SuspectID: name, Position: int64(i) + 1, Score: int64(name[1]), Lane: schemas.LaneOf(&status)})
			}
			for _, r := range rows { // one by one, as batches may come
				if err := s.Add([]schemas.Ranked{r}); err != nil {
					t.Fatal(err)
				}
			}
			var names []string
			for _, r := range s.Rows {
				names = append(names, r.SuspectID)
			}
			if got := strings.Join(names, " "); got != c.stack {
				t.Errorf("the stack is %s, want %s", got, c.stack)
			}
			if s.Cut.Contained != c.contained || s.Cut.Stack+s.Cut.Contained != int64(len(names)) || s.Cut.TiedIn != c.in || s.Cut.TiedOut != c.out {
				t.Errorf("cut %+v", s.Cut)
			}
		})
	}
}

// A column that says of everybody that they are in custody is a mistake that somebody must be told.
func TestMorePeopleInCustodyThanCanBe(t *testing.T) {
	s := NewStack(schemas.Model{Depth: 1})
	row := schemas.Ranked{Lane: schemas.LaneContained}
	err := s.Add(append(slices.Repeat([]schemas.Ranked{row}, 1_011), row, schemas.Ranked{Lane: schemas.LaneFree}))
	if err == nil || !strings.Contains(err.Error(), "suspect_status") {
		t.Errorf("got %v", err)
	}
}

// Whoever may be on a stack with lanes has contributions, whatever goroutine met them.
func TestContributionsOfThoseInCustody(t *testing.T) {
	model := schemas.Model{Name: "m", HalfLifeDays: 180, WindowDays: 365, Depth: 5, MinimumAllegations: 1}
	for seed := range uint64(4) {
		rows := manyAllegations(rand.New(rand.NewPCG(seed, 2)), 600)
		for i := range rows {
			if rows[i].SuspectID != nil && (*rows[i].SuspectID)[len(*rows[i].SuspectID)-1]%2 == 0 {
				rows[i].SuspectStatus = ptr("in_custody")
			}
		}
		o := Options{AsOf: asOf, Tables: reference.Default(), Model: model}
		s, err := feed(t, o, rows, layout{threads: 3, batchRows: 50, dict: plain.dict})
		if err != nil {
			t.Fatal(err)
		}
		stack := NewStack(model)
		if err := s.Ranking(t.Context(), stack.Add); err != nil {
			t.Fatal(err)
		}
		if stack.Cut.Stack != 5 || stack.Cut.Contained < 2 {
			t.Fatalf("seed %d shows nothing: %+v", seed, stack.Cut)
		}
		allegations := map[string]int64{}
		for _, c := range stack.Contributions(s.Candidates) {
			allegations[c.SuspectID]++
		}
		for _, r := range stack.Rows {
			if allegations[r.SuspectID] != r.Allegations {
				t.Errorf("seed %d: %s has %d contributions of %d", seed, r.SuspectID, allegations[r.SuspectID], r.Allegations)
			}
		}
	}
}
