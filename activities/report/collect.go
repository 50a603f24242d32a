package report

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"harmstack/schemas"
)

// CentralDesk stands for the owner of suspects that no borough owns.
const CentralDesk = "Central desk"

// Distribution is what the page tells of all ranked suspects. It names nobody.
type Distribution struct {
	Suspects int64
	// HarmTenths is the plain sum of harm over all suspects, in tenths of a day.
	HarmTenths int64
	// Held is the harm of the first k thousandths of the suspects by position, in tenths of a day.
	Held [1001]int64
	// Scores counts suspects by score, lowest bin first, from the first bin that holds one to the last.
	Scores []Bin
	// Head is the score in days of each of the first positions, twice as far as the stack is deep.
	Head []float64
	// Tied counts suspects who share their score with another; LargestTie is the most who share one.
	Tied, LargestTie int64
	// Ages counts suspects by the age of their last report, in the ranges of ageRanges.
	Ages [len(ageRanges)]int64
	// NewestAge is the age in days of the newest report of all.
	NewestAge int
	// Boroughs are the owners, most suspects first.
	Boroughs []Owner
}

// Bin counts the suspects whose score in days is at least From and below To.
type Bin struct {
	From, To float64
	Suspects int64
}

// Owner counts the suspects that a borough, or the central desk, owns.
type Owner struct {
	Name, BCU  string
	Suspects   int64
	HarmTenths int64
}

// ageRanges are the last days of the ranges by which reports are counted.
var ageRanges = [...]int{6, 29, 89, 179, math.MaxInt}

// edges are the scores at which the bins begin: 0, then 0.01 days, and on in steps of 1, 2 and 5.
var edges = func() []int64 {
	list := []int64{0}
	for step := int64(schemas.ScorePerDay / 100); ; step *= 10 {
		list = append(list, step, 2*step, 5*step)
		if step > math.MaxInt64/10 {
			return list
		}
	}
}()

// Collect reads the ranking once, by position, and keeps only sums of it, so that millions of suspects
// take little memory. suspects is how many there must be, depth how deep the stack is.
func Collect(asOf schemas.Date, suspects, depth int64, ranking iter.Seq2[schemas.Ranked, error]) (Distribution, error) {
	d := Distribution{NewestAge: math.MaxInt}
	bins := make([]int64, len(edges))
	owners := map[string]*Owner{}
	next := 1 // the first thousandth not reached yet
	for r, err := range ranking {
		if err != nil {
			return Distribution{}, err
		}
		if d.Suspects++; r.Position != d.Suspects {
			return Distribution{}, fmt.Errorf("ranking: position %d comes where %d belongs", r.Position, d.Suspects)
		}
		harm := int64(math.Round(r.SumDays * schemas.TenthsPerDay))
		d.HarmTenths += harm
		for ; next <= 1000 && int64(next)*suspects <= d.Suspects*1000; next++ {
			d.Held[next] = d.HarmTenths
		}
		i, exact := slices.BinarySearch(edges, r.Score)
		if !exact {
			i--
		}
		bins[max(i, 0)]++
		if d.Suspects <= 2*depth {
			d.Head = append(d.Head, r.ScoreDays)
		}
		if d.LargestTie = max(d.LargestTie, r.TieSize); r.TieSize > 1 {
			d.Tied++
		}
		age := asOf.DaysSince(schemas.LondonDate(time.UnixMicro(r.LastReported)))
		d.NewestAge = min(d.NewestAge, age)
		d.Ages[slices.IndexFunc(ageRanges[:], func(last int) bool { return age <= last })]++
		name, bcu := owner(r)
		o := owners[name]
		if o == nil {
			o = &Owner{Name: name, BCU: bcu}
			owners[name] = o
		}
		o.Suspects++
		o.HarmTenths += harm
	}
	if d.Suspects != suspects || suspects == 0 {
		return Distribution{}, fmt.Errorf("ranking: it holds %d suspects, it should hold %d: run the night again", d.Suspects, suspects)
	}
	for _, o := range owners {
		d.Boroughs = append(d.Boroughs, *o)
	}
	slices.SortFunc(d.Boroughs, func(a, b Owner) int {
		return cmp.Or(cmp.Compare(b.Suspects, a.Suspects), cmp.Compare(a.Name, b.Name))
	})
	d.Scores = trim(bins)
	return d, nil
}

// owner names who owns a suspect.
func owner(r schemas.Ranked) (name, bcu string) {
	if r.OwnerBorough == nil {
		return CentralDesk, ""
	}
	if r.OwnerBCU != nil {
		bcu = *r.OwnerBCU
	}
	return *r.OwnerBorough, bcu
}

// trim cuts the empty bins off both ends.
func trim(counts []int64) (bins []Bin) {
	kept := 0 // up to the last bin that holds somebody
	for i, n := range counts {
		if n == 0 && len(bins) == 0 {
			continue
		}
		to := math.Inf(1)
		if i+1 < len(edges) {
			to = float64(edges[i+1]) / schemas.ScorePerDay
		}
		bins = append(bins, Bin{float64(edges[i]) / schemas.ScorePerDay, to, n})
		if n > 0 {
			kept = len(bins)
		}
	}
	return bins[:kept]
}
