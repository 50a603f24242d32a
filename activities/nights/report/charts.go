package report

import (
	"fmt"
	"math"
	"strings"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// The charts share one plot area, narrow enough to be read on a phone.
const (
	plotLeft, plotTop     = 44.0, 12.0
	plotWidth, plotHeight = 340.0, 190.0
	plotRight, plotBottom = plotLeft + plotWidth, plotTop + plotHeight
)

// tick is a label on an axis, at a place along it.
type tick struct {
	At    float64
	Label string
}

// rect is one bar; Strong ones are of the stack.
type rect struct {
	X, Y, W, H float64
	Strong     bool
}

// chart is what the page draws: bars, a line with the area below it, and a mark across.
type chart struct {
	X, Y       []tick
	Bars       []rect
	Line, Area string
	Dots       []rect
	Mark       float64 // where the mark crosses the x axis; 0 is none
	MarkLabel  string
	MarkEnd    bool // the label stands left of the mark
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// scale gives an axis from 0 to a round number, with its labels.
func scale(most float64) (top float64, ticks []tick) {
	step := math.Pow(10, math.Floor(math.Log10(max(most, 1))))
	for _, part := range []float64{0.2, 0.5, 1, 2} {
		if most <= 5*part*step {
			step *= part
			break
		}
	}
	top = step * math.Ceil(max(most, 1)/step)
	for v := 0.0; v <= top; v += step {
		ticks = append(ticks, tick{round(plotBottom - plotHeight*v/top), short(v)})
	}
	return top, ticks
}

// histogram shows how many suspects have which score, and where the stack begins.
func histogram(bins []Bin, cut float64) chart {
	var most int64
	for _, b := range bins {
		most = max(most, b.Suspects)
	}
	top, ticks := scale(float64(most))
	c := chart{Y: ticks}
	w := plotWidth / float64(len(bins))
	for i, b := range bins {
		x, h := plotLeft+w*float64(i), plotHeight*float64(b.Suspects)/top
		c.Bars = append(c.Bars, rect{round(x + 1), round(plotBottom - h), round(w - 2), round(h), b.From >= cut})
		if decade := math.Log10(b.From); len(bins) <= 6 || math.Abs(decade-math.Round(decade)) < 1e-9 {
			c.X = append(c.X, tick{round(x), short(b.From)})
		}
		if cut >= b.From && cut < b.To {
			inside := 0.5 // the open last bin and the first from 0 have no logarithm
			if b.From > 0 && !math.IsInf(b.To, 1) {
				inside = math.Log(cut/b.From) / math.Log(b.To/b.From)
			}
			c.mark(x+w*inside, "the stack begins")
		}
	}
	return c
}

func (c *chart) mark(x float64, label string) {
	c.Mark, c.MarkLabel, c.MarkEnd = round(x), label, x > plotLeft+plotWidth/2
}

// concentration shows which share of the harm the first suspects hold.
func concentration(d Distribution) chart {
	var c chart
	for _, v := range []int64{0, 25, 50, 75, 100} {
		label := fmt.Sprintf("%d%%", v)
		c.Y = append(c.Y, tick{round(plotBottom - plotHeight*float64(v)/100), label})
		c.X = append(c.X, tick{round(plotLeft + plotWidth*float64(v)/100), label})
	}
	var line strings.Builder
	for k := 0; k <= 1000; k += 5 {
		y := plotBottom
		if d.HarmTenths > 0 {
			y -= plotHeight * float64(d.Held[k]) / float64(d.HarmTenths)
		}
		fmt.Fprintf(&line, "%g,%g ", round(plotLeft+plotWidth*float64(k)/1000), round(y))
		if k == 50 || k == 100 || k == 200 {
			c.Dots = append(c.Dots, rect{X: round(plotLeft + plotWidth*float64(k)/1000), Y: round(y)})
		}
	}
	c.Line = strings.TrimSpace(line.String())
	c.Area = fmt.Sprintf("%g,%g %s %g,%g", plotLeft, plotBottom, c.Line, plotRight, plotBottom)
	return c
}

// edge shows the scores on both sides of the cut.
func edge(d Distribution, stack int64) chart {
	if len(d.Head) == 0 {
		return chart{}
	}
	top, ticks := scale(d.Head[0])
	c := chart{Y: ticks}
	w := plotWidth / float64(len(d.Head))
	gap := min(0.5, w/4)
	for i, v := range d.Head {
		h := plotHeight * v / top
		c.Bars = append(
			c.Bars,
			rect{
				round(plotLeft + w*float64(i)),
				round(plotBottom - h),
				math.Round((w-gap)*100) / 100,
				round(h),
				int64(i) < stack,
			},
		)
	}
	for _, p := range []int{1, len(d.Head) / 4, len(d.Head) / 2, 3 * len(d.Head) / 4, len(d.Head)} {
		if p > 0 {
			c.X = append(c.X, tick{round(plotLeft + w*(float64(p)-0.5)), text.Number(p)})
		}
	}
	if stack < int64(len(d.Head)) {
		c.mark(plotLeft+w*float64(stack), "the cut")
	}
	return c
}

// link is one suspect between two stacks: from the place then, on the left, to the place now.
type link struct {
	Y1, Y2 float64
	Kind   string // up, down, stayed, entered or left
}

// slopes joins the places on the last approved stack to those on this one.
func slopes(changes []schemas.Change) (links []link) {
	last := int64(1)
	for _, c := range changes {
		for _, p := range []*int64{c.Position, c.Previous} {
			if p != nil {
				last = max(last, *p)
			}
		}
	}
	y := func(p *int64) float64 {
		if p == nil {
			return 0
		}
		return round(24 + 336*float64(*p-1)/float64(max(last-1, 1)))
	}
	for _, c := range changes {
		l := link{y(c.Previous), y(c.Position), c.Kind}
		if c.Kind == schemas.ChangeMoved {
			l.Kind = "down"
			if *c.Position < *c.Previous {
				l.Kind = "up"
			}
		}
		links = append(links, l)
	}
	return links
}
