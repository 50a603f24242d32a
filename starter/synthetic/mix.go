package synthetic

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strconv"

	"harmstack/schemas/reference"
)

// kind is a column of the borough figures.
type kind int

const (
	homicide kind = iota
	withInjury
	withoutInjury
	stalking
	rape
	otherSexual
	kinds
)

// offence is a way an offence is recorded, and how often among those of its kind, in thousandths.
type offence struct {
	share            int
	code, class, urn string
}

// recorded lists, by kind, how offences against women and girls are recorded. The figures by kind are the
// boroughs'; the shares within a kind are ours, chosen so that half of the suspects come to 11 harm
// days or fewer.
var recorded = [kinds][]offence{
	homicide: {
		{300, "001/01", "1", ""}, {640, "002/00", "2", ""}, {60, "004/01", "4/1", ""},
	},
	withInjury: {
		{
			600,
			"008/06",
			"8N",
			"",
		}, {135, "008/01", "8N", "8N.8.1.2"}, {45, "008/01", "8N", "8N.8.1.1"}, {35, "008/01", "8N", ""},
		{25, "005/01", "5D", ""}, {5, "005/01", "", ""}, {95, "008/77", "", ""}, {6, "008/78", "", ""}, {24, "008/06", "", ""}, {30, "008/60", "8P", ""},
	},
	withoutInjury: {
		{510, "105/01", "105A", ""}, {150, "003/01", "3B", ""}, {215, "008/67", "105A", ""}, {40, "013/01", "13", ""},
		{55, "011/03", "11A", ""}, {5, "036/01", "36", ""}, {5, "036/03", "36", ""}, {20, "057/10", "", ""},
	},
	stalking: {
		{400, "195/94", "8L", ""}, {120, "195/12", "8Q", ""}, {105, "008/66", "8Q", ""}, {140, "008/65", "8Q", ""},
		{115, "008/31", "8L", ""}, {90, "008/72", "8R", ""}, {15, "008/74", "", ""}, {15, "005/28", "", ""},
	},
	rape: {
		{
			760,
			"019/08",
			"19C",
			"19C.19.8.0",
		}, {120, "019/08", "19C", ""}, {80, "019/07", "19D", ""}, {25, "019/16", "19E", ""}, {15, "019/08", "", ""},
	},
	otherSexual: {
		{
			560,
			"020/05",
			"20A",
			"",
		}, {90, "020/03", "20A", ""}, {10, "020/04", "20B", ""}, {50, "020/06", "20B", ""}, {130, "088/09", "88E", ""},
		{
			40,
			"088/10",
			"88E",
			"",
		}, {35, "022/06", "22B", ""}, {15, "088/01", "88A", ""}, {30, "071/17", "88A", ""}, {20, "088/14", "", ""}, {20, "088/15", "", ""},
	},
}

// graveKind is a kind of offence, and how often among grave ones, in thousandths.
type graveKind struct {
	share int
	kind  kind
}

// grave is what the few who do most harm are reported for.
var grave = []graveKind{{540, rape}, {150, otherSexual}, {140, withInjury}, {90, stalking}, {80, withoutInjury}}

// mix is the boroughs' figures, summed up so that a draw is a look-up.
type mix struct {
	boroughs []string
	total    int
	upTo     []int
	byKind   [][kinds]int
	aliases  map[string][]string // other ways to write a borough
	nobody   []string            // ways to write that somebody is not known; a * at the end stands for anything
}

func loadMix() (*mix, error) {
	var rows, aliases, placeholders [][]string
	for _, table := range []struct {
		file string
		rows *[][]string
	}{{reference.MixFile, &rows}, {reference.AliasesFile, &aliases}, {reference.PlaceholdersFile, &placeholders}} {
		data, err := reference.Files.ReadFile(table.file)
		if err != nil {
			return nil, err
		}
		all, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table.file, err)
		}
		*table.rows = all[1:]
	}
	m := &mix{aliases: map[string][]string{}, nobody: []string{"0", "0000000", "999999", "-", "--", "?", "..."}}
	for _, row := range aliases {
		m.aliases[row[1]] = append(m.aliases[row[1]], row[0])
	}
	for _, row := range placeholders {
		m.nobody = append(m.nobody, row[0])
	}
	var err error
	for _, row := range rows {
		if _, ok := reference.Default().FindBorough(row[0]); !ok {
			continue // "Unknown": five offences
		}
		var counts [kinds]int
		for k := range counts {
			if counts[k], err = strconv.Atoi(row[k+1]); err != nil {
				return nil, fmt.Errorf("borough offences: %w", err)
			}
			m.total += counts[k]
		}
		m.boroughs, m.byKind, m.upTo = append(m.boroughs, row[0]), append(m.byKind, counts), append(m.upTo, m.total)
	}
	return m, nil
}

// borough draws one of the 32 by its recorded offences.
func (m *mix) borough(r *rand.Rand) int {
	n, i := r.IntN(m.total), 0
	for n >= m.upTo[i] {
		i++
	}
	return i
}

// kind draws a kind of offence as the borough records them.
func (m *mix) kind(r *rand.Rand, borough int) kind {
	total := 0
	for _, n := range m.byKind[borough] {
		total += n
	}
	n := r.IntN(total)
	for k, count := range m.byKind[borough] {
		if n < count {
			return kind(k)
		}
		n -= count
	}
	return withoutInjury
}

// draw picks by shares in thousandths.
func draw[T any](r *rand.Rand, list []T, share func(T) int) T {
	n := r.IntN(1000)
	for _, v := range list {
		if n < share(v) {
			return v
		}
		n -= share(v)
	}
	return list[len(list)-1]
}
