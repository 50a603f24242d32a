package casework

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"harmstack/schemas"
)

// Measures say how the force as a whole takes its taskings on. They count taskings, never people.
type Measures struct {
	// Teams are those that have an open tasking, by name.
	Teams []TeamMeasure `json:"teams"`
	// Open and Overdue count over all teams; overdue ones should have been acknowledged by now.
	Open    int `json:"open"`
	Overdue int `json:"overdue"`
	// Acknowledged counts how often a tasking was taken on; the times are from its arrival at the team.
	Acknowledged      int           `json:"acknowledged"`
	AcknowledgeMedian time.Duration `json:"acknowledge_median_ns"`
	AcknowledgeP90    time.Duration `json:"acknowledge_p90_ns"`
	// Outcomes by month of London, oldest first.
	Outcomes []MonthOutcome `json:"outcomes"`
	// Months are by month and team, oldest first.
	Months []TeamMonth `json:"months"`
	// Stack is how many the approved stack holds, Tasked how many of them were ever tasked.
	Stack  int `json:"stack"`
	Tasked int `json:"tasked"`
	// Waiting are those on it who are tasked with the next new taskings (cadence).
	Waiting int `json:"waiting,omitempty"`
	Trouble
	// Unreadable counts the taskings whose files are damaged: they are in none of the other numbers.
	Unreadable int `json:"unreadable,omitempty"`
}

// Trouble is what keeps teams from the approved stack, in words for those who run the system. Nobody is named but
// teams, and taskings by pseudonym.
type Trouble struct {
	// Untold are the teams that have not been told of the stack at all.
	Untold []string `json:"teams_untold,omitempty"`
	// Unmet are the teams some of whose addresses did not take a message that the others have, and why.
	Unmet []string `json:"addresses_unmet,omitempty"`
	// Refused are the other messages of the last two days that nobody took.
	Refused []string `json:"messages_refused,omitempty"`
	// LateOrders are the taskings that could not be brought up to date, with their teams, and why.
	LateOrders []string `json:"late_orders,omitempty"`
}

// TeamMeasure is how one team stands.
type TeamMeasure struct {
	Team       string `json:"team"`
	Open       int    `json:"open"`
	Unanswered int    `json:"unanswered"`
	Overdue    int    `json:"overdue"`
	// Watches are release watches, which nobody has to answer by a time: they are open and not unanswered.
	Watches int `json:"release_watches,omitempty"`
	// WeekOld and MonthOld are open for more than 7 and 30 days since they last came to the team.
	WeekOld  int           `json:"older_than_7_days"`
	MonthOld int           `json:"older_than_30_days"`
	Oldest   time.Duration `json:"oldest_ns"`
}

// MonthOutcome counts one outcome in one month.
type MonthOutcome struct {
	Month   string `json:"month"` // 2026-06
	Outcome string `json:"outcome"`
	Count   int    `json:"count"`
}

// TeamMonth is what one team did in one month of London: how many taskings came to it, how often it took one on and how
// long that took from its arrival, and how many it closed.
type TeamMonth struct {
	Month             string        `json:"month"` // 2026-06
	Team              string        `json:"team"`
	Came              int           `json:"came"`
	Acknowledged      int           `json:"acknowledged"`
	AcknowledgeMedian time.Duration `json:"acknowledge_median_ns"`
	Closed            int           `json:"closed"`
}

// monthly is a TeamMonth while it is counted.
type monthly struct {
	TeamMonth
	times []time.Duration
}

// monthOf is a month of London, 2026-06.
func monthOf(t time.Time) string { return t.In(schemas.London).Format("2006-01") }

// Collector adds up measures over taskings.
type Collector struct {
	now      time.Time
	teams    map[string]*TeamMeasure
	outcomes map[MonthOutcome]int
	months   map[[2]string]*monthly
	times    []time.Duration
	tasked   map[string]bool
	m        Measures
}

// Measure starts a collection as of now; stack are the references on the approved stack.
func Measure(now time.Time, stack []string) *Collector {
	c := &Collector{
		now:      now,
		teams:    map[string]*TeamMeasure{},
		outcomes: map[MonthOutcome]int{},
		months:   map[[2]string]*monthly{},
		tasked:   map[string]bool{},
	}
	for _, reference := range stack {
		c.tasked[reference] = false
	}
	c.m.Stack = len(stack)
	return c
}

// Add counts one tasking.
func (c *Collector) Add(t *schemas.Tasking) {
	if _, ok := c.tasked[t.Reference]; ok {
		c.tasked[t.Reference] = true
	}
	var arrived time.Time
	for _, e := range t.Events {
		switch e.Kind {
		case schemas.EventIssued, schemas.EventReopened, schemas.EventTransferred:
			arrived = e.At
			c.month(e).Came++
		case schemas.EventAcknowledged:
			c.times = append(c.times, e.At.Sub(arrived))
			m := c.month(e)
			m.times = append(m.times, e.At.Sub(arrived))
		case schemas.EventClosed:
			c.outcomes[MonthOutcome{Month: monthOf(e.At), Outcome: e.Outcome}]++
			c.month(e).Closed++
		}
	}
	if !t.State.Open() {
		return
	}
	team := c.teams[t.Team]
	if team == nil {
		team = &TeamMeasure{Team: t.Team}
		c.teams[t.Team] = team
	}
	age := c.now.Sub(arrived)
	team.Open++
	team.Oldest = max(team.Oldest, age)
	if t.Watch {
		team.Watches++
	} else if t.State.Unanswered() {
		team.Unanswered++
	}
	if Overdue(t, c.now) {
		team.Overdue++
	}
	if age > 7*24*time.Hour {
		team.WeekOld++
	}
	if age > 30*24*time.Hour {
		team.MonthOld++
	}
}

// month is that of an event, of the team whose the tasking is after it.
func (c *Collector) month(e schemas.TaskingEvent) *monthly {
	key := [2]string{monthOf(e.At), e.Team}
	if c.months[key] == nil {
		c.months[key] = &monthly{TeamMonth: TeamMonth{Month: key[0], Team: key[1]}}
	}
	return c.months[key]
}

// Overdue tells whether a tasking should have been acknowledged by now.
func Overdue(t *schemas.Tasking, now time.Time) bool {
	due, ok := t.Due()
	return ok && now.After(due)
}

// Measures are those of all that was added.
func (c *Collector) Measures() Measures {
	for _, name := range slices.Sorted(maps.Keys(c.teams)) {
		team := c.teams[name]
		c.m.Teams = append(c.m.Teams, *team)
		c.m.Open += team.Open
		c.m.Overdue += team.Overdue
	}
	for o, n := range c.outcomes {
		o.Count = n
		c.m.Outcomes = append(c.m.Outcomes, o)
	}
	slices.SortFunc(c.m.Outcomes, func(a, b MonthOutcome) int {
		return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(a.Outcome, b.Outcome))
	})
	for _, m := range c.months {
		slices.Sort(m.times)
		if m.Acknowledged = len(m.times); m.Acknowledged > 0 {
			m.AcknowledgeMedian = m.times[(m.Acknowledged-1)/2]
		}
		c.m.Months = append(c.m.Months, m.TeamMonth)
	}
	slices.SortFunc(c.m.Months, func(a, b TeamMonth) int {
		return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(a.Team, b.Team))
	})
	for _, tasked := range c.tasked {
		if tasked {
			c.m.Tasked++
		}
	}
	slices.Sort(c.times)
	if n := len(c.times); n > 0 {
		c.m.Acknowledged, c.m.AcknowledgeMedian, c.m.AcknowledgeP90 = n, c.times[(n-1)/2], c.times[(9*n-1)/10]
	}
	return c.m
}
