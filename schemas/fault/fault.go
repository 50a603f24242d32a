// Package fault names the faults that no retry mends. An error says its kind itself, where it is made, and whoever
// carries it on (an activity, the command line) needs to know no package that made it.
//
// It must not know Temporal, nor how anything here comes about.
package fault

import (
	"errors"
	"fmt"
)

// The kinds, as a client or a person in Temporal's UI sees them.
const (
	BadRequest           = "BadRequest"           // the request itself is wrong
	SourceNotFound       = "SourceNotFound"       // the extract is not where it should be
	SourceLate           = "SourceLate"           // the extract of the night did not come in time
	SourceRefused        = "SourceRefused"        // the database does not take the query or the login
	SchemaMismatch       = "SchemaMismatch"       // the extract lacks a column or has one of a wrong type
	PersonLinks          = "PersonLinks"          // the person links contradict each other
	EmptyExtract         = "EmptyExtract"         // the extract has no rows
	AllQuarantined       = "AllQuarantined"       // no row of the extract can be read
	NobodyToRank         = "NobodyToRank"         // no row was scored
	CountsDoNotReconcile = "CountsDoNotReconcile" // rows were lost or counted twice
	DamagedArtifact      = "DamagedArtifact"      // a file is not the one that was written
	Forged               = "Forged"               // a record is not signed by a key that is trusted
	StoreDenied          = "StoreDenied"          // the worker may not read or write something of the store
	DisposedOf           = "DisposedOf"           // the time of the night that was asked for is over
	RevisionSealed       = "RevisionSealed"       // another run has published this revision
	AlreadyDecided       = "AlreadyDecided"       // another decision stands; its details are a schemas.Decision
	OtherManifest        = "OtherManifest"        // the decision names another night than is published
	StaleNight           = "StaleNight"           // another stack was approved since the night was compared
	QualityGateFailed    = "QualityGateFailed"    // checks block the approval, and no override was given
	Overtaken            = "Overtaken"            // a newer approved night is current
	Revoked              = "Revoked"              // the approval of the night was taken back already
	NotCurrent           = "NotCurrent"           // an approval to be taken back is not the current one
	FutureNight          = "FutureNight"          // the date of the night is later than yesterday in London
	NotRecorded          = "NotRecorded"          // a decision could not be recorded in time
	DeliveryRefused      = "DeliveryRefused"      // the other side refuses the message for good
	NotYet               = "NotYet"               // the other side asked to be left alone for now; it is tried again
	OtherTeam            = "OtherTeam"            // the tasking is another team's
	WrongState           = "WrongState"           // the tasking is in no state for that; somebody else may have come first
	NoSuchTasking        = "NoSuchTasking"        // nobody has that pseudonym
	NotAttested          = "NotAttested"          // nobody has verified who asks for the act
	NotAllowed           = "NotAllowed"           // the roles of whoever asks do not allow the act
	OwnNight             = "OwnNight"             // whoever started the night by hand cannot approve it
	SecondOfficer        = "SecondOfficer"        // the override is recorded and waits for a second officer
)

// fault is an error of a kind.
type fault struct {
	error
	kind string
}

func (f *fault) Kind() string  { return f.kind }
func (f *fault) Unwrap() error { return f.error }

// New makes an error of a kind, to be wrapped and found again by errors.Is. Its text holds nothing personal.
func New(kind, text string) error { return &fault{errors.New(text), kind} }

// Errorf is fmt.Errorf for an error of a kind. Its text holds nothing personal.
func Errorf(kind, format string, args ...any) error { return &fault{fmt.Errorf(format, args...), kind} }

// Kind is what kind an error is of, by whichever of those that it wraps says so first; empty when a retry may mend it.
func Kind(err error) string {
	var known interface{ Kind() string }
	if !errors.As(err, &known) {
		return ""
	}
	return known.Kind()
}
