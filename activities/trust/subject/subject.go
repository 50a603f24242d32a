// Package subject finds everything that is held and was done about one person, for whoever answers their request to
// see it (Data Protection Act 2018, section 45): every night, row, position, tasking, message and look.
//
// Find only reads; Erase writes every file that names the person anew without them. It must not know who may ask.
package subject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// Held is everything about one person.
type Held struct {
	IDs        []string           `json:"ids"`        // those that were merged into one, in any night
	Pseudonyms []string           `json:"pseudonyms"` // under which they may stand
	Nights     []Night            `json:"nights"`     // that name them, oldest first
	Taskings   []*schemas.Tasking `json:"taskings"`
	Messages   []ledger.Entry     `json:"messages"` // about them alone; digests stand in the log
	Log        []audit.Entry      `json:"log"`
	// Lacking says in words what cannot be told.
	Lacking []string `json:"lacking,omitempty"`
}

// Night is what one night holds of the person.
type Night struct {
	schemas.NightID
	Status string `json:"status"`
	// Ranked are their rows in the ranking, Changes those in changes.parquet: one of each, or of each id when the night
	// did not know that they are one person.
	Ranked  []schemas.Ranked `json:"ranked,omitempty"`
	Changes []schemas.Change `json:"changes,omitempty"`
	OnStack bool             `json:"on_stack"` // or beside it
	// AsSuspect and AsVictim are the rows as read; both name them when they are in both roles.
	AsSuspect []schemas.Offence `json:"as_suspect,omitempty"`
	AsVictim  []schemas.Offence `json:"as_victim,omitempty"`
	// Quarantined counts the rows that could not be read and name them.
	Quarantined int `json:"quarantined,omitempty"`
	// Contributions and Cases count their rows in contributions.parquet and cases.parquet.
	Contributions int `json:"contributions,omitempty"`
	Cases         int `json:"cases,omitempty"`
}

// nothing tells whether the night does not name the person.
func (n Night) nothing() bool {
	return len(n.Ranked)+len(n.Changes)+len(n.AsSuspect)+len(n.AsVictim)+n.Quarantined+n.Contributions+n.Cases == 0
}

// Find looks through a whole store for a person, by an id.
func Find(ctx context.Context, st *store.Store, names pseudonym.Names, id string) (h Held, err error) {
	h = Held{IDs: []string{id}, Nights: []Night{}, Taskings: []*schemas.Tasking{}, Messages: []ledger.Entry{}, Log: []audit.Entry{}}
	all, err := nights.List(ctx, st)
	if err == nil {
		err = h.merge(ctx, st, all)
	}
	if err != nil {
		return h, err
	}
	h.Pseudonyms = names.All(h.IDs)
	for _, n := range all {
		found, err := h.night(ctx, st, n)
		if err != nil {
			return h, err
		}
		if !found.nothing() {
			h.Nights = append(h.Nights, found)
		}
	}
	return h, h.acts(ctx, st)
}

// IDs are those of a person, of whom one is known, that any night makes one.
func IDs(ctx context.Context, st *store.Store, id string) ([]string, error) {
	all, err := nights.List(ctx, st)
	h := Held{IDs: []string{id}}
	if err == nil {
		err = h.merge(ctx, st, all)
	}
	return h.IDs, err
}

// merge finds the ids of the person. Whom a later night merged into them is looked for in the earlier ones too.
func (h *Held) merge(ctx context.Context, st *store.Store, all []nights.Night) error {
	for {
		known := len(h.IDs)
		for _, n := range all {
			if err := h.merged(ctx, st, n); err != nil {
				return err
			}
		}
		if len(h.IDs) == known {
			slices.Sort(h.IDs)
			return nil
		}
	}
}

// merged adds the ids that a night's person links make one with those that are known.
func (h *Held) merged(ctx context.Context, st *store.Store, n nights.Night) error {
	m, _, err := nights.LoadManifest(ctx, st, n.ID)
	if err != nil {
		return err
	}
	if _, ok := m.Output(schemas.LinksFile); !ok {
		return nil
	}
	links, err := nights.ReadFile[schemas.PersonLink](ctx, st, m, schemas.LinksFile)
	if errors.Is(err, nights.ErrDisposed) {
		return nil
	}
	for added := true; added; {
		added = false
		for _, l := range links {
			one, other := slices.Contains(h.IDs, l.PersonID), slices.Contains(h.IDs, l.SameAs)
			if one != other {
				h.IDs = append(h.IDs, map[bool]string{true: l.SameAs, false: l.PersonID}[one])
				added = true
			}
		}
	}
	return err
}

func (h *Held) is(id string) bool { return slices.Contains(h.IDs, id) }

// names tells whether a value that may be null is one of the ids.
func (h *Held) names(id *string) bool { return id != nil && h.is(schemas.TrimSpace(*id)) }

func (h *Held) night(ctx context.Context, st *store.Store, n nights.Night) (found Night, err error) {
	found = Night{NightID: n.ID, Status: n.Status}
	m, _, err := nights.LoadManifest(ctx, st, n.ID)
	if err != nil {
		return found, err
	}
	each := func(file string, read func() error) {
		if _, ok := m.Output(file); !ok || err != nil {
			return
		}
		if err = read(); errors.Is(err, nights.ErrDisposed) {
			h.Lacking = append(h.Lacking, err.Error())
			err = nil
		}
	}
	each(schemas.RankingFile, func() error {
		return rows(ctx, st, m, schemas.RankingFile, func(r schemas.Ranked) {
			if h.is(r.SuspectID) {
				found.Ranked = append(found.Ranked, r)
			}
		})
	})
	each(schemas.StackFile, func() error {
		return rows(ctx, st, m, schemas.StackFile, func(r schemas.Ranked) { found.OnStack = found.OnStack || h.is(r.SuspectID) })
	})
	each(schemas.ChangesFile, func() error {
		return rows(ctx, st, m, schemas.ChangesFile, func(c schemas.Change) {
			if h.is(c.SuspectID) {
				found.Changes = append(found.Changes, c)
			}
		})
	})
	each(schemas.ContributionsFile, func() error {
		return rows(ctx, st, m, schemas.ContributionsFile, func(c schemas.Contribution) {
			if h.is(c.SuspectID) {
				found.Contributions++
			}
		})
	})
	each(schemas.CasesFile, func() error {
		return rows(ctx, st, m, schemas.CasesFile, func(c schemas.Case) {
			if h.is(c.PersonID) || h.names(c.OtherID) || h.names(c.SuspectID) || h.names(c.VictimID) {
				found.Cases++
			}
		})
	})
	each(schemas.QuarantineFile, func() error {
		return rows(ctx, st, m, schemas.QuarantineFile, func(q schemas.Quarantine) {
			if h.is(schemas.TrimSpace(string(q.SuspectID))) || h.is(schemas.TrimSpace(string(q.VictimID))) {
				found.Quarantined++
			}
		})
	})
	for _, o := range m.Outputs {
		if strings.HasPrefix(o.URI, n.ID.Path()+"/"+schemas.ExtractFolder+"/") {
			each(strings.TrimPrefix(o.URI, n.ID.Path()+"/"), func() error { return h.extract(ctx, st, m, o, &found) })
		}
	}
	return found, err
}

func rows[T any](ctx context.Context, st *store.Store, m schemas.Manifest, file string, see func(T)) error {
	all, err := nights.EachRow[T](ctx, st, m, file)
	if err != nil {
		return err
	}
	for row, err := range all {
		if err != nil {
			return err
		}
		see(row)
	}
	return nil
}

// extract finds the rows as read of one part.
func (h *Held) extract(ctx context.Context, st *store.Store, m schemas.Manifest, part schemas.ArtifactRef, found *Night) error {
	artifact, err := st.Open(ctx, part)
	if err != nil {
		return nights.WhyMissing(ctx, st, m.NightID, err)
	}
	defer artifact.Close()
	file, err := parquet.OpenFile(artifact, artifact.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", part.URI, store.ErrDamaged)
	}
	in := parquet.NewGenericReader[schemas.Offence](file)
	defer in.Close()
	for batch := make([]schemas.Offence, 1024); ; {
		clear(batch)
		n, err := in.Read(batch)
		for _, row := range batch[:n] {
			if h.names(row.SuspectID) {
				found.AsSuspect = append(found.AsSuspect, row)
			}
			if h.names(row.VictimID) {
				found.AsVictim = append(found.AsVictim, row)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.URI, store.ErrDamaged)
		}
	}
}

// acts finds taskings, messages and entries of the log.
func (h *Held) acts(ctx context.Context, st *store.Store) error {
	for _, reference := range h.Pseudonyms {
		t, err := casework.History(ctx, st, reference)
		if err != nil {
			return err
		}
		if t != nil {
			h.Taskings = append(h.Taskings, t)
		}
	}
	messages, err := ledger.Read(ctx, st)
	if err != nil {
		return err
	}
	for _, e := range messages {
		if slices.Contains(h.Pseudonyms, e.Subject) {
			h.Messages = append(h.Messages, e)
		}
	}
	log, err := audit.Read(ctx, st)
	if err != nil {
		return err
	}
	for _, e := range log {
		if h.concerns(e) {
			h.Log = append(h.Log, e)
		}
	}
	return nil
}

// concerns tells whether an entry is about the person: by pseudonym, or by the position at which somebody looked.
func (h *Held) concerns(e audit.Entry) bool {
	if slices.ContainsFunc(h.Pseudonyms, func(p string) bool { return slices.Contains(e.On.Pseudonyms, p) || e.On.Thing == p }) {
		return true
	}
	if e.Operation != audit.Consultation {
		return false
	}
	i := slices.IndexFunc(h.Nights, func(n Night) bool { return e.On.Night == n.NightID.String() })
	if i < 0 {
		return false
	}
	n, from, to := h.Nights[i], int64(0), int64(0)
	_, _ = fmt.Sscanf(e.Did, "looked at positions %d to %d", &from, &to)
	return n.OnStack && strings.HasPrefix(e.Did, "looked at the stack") ||
		slices.ContainsFunc(n.Ranked, func(r schemas.Ranked) bool {
			return from <= r.Position && r.Position <= to || strings.HasSuffix(e.Did, fmt.Sprintf("position %d", r.Position))
		})
}
