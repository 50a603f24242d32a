// Package attest is the word of the gate on who does something: a signed statement that this person, with these roles,
// asked for this act on this target in these words, at this time (trust, section 1). The gate signs it, the activities
// that record the act verify it, and it is kept beside the act.
//
// It must not know how anybody signs in, nor which role may do what: that is access.
package attest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// Statement is what the gate says of one act. Its names are those of JSON Web Tokens where there is one.
type Statement struct {
	Issuer   string   `json:"iss"`            // the gate's key
	Subject  string   `json:"sub"`            // the person, as the identity provider knows them
	Name     string   `json:"name"`           // the person's name, as people read it
	Roles    []string `json:"roles"`          // all that the person has
	Team     string   `json:"team,omitempty"` // for which the person speaks
	Act      string   `json:"act"`            // what is asked for, such as approve
	Target   string   `json:"target"`         // the workflow that is asked
	Request  string   `json:"request"`        // sha256 of the request, see Digest
	Manifest string   `json:"manifest,omitempty"`
	At       int64    `json:"iat"` // seconds since 1970
	ID       string   `json:"jti"`
}

// MaxAge is for how long a statement counts: an act is asked for at once, and a store or a worker that is away may come
// back within the day.
const MaxAge = 24 * time.Hour

// skew is by how much the clocks of gate and worker may differ.
const skew = 5 * time.Minute

// Digest is the sha256 of a request's canonical JSON in hex: its fields as its type orders them, without spaces, and
// without the attestation itself, which the caller empties.
func Digest(request any) (string, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Signer is a gate's key.
type Signer struct {
	id     string
	key    ed25519.PrivateKey
	signer jose.Signer
}

// NewSigner makes the signer of a key from its seed.
func NewSigner(id string, seed []byte) (*Signer, error) {
	if id == "" || len(seed) != ed25519.SeedSize {
		return nil, errors.New("a gate's key needs an id and a seed of 32 bytes")
	}
	private := ed25519.NewKeyFromSeed(seed)
	key := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: id}}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(kind))
	return &Signer{id, private, signer}, err
}

// NewKey makes a gate's key: what it signs with, and the public key for the workers, both with their id.
func NewKey(id string) (secret, public string) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	key := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	return id + "=" + base64.StdEncoding.EncodeToString(seed), id + "=" + base64.StdEncoding.EncodeToString(key)
}

// Public is the key's id and its public half.
func (s *Signer) Public() (id string, key ed25519.PublicKey) {
	return s.id, s.key.Public().(ed25519.PublicKey)
}

// kind stands in the head of each statement, so that no other signed text is taken for one.
const kind = "harmstack-act+jwt"

// ParseSigner reads a gate's key, `id=seed` in base64. The error never repeats it.
func ParseSigner(text string) (*Signer, error) {
	id, seed, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	return NewSigner(id, seed)
}

// Sign fills in issuer, time and id, and signs: a compact JWS.
func (s *Signer) Sign(st Statement, now time.Time) (string, error) {
	st.Issuer, st.At, st.ID = s.id, now.Unix(), rand.Text()
	data, err := json.Marshal(st)
	if err != nil {
		return "", err
	}
	signed, err := s.signer.Sign(data)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// Keys are the public keys of the gates that a worker believes, by id.
type Keys map[string]ed25519.PublicKey

// ParseKeys reads `id=public key` in base64, several separated by commas or new lines.
func ParseKeys(text string) (Keys, error) {
	keys := Keys{}
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		id, key, err := parseKey(field)
		if err != nil {
			return nil, err
		}
		if keys[id] != nil {
			return nil, fmt.Errorf("the key %q is there twice: give each an id of its own", id)
		}
		keys[id] = key
	}
	return keys, nil
}

func parseKey(text string) (id string, key []byte, err error) {
	id, encoded, ok := strings.Cut(strings.TrimSpace(text), "=")
	key, err = base64.StdEncoding.DecodeString(encoded)
	if !ok || id == "" || err != nil || len(key) != ed25519.PublicKeySize {
		return "", nil, errors.New("write a key as id=key, the key being 32 bytes in base64 (`starter desk --new-key` makes a pair)")
	}
	return id, key, nil
}

// Act is what an activity is about to record.
type Act struct {
	Do       string // the act, such as approve
	Target   string // the workflow that asks for it
	About    string // the night or tasking that it is done to, with which the target's id must end; empty: not known
	Request  any    // as it was sent, its attestation emptied
	Manifest string // sha256, of a decision
}

// Verify checks that a statement is of a gate that is believed, of today, and of exactly this act. Its errors are
// fault.NotAttested.
func (k Keys) Verify(token string, act Act, now time.Time) (Statement, error) {
	st, err := k.open(token)
	if err != nil {
		return st, err
	}
	digest, err := Digest(act.Request)
	if err != nil {
		return st, err
	}
	at := time.Unix(st.At, 0)
	switch {
	case st.Subject == "" || st.Name == "" || st.ID == "":
		return st, refuse("it names nobody")
	case now.Sub(at) > MaxAge:
		return st, refuse("it is older than a day")
	case at.Sub(now) > skew:
		return st, refuse("it is of the future: the clocks of the desk and the worker differ")
	case st.Act != act.Do:
		return st, refuse("it is for another act")
	case st.Target != act.Target:
		return st, refuse("it is for another workflow")
	case act.About != "" && !strings.HasSuffix(act.Target, "-"+act.About):
		return st, refuse("it is for another night or tasking")
	case st.Request != digest:
		return st, refuse("it is for another request: something in it was changed")
	case st.Manifest != act.Manifest:
		return st, refuse("it is for another manifest")
	}
	return st, nil
}

// open checks the signature alone, as a verification of the past does, when age no longer counts.
func (k Keys) open(token string) (st Statement, err error) {
	if token == "" {
		return st, fault.Errorf(fault.NotAttested, "nobody has verified who asks for this: do it at the desk, or by a starter "+
			"that is signed in there (`starter login`)")
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return st, refuse("it cannot be read")
	}
	head := signed.Signatures[0].Protected
	key := k[head.KeyID]
	if key == nil {
		return st, refuse("no key is configured of the desk that made it")
	}
	data, err := signed.Verify(key)
	if err != nil || head.ExtraHeaders[jose.HeaderType] != kind {
		return st, refuse("its signature is wrong")
	}
	if err := json.Unmarshal(data, &st); err != nil || st.Issuer != head.KeyID {
		return st, refuse("it cannot be read")
	}
	return st, nil
}

// Open reads a statement that is kept beside an act, and checks its signature, whatever its age.
func (k Keys) Open(token string) (Statement, error) { return k.open(token) }

// Identity is how a deployment knows who somebody is.
type Identity struct {
	// Required: an act without an attestation is refused. Else names are what people say, for a trial without real data.
	Required bool
	Keys     Keys
}

// Word is what HARMSTACK_IDENTITY says.
func (i Identity) Word() string {
	if i.Required {
		return schemas.IdentityRequired
	}
	return schemas.IdentityClaimed
}

// Person is who asks for an act.
type Person struct {
	Name string
	// The rest is empty when the name is what somebody claims.
	Subject string
	Roles   []string
	ID      string // of the attestation
}

// Attested tells whether the desk vouches for the person.
func (p Person) Attested() bool { return p.ID != "" }

// Actor is the person in the log.
func (p Person) Actor() audit.Actor {
	if !p.Attested() {
		return audit.Claims(p.Name)
	}
	return audit.Actor{Name: p.Name, Verified: audit.Attested, Subject: p.Subject, Attestation: p.ID}
}

// Who finds who asks for an act: by the attestation, which must name whom the request names, or, where that is allowed and
// there is none, by the request alone. Its errors are fault.NotAttested.
func (i Identity) Who(token, by string, act Act, now time.Time) (Person, error) {
	by = schemas.TrimSpace(by)
	if token == "" && !i.Required {
		return Person{Name: by}, nil
	}
	st, err := i.Keys.Verify(token, act, now)
	if err == nil && st.Name != by {
		err = refuse("it is of another person than the request names")
	}
	if err != nil {
		return Person{Name: by}, err
	}
	return Person{st.Name, st.Subject, st.Roles, st.ID}, nil
}

func refuse(why string) error {
	return fault.Errorf(fault.NotAttested, "the desk's attestation is refused: %s; sign in and do it again at the desk", why)
}
