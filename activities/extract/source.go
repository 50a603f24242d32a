package extract

import (
	"slices"

	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ErrNoSource is returned for a source that is not there or that this build cannot read.
var ErrNoSource = fault.New(fault.SourceNotFound, "the extract cannot be opened")

// Source is an open extract and what is needed to name it in a manifest.
type Source struct {
	*File
	// Extra is how many columns beyond the contract there were in the text that the file was made of.
	Extra int
	// Near are the columns of the contract that a further column of such text is called nearly like.
	Near []string
	// Unreadable counts values that were not what their column holds and became null, by column. It is filled once
	// everything was read.
	Unreadable map[string]int64
	// TextForms is in which form the columns stood in such text; nil for Parquet.
	TextForms map[string]string
	// Reference names the extract and its hash, once everything is read. It fails when the source has changed
	// meanwhile.
	Reference func() (schemas.ArtifactRef, error)
	Release   func() error
}

// Close closes the extract's files.
func (s *Source) Close() error { return s.Release() }

// ExtraColumns is how many columns beyond the contract there are.
func (s *Source) ExtraColumns() int { return s.Extra + s.File.ExtraColumns() }

// NearColumns names the columns of the contract that a further column is called nearly like, which was dropped and
// may have been meant.
func (s *Source) NearColumns() []string { return append(slices.Clone(s.Near), s.File.NearColumns()...) }

// Forms is in which form the source holds each column of the contract; of several files, all that occur.
func (s *Source) Forms() map[string]string {
	if s.TextForms != nil {
		return s.TextForms
	}
	return s.File.Forms()
}

// Ref names the extract and its hash. It waits until all of it is hashed, and fails when the source has changed since
// it was opened: what was read is then of no one time.
func (s *Source) Ref() (schemas.ArtifactRef, error) { return s.Reference() }
