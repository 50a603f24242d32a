package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// ArtifactRef names one finished file. References travel through Temporal; rows never do.
type ArtifactRef struct {
	// URI is relative to the store (or, for `starter score`, to the output folder), so that a store
	// can be moved. An input outside the store keeps the URL it was read from.
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	Schema string `json:"schema,omitempty"`
	// Files is how many files a folder held that was read as one input; 0 for a file. The hash of such a folder is that
	// of the lines that sha256sum prints of them, by the names below the folder, in the order of their bytes.
	Files int `json:"files,omitempty"`
}

// Named is a thing the result depends on, by name and hash.
type Named struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Paths inside a store (contract, section 7).
const (
	CurrentPath       = "current.json"
	LinksFile         = "links.parquet" // the person links, when the source has any
	QuarantineFile    = "quarantine.parquet"
	RankingFile       = "ranking.parquet"
	StackFile         = "stack.parquet"
	StackCSVFile      = "stack.csv"
	ContributionsFile = "contributions.parquet"
	StabilityFile     = "stability.parquet"
	ChangesFile       = "changes.parquet"
	ReportFile        = "report.html"
	ManifestFile      = "manifest.json"
	DecisionFile      = "decision.json"
	OverrideFile      = "override.json" // the first of the two officers who approve in spite of the checks
	ClaimFile         = "claim.json"
	DisposalFile      = "disposal.json"         // the night is disposed of
	ExtractGoneFile   = "disposal-extract.json" // its rows as read are
	ExtractFolder     = "extract"
	NightsFolder      = "nights/"
	WorkFolder        = "work/"
	ReuseFolder       = "reuse/"
	DisposalsFolder   = "disposals/"
)

// NightID is one revision of one night. Nights are ordered by date, then revision.
type NightID struct {
	AsOf     Date `json:"as_of"`
	Revision int  `json:"revision"`
}

// String is the form for ids and messages: 2026-06-30-r1.
func (n NightID) String() string { return fmt.Sprintf("%s-r%d", n.AsOf, n.Revision) }

// Path is the night's folder in the store.
func (n NightID) Path() string { return fmt.Sprintf("nights/%s/r%d", n.AsOf, n.Revision) }

// WorkPath is the folder of what passes between the stages; it may be deleted once the night is
// published, and is made again by a rerun.
func (n NightID) WorkPath() string { return fmt.Sprintf("work/%s/r%d", n.AsOf, n.Revision) }

// ParseNightPath tells of which night a file is, by its key below Path or WorkPath; ok is false for any other.
func ParseNightPath(key string) (id NightID, ok bool) {
	parts := strings.SplitN(key, "/", 4)
	if len(parts) < 4 {
		return id, false
	}
	id.AsOf, _ = ParseDate(parts[1])
	id.Revision, _ = strconv.Atoi(strings.TrimPrefix(parts[2], "r"))
	folder := strings.Join(parts[:3], "/")
	return id, id.Revision > 0 && (folder == id.Path() || folder == id.WorkPath())
}

// NightPart is what of a night a file is: each is kept for a time of its own.
type NightPart string

// The parts of a night.
const (
	NightRecord NightPart = "record"  // that it was, and what was decided: it stays
	NightRows   NightPart = "extract" // the rows as read, whatever has all of them, and what passes between the stages
	NightResult NightPart = "night"   // everything else
)

// NightPartOf tells of which night a file is, and what of it; ok is false for any other.
func NightPartOf(key string) (id NightID, part NightPart, ok bool) {
	id, ok = ParseNightPath(key)
	file, inNight := strings.CutPrefix(key, id.Path()+"/")
	switch {
	case !ok:
		return id, "", false
	case !inNight || strings.HasPrefix(file, ExtractFolder+"/"):
		return id, NightRows, true
	case IsErasure(file):
		return id, NightRecord, true
	}
	switch file {
	case ManifestFile, DecisionFile, ClaimFile, DisposalFile, ExtractGoneFile:
		return id, NightRecord, true
	case QuarantineFile, LinksFile, CasesFile:
		return id, NightRows, true
	}
	return id, NightResult, true
}

// Before orders nights by (as_of, revision).
func (n NightID) Before(o NightID) bool {
	if n.AsOf != o.AsOf {
		return n.AsOf.Before(o.AsOf)
	}
	return n.Revision < o.Revision
}
