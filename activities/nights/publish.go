package nights

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// ErrSealed says that the night was published already, with another content. What is published never
// changes: the run must claim the next revision.
var ErrSealed = fault.New(
	fault.RevisionSealed,
	"the night is published already, and what was published never changes: run it again as the next revision",
)

// System is the name under which the pipeline itself decides: it only ever supersedes.
const System = "harmstack"

// required are the outputs without which a night is not whole (contract, section 7).
var required = []string{
	schemas.QuarantineFile, schemas.RankingFile, schemas.StackFile, schemas.StackCSVFile,
	schemas.ContributionsFile, schemas.ChangesFile, schemas.ReportFile,
}

// Sealed tells whether a night is published.
func Sealed(ctx context.Context, st *store.Store, id schemas.NightID) (bool, error) {
	_, err := st.Read(ctx, id.Path()+"/"+schemas.ManifestFile)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Encode writes a manifest as the bytes of manifest.json, after checking that its rows are accounted
// for and that somebody is ranked (contract, section 4).
func Encode(m schemas.Manifest) ([]byte, error) {
	if m.AsOf.IsZero() || m.Revision < 1 {
		return nil, fmt.Errorf("the manifest of night %s lacks its date or its revision", m.NightID)
	}
	if sum := m.Dispositions.Sum(); sum != m.RowsRead {
		return nil, fmt.Errorf(
			"night %s: %s read but %s accounted for: the night is not published",
			m.NightID,
			text.Count(m.RowsRead, "row was", "rows were"),
			text.Count(sum, "is", "are"),
		)
	}
	if m.Suspects < 1 {
		return nil, fmt.Errorf(
			"night %s: nobody can be ranked: see the dispositions for why no row was scored",
			m.NightID,
		)
	}
	return encode(m)
}

// Publish seals a night with its manifest, after checking that the night is whole and every output is
// in the store with its size. Publishing the same again succeeds; anything else is ErrSealed.
func Publish(ctx context.Context, st *store.Store, m schemas.Manifest) (schemas.ManifestRef, error) {
	ref := schemas.ManifestRef{NightID: m.NightID, URI: m.Path() + "/" + schemas.ManifestFile}
	data, err := Encode(m)
	if err != nil {
		return ref, err
	}
	data = st.Record(ref.URI, data)
	ref.SHA256 = hash(data)
	for _, file := range required {
		if _, ok := m.Output(file); !ok {
			return ref, fmt.Errorf("night %s has no %s: it is not whole and not published", m.NightID, file)
		}
	}
	for _, o := range m.Outputs {
		size, err := st.Size(ctx, o.URI)
		if err != nil {
			return ref, fmt.Errorf("night %s, output %s: %w", m.NightID, o.URI, err)
		}
		if size != o.Bytes {
			return ref, fmt.Errorf(
				"night %s, output %s: %w: it has %s, not %s",
				m.NightID,
				o.URI,
				store.ErrDamaged,
				text.Count(size, "byte"),
				text.Number(o.Bytes),
			)
		}
	}
	err = st.CreateOnly(ctx, ref.URI, data)
	if errors.Is(err, store.ErrExists) {
		var standing []byte
		standing, err = st.ReadRecord(ctx, ref.URI)
		if err == nil && !bytes.Equal(sign.Body(standing), sign.Body(data)) {
			err = fmt.Errorf("night %s: %w", m.NightID, ErrSealed)
		}
		data, ref.SHA256 = standing, hash(standing) // another key may have signed it
	}
	if err != nil {
		return ref, err
	}
	// An attempt that dies between the two writes is in the log twice rather than not at all.
	e := audit.Entry{At: time.Now().UTC(), Operation: audit.Combination, Actor: audit.Worker, Did: "published a night",
		On: audit.Object{Night: m.NightID.String()}, Files: audit.Written(ref.URI, data)}
	for _, in := range m.Inputs {
		e.Inputs = append(e.Inputs, audit.File{Name: in.URI, SHA256: in.SHA256})
	}
	return ref, audit.Append(ctx, st, e)
}

// Line is the nights as one look found them, and what follows from it. A bucket takes a second or two to list the
// nights of years, and to read what each was decided: whoever asks more than one question looks once.
type Line struct {
	Nights []Night // oldest first
	store  *store.Store
}

// Look lists the nights.
func Look(ctx context.Context, st *store.Store) (*Line, error) {
	nights, err := List(ctx, st)
	return &Line{nights, st}, err
}

// Again looks again for nights that were published or decided meanwhile.
func (l *Line) Again(ctx context.Context) (err error) {
	l.Nights, err = nightsBeside(ctx, l.store, l.Nights)
	return err
}

// Baseline is the newest night before this one that was approved, by its decision: current.json may
// still lag behind after a crash. Both are nil when no night was.
func (l *Line) Baseline(ctx context.Context, id schemas.NightID) (*schemas.ManifestRef, *schemas.Manifest, error) {
	n := newestApproved(before(l.Nights, id))
	if n == nil {
		return nil, nil, nil
	}
	m, err := loadExact(ctx, l.store, n.Decision.Manifest)
	return &n.Decision.Manifest, &m, err
}

// before cuts an ordered list off at id.
func before(nights []Night, id schemas.NightID) []Night {
	for i, n := range nights {
		if !n.ID.Before(id) {
			return nights[:i]
		}
	}
	return nights
}

// SupersedeOlder decides every older night that is published and undecided, before the changes of this one are
// computed; the line then knows the decisions that stand. It returns the nights that this one has superseded, now or in
// an earlier attempt.
func (l *Line) SupersedeOlder(
	ctx context.Context,
	id schemas.NightID,
	at time.Time,
) (done []schemas.NightID, err error) {
	older := before(l.Nights, id)
	for i := range older {
		n := &older[i]
		if n.Decision == nil {
			if n.Decision, err = supersede(ctx, l.store, n.ID, id, at); err != nil {
				return nil, err
			}
			n.Status = n.Decision.Decision
		}
		if d := n.Decision; d.Decision == schemas.SupersededBy && d.Reason == supersededReason(id) {
			done = append(done, n.ID)
		}
	}
	return done, nil
}

func supersededReason(newer schemas.NightID) string { return "superseded by night " + newer.String() }

// supersede decides a night unless somebody was faster, and returns the decision that stands.
func supersede(
	ctx context.Context,
	st *store.Store,
	id, newer schemas.NightID,
	at time.Time,
) (*schemas.Decision, error) {
	_, ref, err := LoadManifest(ctx, st, id)
	if err != nil {
		return nil, err
	}
	return record(ctx, st, schemas.Decision{
		Decision: schemas.SupersededBy, Manifest: ref, By: System, Reason: supersededReason(newer), At: at.UTC()})
}

// Supersede gives a night its place among the others once it is published. If a newer one is approved or pending, this
// one is superseded at once, and Supersede returns true; otherwise it returns the older ones that this one has
// superseded, whenever it did. Of two nights published at the same moment one must see the other: so the look must be
// later than the publication.
func (l *Line) Supersede(
	ctx context.Context,
	id schemas.NightID,
	at time.Time,
) (superseded bool, older []schemas.NightID, err error) {
	decision, err := LoadDecision(ctx, l.store, id)
	if err != nil {
		return false, nil, err
	}
	if newer := overtaking(l.Nights, id); decision == nil && newer != nil {
		if decision, err = supersede(ctx, l.store, id, newer.ID, at); err != nil {
			return false, nil, err
		}
	}
	if decision != nil && decision.Decision == schemas.SupersededBy {
		return true, nil, nil
	}
	older, err = l.SupersedeOlder(ctx, id, at)
	return false, older, err
}

// overtaking is the newest night after id that is approved or pending, nil when there is none. A night
// that was held, superseded or revoked overtakes nobody.
func overtaking(nights []Night, id schemas.NightID) (newest *Night) {
	for i, n := range nights {
		if id.Before(n.ID) && (n.Status == schemas.Approved || n.Status == Pending) {
			newest = &nights[i]
		}
	}
	return newest
}
