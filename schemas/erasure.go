package schemas

import (
	"fmt"
	"strings"
	"time"
)

// Erasure is erasure-<number>.json of a night: which of its files were rewritten because a person was erased from them,
// with the hashes before and after (trust, section 4). The manifest stays as it was written; a file that is another than
// it says is taken for the night's only by such a record. It names the person by pseudonym alone.
type Erasure struct {
	NightID
	Person string    `json:"person"`
	At     time.Time `json:"at"`
	// Manifest is the sha256 of the manifest.
	Manifest string      `json:"manifest_sha256"`
	Files    []Rewritten `json:"files"`
}

// Rewritten is one file before and after. Both have the same key.
type Rewritten struct {
	Was ArtifactRef `json:"was"`
	Is  ArtifactRef `json:"is"`
}

// ErasurePrefix begins the names of a night's records of erasures.
const ErasurePrefix = "erasure-"

// ErasureKey is where a night's record of that number lies.
func (n NightID) ErasureKey(number int) string {
	return fmt.Sprintf("%s/%s%06d.json", n.Path(), ErasurePrefix, number)
}

// IsErasure tells whether a file of a night, by its name in the night's folder, is a record of an erasure.
func IsErasure(file string) bool {
	return strings.HasPrefix(file, ErasurePrefix) && strings.HasSuffix(file, ".json")
}

// ErasingFolder holds what erasures that are under way have to end, a file a person. Nothing is left of one that ended.
const ErasingFolder = "trust/erasing/"
