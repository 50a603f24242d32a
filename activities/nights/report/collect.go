package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/text"
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

// Collector makes the distribution of a ranking that it is given by position. It keeps only sums, so that
// millions of suspects take little memory.
type Collector struct {
	d        Distribution
	asOf     schemas.Date
	suspects int64
	depth    int64
	bins     []int64
	bin      int     // of the last score; scores only fall
	next     int64   // the first thousandth not reached yet
	since    []int64 // the instants at which the ranges of ageRanges begin
	newest   int64
	owners   map[string]*Owner
}

// NewCollector returns a collector for a ranking of so many suspects. depth is how deep the stack is.
func NewCollector(asOf schemas.Date, suspects, depth int64) *Collector {
	c := &Collector{
		asOf:     asOf,
		suspects: suspects,
		depth:    depth,
		bins:     make([]int64, len(edges)),
		bin:      len(edges) - 1,
		next:     1,
		newest:   math.MinInt64,
		owners:   map[string]*Owner{},
	}
	for _, last := range ageRanges[:len(ageRanges)-1] {
		c.since = append(c.since, asOf.AddDays(-last).Start().UnixMicro())
	}
	return c
}

// Add takes the next rows.
func (c *Collector) Add(rows []schemas.Ranked) error {
	d := &c.d
	for i := range rows {
		r := &rows[i]
		if d.Suspects++; r.Position != d.Suspects {
			return fmt.Errorf("ranking: position %d comes where %d belongs", r.Position, d.Suspects)
		}
		harm := int64(math.Round(r.SumDays * schemas.TenthsPerDay))
		d.HarmTenths += harm
		for ; c.next <= 1000 && c.next*c.suspects <= d.Suspects*1000; c.next++ {
			d.Held[c.next] = d.HarmTenths
		}
		for c.bin > 0 && edges[c.bin] > r.Score {
			c.bin--
		}
		c.bins[c.bin]++
		if d.Suspects <= 2*c.depth {
			d.Head = append(d.Head, r.ScoreDays)
		}
		if d.LargestTie = max(d.LargestTie, r.TieSize); r.TieSize > 1 {
			d.Tied++
		}
		c.newest = max(c.newest, r.LastReported)
		age := 0
		for age < len(c.since) && r.LastReported < c.since[age] {
			age++
		}
		d.Ages[age]++
		name, bcu := owner(r)
		o := c.owners[name]
		if o == nil {
			o = &Owner{Name: name, BCU: bcu}
			c.owners[name] = o
		}
		o.Suspects++
		o.HarmTenths += harm
	}
	return nil
}

// Distribution is what the page tells of the whole ranking.
func (c *Collector) Distribution() (Distribution, error) {
	d := c.d
	if d.Suspects != c.suspects || d.Suspects == 0 {
		return Distribution{}, fmt.Errorf(
			"ranking: it holds %s, it should hold %s: run the night again",
			text.Count(d.Suspects, "suspect"),
			text.Number(c.suspects),
		)
	}
	d.NewestAge = c.asOf.DaysSince(schemas.LondonDate(time.UnixMicro(c.newest)))
	for _, o := range c.owners {
		d.Boroughs = append(d.Boroughs, *o)
	}
	slices.SortFunc(d.Boroughs, func(a, b Owner) int {
		return cmp.Or(cmp.Compare(b.Suspects, a.Suspects), cmp.Compare(a.Name, b.Name))
	})
	d.Scores = trim(c.bins)
	return d, nil
}

// owner names who owns a suspect.
func owner(r *schemas.Ranked) (name, bcu string) {
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
