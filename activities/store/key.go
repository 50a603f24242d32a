package store

import (
	"strings"
	"unicode"

	"harmstack/schemas/fault"
)

// ErrKey is returned for a key that is no clean relative path: it could name a file outside the store, or the store's
// own. References come from manifests and requests, which somebody may have written by hand.
var ErrKey = fault.New(fault.DamagedArtifact,
	"an artefact's name is no clean relative path: run the night again that refers to it, and find out who wrote it")

// CheckKey refuses the name of an artefact that is absolute, climbs, is hidden, or has empty elements, backslashes or
// control characters (trust, section 5). The error does not repeat it.
func CheckKey(key string) error {
	if strings.ContainsRune(key, '\\') || strings.ContainsFunc(key, unicode.IsControl) {
		return ErrKey
	}
	// The store's own temporary files have a hidden folder, and are named by the store alone.
	for element := range strings.SplitSeq(strings.TrimPrefix(key, tempFolder+"/"), "/") {
		if element == "" || strings.HasPrefix(element, ".") {
			return ErrKey
		}
	}
	return nil
}
