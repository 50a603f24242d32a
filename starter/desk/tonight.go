package desk

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// How long what is asked again and again may be kept, how long what did not answer is left alone and waited for, and how
// far back a run that failed is shown.
const (
	keep       = 2 * time.Second
	leaveAlone = 10 * time.Second
	askedFor   = 2 * time.Second
	shownSince = 7 * 24 * time.Hour
)

// recent keeps an answer that many ask for, so that it is looked up once. Whoever comes meanwhile waits for it.
type recent[T any] struct {
	mu    sync.Mutex
	until time.Time
	v     T
	err   error
}

func (c *recent[T]) get(ctx context.Context, now time.Time, atMost time.Duration, look func(context.Context) (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.until) {
		return c.v, c.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), atMost) // others wait for it too
	defer cancel()
	c.v, c.err = look(ctx)
	c.until = now.Add(keep)
	if c.err != nil {
		c.until = now.Add(leaveAlone)
	}
	return c.v, c.err
}

// forget makes the next one look again, after an act.
func (c *recent[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}

// tonight is what the first page shows: the nights that run, what came of the last, and what waits for whom.
type tonight struct {
	Runs []run
	// Away: Temporal does not answer, so that nobody knows what runs and no act can be done.
	Away bool
	// Overseer: the person may see nights. A team sees its taskings alone.
	Overseer bool
	Last     *Night
	Pending  []schemas.NightID
	Current  *schemas.NightID
	Teams    []standing
}

// run is a night that runs, or that ended badly within a week and was not run again.
type run struct {
	AsOf    string
	Started time.Time
	Running bool
	Stages  []workflows.Stage
	Trouble string
	// UI is the run in Temporal's web UI; empty: the desk knows of none.
	UI string
}

func (d *Desk) tonight(r *http.Request, p Person) (any, error) {
	t := tonight{Overseer: allowed(p, []string{access.Look, access.Audit, access.Operate}) == nil}
	var err error
	if t.Teams, err = d.standings(r.Context(), p); err != nil || !t.Overseer {
		return t, err
	}
	all, err := d.allNights(r.Context())
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.Status == nights.Pending {
			t.Pending = append(t.Pending, n.ID)
		}
	}
	if len(all) > 0 {
		if t.Last, err = d.nightOf(r.Context(), all[len(all)-1].ID); err != nil {
			return nil, err
		}
	}
	current, err := nights.LoadCurrent(r.Context(), d.To.Store)
	if err != nil {
		return nil, err
	}
	if current != nil {
		t.Current = &current.Manifest.NightID
	}
	runs, err := d.running.get(r.Context(), d.Now(), askedFor, d.runs)
	if err != nil {
		d.Log.Warn("Temporal cannot be asked what runs", "error", err)
		t.Away = true
	}
	t.Runs = runs
	return t, nil
}

// allNights lists what is published, oldest first.
func (d *Desk) allNights(ctx context.Context) ([]nights.Night, error) {
	return d.published.get(ctx, d.Now(), actTime, func(ctx context.Context) ([]nights.Night, error) {
		return nights.List(ctx, d.To.Store)
	})
}

// runs are the nights that run, with their stages, and those of the week whose last run ended badly.
func (d *Desk) runs(ctx context.Context) (list []run, err error) {
	found, err := flows.NightRuns(ctx, d.To.Client, d.To.Name, d.To.TaskQueue, d.Now().Add(-shownSince))
	seen := map[schemas.Date]bool{}
	for _, f := range found {
		one := run{AsOf: f.AsOf.String(), Started: f.Started, Running: f.Running(), UI: d.inUI("workflows", f.WorkflowID, f.RunID)}
		if one.Running {
			progress, err := workflows.Progress.Ask(ctx, d.To.Client, f.WorkflowID, f.RunID)
			if err != nil { // no worker answers: what Temporal itself knows is shown
				progress.Stages = []workflows.Stage{{Name: f.Stage, State: workflows.StageRunning}}
			}
			one.Stages = progress.Stages
		} else if !seen[f.AsOf] {
			one.Trouble = f.Trouble(ctx, d.To.Client)
		}
		seen[f.AsOf] = true
		if one.Running || one.Trouble != "" {
			list = append(list, one)
		}
	}
	return list, err
}

// inUI is a page of Temporal's web UI, below the namespace; empty where the desk knows of no UI.
func (d *Desk) inUI(parts ...string) string {
	if len(d.UIOrigins) == 0 || d.Namespace == "" {
		return ""
	}
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	u, err := url.JoinPath(d.UIOrigins[0], slices.Concat([]string{"namespaces", url.PathEscape(d.Namespace)}, parts)...)
	if err != nil {
		return ""
	}
	return u
}

// startForm is the form of Temporal's web UI that starts a night, filled in; its input is typed there: {} or a date.
func (d *Desk) startForm() string {
	form := d.inUI("workflows", "start-workflow")
	if form == "" {
		return ""
	}
	q := url.Values{"workflowType": {"NightlyRun"}, "taskQueue": {d.To.TaskQueue},
		"workflowId": {d.To.Name.ID(workflows.NightWorkflowID(schemas.LondonDate(d.Now()).AddDays(-1)))}}
	return form + "?" + q.Encode()
}

// month is one page of the calendar of nights.
type month struct {
	Name  string
	Weeks [][7]calendarDay
}

// calendarDay is one day with the nights that were published for it, its revisions in order.
type calendarDay struct {
	Day    int // of the month; 0: it belongs to another
	Nights []Night
}

// calendar is what the page of all nights shows.
type calendar struct {
	Months []month // newest first
	All    []Night // newest first
	// MayRun: the person may start a night; StartForm is Temporal's own form for it.
	MayRun    bool
	Yesterday schemas.Date
	Models    []string
	StartForm string
}

func (d *Desk) calendar(r *http.Request, p Person) (any, error) {
	all, err := d.allNights(r.Context())
	if err != nil {
		return nil, err
	}
	c := calendar{MayRun: access.Allows(p.Roles, access.Run, "") == nil, Models: schemas.ModelNames(),
		Yesterday: schemas.LondonDate(d.Now()).AddDays(-1), StartForm: d.startForm()}
	for _, n := range slices.Backward(all) {
		c.All = append(c.All, Night{Night: n.ID, Status: n.Status, Decision: n.Decision})
	}
	c.Months = months(c.All)
	return c, nil
}

// months are the calendar pages of nights, which are newest first.
func months(all []Night) (pages []month) {
	for _, n := range all {
		start := n.Night.AsOf.Start()
		first := time.Date(start.Year(), start.Month(), 1, 12, 0, 0, 0, schemas.London)
		if name := first.Format("January 2006"); len(pages) == 0 || pages[len(pages)-1].Name != name {
			m := month{Name: name}
			for day := first; day.Month() == first.Month(); day = day.AddDate(0, 0, 1) {
				column := (int(day.Weekday()) + 6) % 7 // Monday first
				if len(m.Weeks) == 0 || column == 0 {
					m.Weeks = append(m.Weeks, [7]calendarDay{})
				}
				m.Weeks[len(m.Weeks)-1][column].Day = day.Day()
			}
			pages = append(pages, m)
		}
		weeks := pages[len(pages)-1].Weeks
		for w := range weeks {
			for c := range weeks[w] {
				if day := &weeks[w][c]; day.Day == start.Day() {
					day.Nights = slices.Insert(day.Nights, 0, n)
				}
			}
		}
	}
	return pages
}

// runNight starts a night, as the form of all nights asks.
func (d *Desk) runNight(r *http.Request, p Person) (string, error) {
	if err := access.Allows(p.Roles, access.Run, ""); err != nil {
		d.refused(r, p, access.Run, object(r), err)
		return "", err
	}
	call := NightCall{Extract: r.PostFormValue("extract"), Model: r.PostFormValue("model"), DryRun: r.PostFormValue("dry_run") != ""}
	var err error
	if asOf := r.PostFormValue("as_of"); asOf != "" {
		if call.AsOf, err = schemas.ParseDate(asOf); err != nil {
			return "", fault.New(fault.BadRequest, "the last full date: give it as 2026-06-30")
		}
	}
	_, err = d.started(r, p, call)
	d.running.forget()
	return "/", err
}

// position reads a position of a path.
func position(r *http.Request) (n int64, ok bool) {
	n, err := strconv.ParseInt(r.PathValue("position"), 10, 64)
	return n, err == nil && n > 0
}
