package desk

import (
	"context"
	"net/http"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/nights"
	"harmstack/schemas"
)

// Status is how the nights and the taskings stand, without anybody's id.
type Status struct {
	Nights  []NightLine `json:"nights"`
	Running Running     `json:"running"`
	// NotAsked is why it is not known which nights run; empty: it is.
	NotAsked    string            `json:"running_unknown,omitempty"`
	Taskings    casework.Measures `json:"taskings"`
	Undelivered int               `json:"messages_undelivered"`
}

// NightLine is what a status tells of a published night.
type NightLine struct {
	Night    schemas.NightID      `json:"night"`
	Status   string               `json:"status"`
	Current  bool                 `json:"current"`
	Disposed bool                 `json:"disposed,omitempty"`
	RowsRead int64                `json:"rows_read"`
	Suspects int64                `json:"suspects"`
	Changes  *schemas.ChangeCount `json:"changes,omitempty"`
	Decision *schemas.Decision    `json:"decision,omitempty"`
	// Revocation is who took the approval back.
	Revocation *schemas.Revocation `json:"revocation,omitempty"`
}

// NewNightLine is the line of a night. The desk's words on its decisions stay in the store.
func NewNightLine(n nights.Night, m schemas.Manifest, current bool) NightLine {
	l := NightLine{n.ID, n.Status, current, n.Disposed, m.RowsRead, m.Suspects, m.Changes, n.Decision, n.Revocation}
	if l.Decision != nil {
		l.Decision.Bare()
	}
	if l.Revocation != nil {
		l.Revocation.Attestation = ""
	}
	return l
}

// Running is what Temporal knows and the store does not: which nights run or failed, and what waits in vain.
type Running struct {
	Nights []NightRun `json:"nights"`
	// Undecidable are pending nights for whose decision no workflow waits.
	Undecidable []schemas.NightID `json:"undecidable,omitempty"`
	// Stopped are taskings on the stack without a running workflow: nobody is chased.
	Stopped int `json:"taskings_stopped,omitempty"`
}

// NightRun is a night that runs, or whose last run ended badly.
type NightRun struct {
	AsOf     schemas.Date `json:"as_of,omitzero"`
	State    string       `json:"state"`
	Stage    string       `json:"stage,omitempty"`
	Started  time.Time    `json:"started"`
	Workflow string       `json:"workflow"`
	Why      string       `json:"why,omitempty"`
}

// StatusFunc finds the status of a deployment.
type StatusFunc func(ctx context.Context) (Status, error)

func (d *Desk) status(r *http.Request, _ Person) (any, error) {
	s, err := d.Status(r.Context())
	if err != nil {
		return nil, err
	}
	if s.NotAsked != "" { // it may name machines
		d.Log.Error("which nights run is not known", "error", s.NotAsked)
		s.NotAsked = "the desk cannot ask Temporal; its log says why"
	}
	return s, nil
}
