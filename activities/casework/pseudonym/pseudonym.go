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
	"errors"
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
	return f(restrictedWords + suspectID)
}

// restrictedWords are words that no id begins with.
const restrictedWords = "restricted\x00"

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

// Names are the pseudonyms of a deployment whose key may have been rotated: those of the newest key, but for who had a
// tasking under an older one. They keep that name, so that nobody is tasked anew. Safe for concurrent use.
type Names struct {
	keys []Func // the newest first
	kept map[string]bool
}

// Open makes the pseudonyms of some keys, the newest first; kept are those of older keys that stay in use.
func Open(keys [][]byte, kept []string) (Names, error) {
	n := Names{kept: map[string]bool{}}
	for _, key := range keys {
		f, err := New(key)
		if err != nil {
			return n, err
		}
		n.keys = append(n.keys, f)
	}
	for _, name := range kept {
		n.kept[name] = true
	}
	if len(n.keys) == 0 {
		return n, errors.New("no pseudonym key is given")
	}
	return n, nil
}

// Name is the pseudonym of an id. It is a Func.
func (n Names) Name(suspectID string) string { return n.under(suspectID)(suspectID) }

// For is the Func of the key under which somebody is named: what else is told of them is hidden under the same key.
func (n Names) For(suspectID string, restricted bool) Func {
	if restricted {
		return n.under(restrictedWords + suspectID)
	}
	return n.under(suspectID)
}

func (n Names) under(name string) Func {
	for _, f := range n.keys[1:] {
		if n.kept[f(name)] {
			return f
		}
	}
	return n.keys[0]
}

// All are the pseudonyms under which somebody of these ids may stand anywhere, restricted or not: under every key.
func (n Names) All(ids []string) (all []string) {
	for _, id := range ids {
		for _, f := range n.keys {
			all = append(all, f(id), f.Restricted(id))
		}
	}
	return all
}
