// Package pseudonym turns a suspect id into the name by which the suspect goes wherever an id must not
// stand: in workflow ids, subjects, logs and the text of an e-mail (contract, section 9).
//
// It must not know what a suspect is, where the key comes from or where the pseudonym is used.
package pseudonym

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"

	"harmstack/schemas/text"
)

// KeyBytes is the least length of a key.
const KeyBytes = 32

// words is Crockford's alphabet: no i, l, o or u, so that a pseudonym can be read out over the telephone.
var words = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Func gives the pseudonym of a suspect id. It is safe for concurrent use.
type Func func(suspectID string) string

// Restricted gives the pseudonym of a suspect whose handling is restricted: another one, so that whoever had the suspect
// before finds nothing under the one they know.
func (f Func) Restricted(suspectID string) string {
	return f("restricted\x00" + suspectID) // words that no id begins with
}

// Fingerprint tells keys apart without telling them: half of the HMAC-SHA256 of a constant that no id can be, for ids
// are trimmed.
func Fingerprint(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(" fingerprint of a pseudonym key "))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// New makes the pseudonyms of one deployment. The same key gives the same pseudonyms; without the key
// nobody can tell whose they are. A key shorter than KeyBytes is an error.
//
// A pseudonym is the first 80 bits of HMAC-SHA256 as four groups of four letters and digits,
// "k7qd-2m4x-9w3t-c5hn". Among a million suspects two share one with a probability of 4 in 10^13.
func New(key []byte) (Func, error) {
	if len(key) < KeyBytes {
		return nil, fmt.Errorf(
			"the pseudonym key has %s: give at least %d random ones",
			text.Count(len(key), "byte"),
			KeyBytes,
		)
	}
	key = append([]byte(nil), key...)
	return func(suspectID string) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(suspectID))
		s := words.EncodeToString(mac.Sum(nil)[:10])
		return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
	}, nil
}
