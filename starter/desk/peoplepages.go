package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// peoplePages are the pages about suspects: who they are is shown to those who say why.
var peoplePages = []page{
	{"/stack", mayLook, "stack", "Stack", (*Desk).currentStack, (*Desk).sayWhy},
	{ofNight + "/stack", mayLook, "stack", "Stack", (*Desk).stackPage, (*Desk).sayWhy},
	{ofNight + "/stack.csv", mayLook, "why", "Download", (*Desk).stackFile, (*Desk).sayWhy},
	{ofNight + "/stack.parquet", mayLook, "why", "Download", (*Desk).stackFile, (*Desk).sayWhy},
	{ofNight + "/people/{position}", []string{access.Ask}, "person", "Person", (*Desk).personPage, (*Desk).sayWhy},
	{ofNight + "/changes", mayLook, "changes", "Changes", (*Desk).changesPage, (*Desk).sayWhy},
	{ofNight + "/changes.csv", mayLook, "why", "Download", (*Desk).changesFile, (*Desk).sayWhy},
	{ofNight + "/changes.parquet", mayLook, "why", "Download", (*Desk).changesFile, (*Desk).sayWhy},
	{"/search", mayLook, "search", "Search", (*Desk).searchPage, (*Desk).search},
}

const ofNight = "/nights/{as_of}/{revision}"

var mayLook = []string{access.Look}

// pageOf is how many positions of the ranking one page shows.
const pageOf = 100

// central stands for those whom no borough owns.
const central = "none"

// stackAsk is what a page of the stack is asked to show, by its address.
type stackAsk struct {
	From                int64 // the first position of a hundred of the ranking; 0: the stack
	Borough, Lane, Sort string
}

// sorts are the orders in which a page lists suspects, by name.
var sorts = map[string]func(a, b *schemas.Ranked) int{
	"position":    func(_, _ *schemas.Ranked) int { return 0 },
	"harm":        func(a, b *schemas.Ranked) int { return cmp.Compare(b.SumDays, a.SumDays) },
	"last_report": func(a, b *schemas.Ranked) int { return cmp.Compare(b.LastReported, a.LastReported) },
	"victims":     func(a, b *schemas.Ranked) int { return cmp.Compare(b.Victims, a.Victims) },
}

var (
	sortNames = []string{"position", "harm", "last_report", "victims"}
	lanes     = []string{schemas.LaneFree, schemas.LaneBailed, schemas.LaneContained}
)

// readStackAsk reads the query of an address. What it does not know it refuses, and does not repeat.
func readStackAsk(r *http.Request) (a stackAsk, err error) {
	q := r.URL.Query()
	a = stackAsk{Borough: q.Get("borough"), Lane: q.Get("lane"), Sort: cmp.Or(q.Get("sort"), sortNames[0])}
	if from := q.Get("from"); from != "" {
		if a.From, err = strconv.ParseInt(from, 10, 64); err != nil || a.From < 1 {
			return a, fault.New(fault.BadRequest, "from: give a position of the ranking, from 1 on")
		}
	}
	if a.Lane != "" && !slices.Contains(lanes, a.Lane) {
		return a, fault.Errorf(fault.BadRequest, "lane: give one of %s", strings.Join(lanes, ", "))
	}
	if !slices.Contains(sortNames, a.Sort) {
		return a, fault.Errorf(fault.BadRequest, "sort: give one of %s", strings.Join(sortNames, ", "))
	}
	return a, nil
}

// query is the address's end that asks the same.
func (a stackAsk) query() string {
	q := url.Values{}
	if a.From > 0 {
		q.Set("from", strconv.FormatInt(a.From, 10))
	}
	for name, value := range map[string]string{"borough": a.Borough, "lane": a.Lane, "sort": a.Sort} {
		if value != "" && value != sortNames[0] {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// shows tells whether a row passes the filter.
func (a stackAsk) shows(r *schemas.Ranked) bool {
	owner := central
	if r.OwnerBorough != nil {
		owner = *r.OwnerBorough
	}
	return (a.Borough == "" || a.Borough == owner) && (a.Lane == "" || a.Lane == r.Lane)
}

// stackView is a page of the stack, or of those who stand below.
type stackView struct {
	Ask        stackAsk
	Night      schemas.NightID
	Suspects   int64
	Cut        schemas.Cut
	Rows       []stackRow
	Restricted int
	// Boroughs, Lanes and Sorts can be chosen.
	Boroughs, Lanes, Sorts []string
	Unowned                bool
	// Why is why the ids are shown; empty: they are not.
	Why            string
	Path, Query    string // of the page, and of the same as a file
	Earlier, Later string // the hundred before and after; empty: there is none
	first, last    int64  // positions, before the filter; 0: nobody
}

// stackRow is one suspect: Change is against the stack approved before, Standing as in stability.parquet.
type stackRow struct {
	schemas.Ranked
	Change, Standing string
	Tasking          *schemas.Tasking
}

// currentStack is the page of the stack that teams work on.
func (d *Desk) currentStack(r *http.Request, p Person) (any, error) {
	if err := d.takeCurrent(r); err != nil {
		return nil, err
	}
	return d.stackPage(r, p)
}

// takeCurrent makes a call one about the night of the current stack.
func (d *Desk) takeCurrent(r *http.Request) error {
	current, err := nights.LoadCurrent(r.Context(), d.To.Store)
	if err != nil {
		return err
	}
	if current == nil {
		return fault.New(fault.DisposedOf, "no stack is approved: /nights has those that are published")
	}
	r.SetPathValue("night", current.Manifest.NightID.String())
	return nil
}

func (d *Desk) stackPage(r *http.Request, p Person) (any, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	v, err := d.stackView(r, p, m)
	if err != nil {
		return nil, err
	}
	v.Path, v.Why = r.URL.Path, d.why(r)
	if v.Why == "" {
		for i := range v.Rows {
			v.Rows[i].SuspectID = ""
		}
	}
	return v, d.note(r.Context(), p, audit.Consultation, v.did("looked at")+unnamed(v.Why), object(r), v.Why, false)
}

// unnamed says in the log that no ids were shown.
func unnamed(why string) string {
	if why == "" {
		return ", without ids"
	}
	return ""
}

// did is what the log says of a look.
func (v *stackView) did(what string) string {
	if v.Ask.From == 0 {
		return what + " the stack"
	}
	return fmt.Sprintf("%s positions %d to %d", what, v.Ask.From, v.Ask.From+pageOf-1)
}

// stackView reads what a page shows: the files of the stack, which are small, and of the ranking the hundred asked for.
func (d *Desk) stackView(r *http.Request, p Person, m schemas.Manifest) (*stackView, error) {
	ctx := r.Context()
	ask, err := readStackAsk(r)
	if err != nil {
		return nil, err
	}
	v := &stackView{Ask: ask, Night: m.NightID, Suspects: m.Suspects, Cut: m.Cut, Lanes: lanes, Sorts: sortNames,
		Query: ask.query()}
	rows, err := d.standingAt(ctx, m, ask.From)
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 {
		v.first, v.last = rows[0].Position, rows[len(rows)-1].Position
	}
	beside, err := d.beside(ctx, m)
	if err != nil {
		return nil, err
	}
	hide := !access.Speaks(p.Roles, teams.RestrictedDesk)
	for _, row := range rows {
		if row.OwnerBorough == nil {
			v.Unowned = true
		} else if !slices.Contains(v.Boroughs, *row.OwnerBorough) {
			v.Boroughs = append(v.Boroughs, *row.OwnerBorough)
		}
		switch {
		case row.Restricted && hide:
			v.Restricted++
		case ask.shows(&row):
			v.Rows = append(v.Rows, beside.row(row, p))
		}
	}
	slices.Sort(v.Boroughs)
	if b := ask.Borough; b != "" && b != central && !slices.Contains(v.Boroughs, b) {
		v.Boroughs = append(v.Boroughs, b)
	}
	order := sorts[ask.Sort]
	slices.SortStableFunc(v.Rows, func(a, b stackRow) int { return order(&a.Ranked, &b.Ranked) })
	v.turn()
	return v, nil
}

// turn finds the addresses of the hundred before and after.
func (v *stackView) turn() {
	later, earlier := v.Ask, v.Ask
	if later.From = max(v.last, v.Ask.From+pageOf-1) + 1; later.From <= v.Suspects {
		v.Later = nightPath(v.Night) + "/stack" + later.query()
	}
	if v.Ask.From > 0 {
		if earlier.From = v.Ask.From - pageOf; earlier.From <= 1 {
			earlier.From = 0
		}
		v.Earlier = nightPath(v.Night) + "/stack" + earlier.query()
	}
}

// standingAt is the stack, or the hundred of the ranking from a position on.
func (d *Desk) standingAt(ctx context.Context, m schemas.Manifest, from int64) ([]schemas.Ranked, error) {
	if from == 0 {
		return nights.ReadFile[schemas.Ranked](ctx, d.To.Store, m, schemas.StackFile)
	}
	ranking, err := nights.OpenRanking(ctx, d.To.Store, m)
	if err != nil {
		return nil, err
	}
	defer ranking.Close()
	return ranking.Range(ctx, from, from+pageOf-1)
}

// beside is what a page tells of suspects beside their row.
type beside struct {
	changes   map[string]schemas.Change
	standings map[string]string
	taskings  map[int64]*schemas.Tasking
}

func (d *Desk) beside(ctx context.Context, m schemas.Manifest) (b beside, err error) {
	b = beside{changes: map[string]schemas.Change{}, standings: map[string]string{}}
	changes, err := d.ownChanges(ctx, m)
	if err != nil {
		return b, err
	}
	for _, c := range changes {
		b.changes[c.SuspectID] = c
	}
	_, standings, err := nights.Standings(ctx, d.To.Store, m)
	if err != nil {
		return b, err
	}
	for _, s := range standings {
		b.standings[s.SuspectID] = s.Standing
	}
	b.taskings, err = d.taskingsAt(ctx, m, changes)
	return b, err
}

// ownChanges is changes.parquet; nothing, of a night that has none.
func (d *Desk) ownChanges(ctx context.Context, m schemas.Manifest) ([]schemas.Change, error) {
	if _, ok := m.Output(schemas.ChangesFile); !ok {
		return nil, nil
	}
	return nights.ReadFile[schemas.Change](ctx, d.To.Store, m, schemas.ChangesFile)
}

// taskingsAt are the taskings of suspects by their position in a night: as its approval planned them or, of a night
// that is not approved, as that of the stack approved before did.
func (d *Desk) taskingsAt(
	ctx context.Context, m schemas.Manifest, changes []schemas.Change,
) (map[int64]*schemas.Tasking, error) {
	at, err := tasking.Positions(ctx, d.To.Store, m.NightID)
	if err != nil {
		return nil, err
	}
	if len(at) == 0 && m.Previous != nil {
		before, err := tasking.Positions(ctx, d.To.Store, m.Previous.NightID)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			if c.Position != nil && c.Previous != nil {
				at[*c.Position] = before[*c.Previous]
			}
		}
	}
	all, err := d.all(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string]*schemas.Tasking{}
	for _, t := range all {
		of[t.Reference] = t
	}
	taskings := map[int64]*schemas.Tasking{}
	for position, reference := range at {
		if t := of[reference]; t != nil {
			taskings[position] = t
		}
	}
	return taskings, nil
}

func (b beside) row(r schemas.Ranked, p Person) stackRow {
	row := stackRow{Ranked: r, Standing: b.standings[r.SuspectID]}
	if c, ok := b.changes[r.SuspectID]; ok {
		row.Change = changeWords(c)
	}
	if t := b.taskings[r.Position]; t != nil && sees(p, t) {
		row.Tasking = t
	}
	return row
}

// changeWords says what a change is, against the stack before.
func changeWords(c schemas.Change) string {
	switch c.Kind {
	case schemas.ChangeEntered:
		return "new"
	case schemas.ChangeLeft:
		return fmt.Sprintf("left, was %d", *c.Previous)
	case schemas.ChangeMoved:
		if *c.Position < *c.Previous {
			return fmt.Sprintf("up from %d", *c.Previous)
		}
		return fmt.Sprintf("down from %d", *c.Previous)
	}
	return "as before"
}

// personPath is the page of somebody of a night.
func personPath(id schemas.NightID, position int64) string {
	return nightPath(id) + "/people/" + strconv.FormatInt(position, 10)
}

// gone tells whether an error says that files of a night are there no more.
func gone(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, nights.ErrDisposed)
}
