package schemas

import (
	"cmp"
	"strings"

	"harmstack/schemas/text"
)

// PersonLinkSchema names the schema of links.parquet.
const PersonLinkSchema = "person-link-v1"

// PersonLink says that a person's id was merged into another (contract, section 3).
type PersonLink struct {
	PersonID string `parquet:"person_id"`
	SameAs   string `parquet:"same_as"`
}

// Compare orders links by the bytes of person_id, then of same_as.
func (l PersonLink) Compare(o PersonLink) int {
	return cmp.Or(strings.Compare(l.PersonID, o.PersonID), strings.Compare(l.SameAs, o.SameAs))
}

// PersonLinkColumns are the columns of the input, in the order of PersonLink.
var PersonLinkColumns = []string{"person_id", "same_as"}

// LinkFacts tell of a night's person links.
type LinkFacts struct {
	// Links are those in force: of an id to itself, and a second time the same, none counts.
	Links int64 `json:"links"`
	// RowsChanged counts the rows, not quarantined, of which a suspect's or a victim's id was replaced.
	RowsChanged int64 `json:"rows_changed"`
}

// String says it in a sentence.
func (l LinkFacts) String() string {
	return text.Count(l.Links, "person link") + " replaced ids in " + text.Count(l.RowsChanged, "row") + "."
}
