// Package sign signs what happened, so that whoever can write to the store and has no key is found out: a record by a
// member of its own JSON, the audit log by a checkpoint that anybody can keep elsewhere.
//
// It must not know what the records say, where they lie, or who may write them.
package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"harmstack/schemas/fault"
)

var (
	// ErrUnsigned: the record bears no signature.
	ErrUnsigned = fault.New(fault.Forged, "it is not signed")
	// ErrForged: its signature is by no key that is trusted, or of other bytes, or of another record.
	ErrForged = fault.New(fault.Forged, "it is not what was signed, or no key of HARMSTACK_SIGNED_BY signed it")
)

// None is what HARMSTACK_SIGNING_KEY and HARMSTACK_SIGNED_BY say where nothing is signed.
const None = "none"

// Keys are the keys that are trusted and, of a worker, the one that it signs with. A nil *Keys signs nothing and checks
// nothing.
type Keys struct {
	name    string // of the private key among the trusted ones
	private ed25519.PrivateKey
	trusted map[string]ed25519.PublicKey
}

// Parse reads a seed, 32 bytes in base64 or empty, and the public keys that are trusted: name=key, in base64 too,
// separated by commas or new lines. A seed's own public key must be among them, for its name. Both empty or None: nil.
// Errors repeat no seed.
func Parse(seed, signedBy string) (*Keys, error) {
	if seed == None {
		seed = ""
	}
	if signedBy == None {
		signedBy = ""
	}
	k := &Keys{trusted: map[string]ed25519.PublicKey{}}
	split := func(r rune) bool { return r == ',' || r == '\n' }
	for _, field := range strings.FieldsFunc(signedBy, split) {
		name, key, ok := strings.Cut(strings.TrimSpace(field), "=")
		public, err := base64.StdEncoding.DecodeString(key)
		if !ok || !validName(name) || err != nil || len(public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("write each public key as name=key, the key in base64 and the name of letters, digits, " +
				"dots and dashes: `starter audit key` prints the line")
		}
		if k.trusted[name] != nil {
			return nil, fmt.Errorf("the name %q is there twice", name)
		}
		k.trusted[name] = public
	}
	if seed == "" {
		if len(k.trusted) == 0 {
			return nil, nil
		}
		return k, nil
	}
	raw, err := base64.StdEncoding.DecodeString(seed)
	if err != nil || len(raw) != ed25519.SeedSize {
		return nil, fmt.Errorf("a signing key is %d random bytes in base64 (openssl rand -base64 %d)",
			ed25519.SeedSize, ed25519.SeedSize)
	}
	k.private = ed25519.NewKeyFromSeed(raw)
	for name, public := range k.trusted {
		if public.Equal(k.private.Public()) {
			k.name = name
		}
	}
	if k.name == "" {
		return nil, errors.New("HARMSTACK_SIGNED_BY lacks the signing key's own public key: add a name, = and " +
			Public(k.private))
	}
	return k, nil
}

// Public is a private key's public key in base64.
func Public(key ed25519.PrivateKey) string {
	return base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

func validName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == ""
}

// Signs tells whether there is a key to sign with.
func (k *Keys) Signs() bool { return k != nil && k.private != nil }

// Checks tells whether there are keys to check with.
func (k *Keys) Checks() bool { return k != nil }

// Name is that of the key to sign with.
func (k *Keys) Name() string { return k.name }

// Names are those of the trusted keys, sorted.
func (k *Keys) Names() []string { return slices.Sorted(maps.Keys(k.trusted)) }

// Sign adds a signature to a record as the last member of its JSON object. The signature is of the bytes before it
// and of the record's name, so that no record can stand in another's place; it is the same whenever the bytes are.
// Without a key to sign with, the record stays as it is.
func (k *Keys) Sign(name string, record []byte) []byte {
	if !k.Signs() {
		return record
	}
	signed := Body(record)
	return attach(signed, k.name, ed25519.Sign(k.private, message(name, signed)))
}

// Check returns whose key signed a record of that name; ErrUnsigned or ErrForged when none did.
func (k *Keys) Check(name string, record []byte) (by string, err error) {
	signed := Body(record)
	rest := string(bytes.TrimPrefix(record, signed))
	rest, ok := strings.CutPrefix(strings.TrimLeft(rest, ",\n "), `"signature":`)
	if !ok {
		return "", ErrUnsigned
	}
	by, text, _ := strings.Cut(strings.Trim(rest, " \n\"}"), " ")
	signature, err := base64.StdEncoding.DecodeString(text)
	public := k.trusted[by]
	if err != nil || public == nil || !ed25519.Verify(public, message(name, signed), signature) ||
		!bytes.Equal(record, attach(signed, by, signature)) {
		return "", ErrForged
	}
	return by, nil
}

// Body is a record up to its signature, or to the brace that ends it: equal bodies are equal records.
func Body(record []byte) []byte {
	body := bytes.TrimRight(bytes.TrimSuffix(bytes.TrimRight(record, "\n "), []byte("}")), "\n ")
	// A quotation mark within a text is escaped: none of them looks like this.
	i := bytes.LastIndex(body, []byte(`"signature":`))
	if i > 0 && bytes.Count(body[i:], []byte{'"'}) == 4 && bytes.HasSuffix(body, []byte{'"'}) {
		if before := bytes.TrimRight(body[:i], "\n "); bytes.HasSuffix(before, []byte(",")) {
			return before[:len(before)-1]
		}
	}
	return body
}

func attach(signed []byte, by string, signature []byte) []byte {
	format := "%s,\"signature\":\"%s %s\"}\n"
	if bytes.HasPrefix(signed, []byte("{\n")) { // indented, as people read it
		format = "%s,\n  \"signature\": \"%s %s\"\n}\n"
	}
	return fmt.Appendf(nil, format, signed, by, base64.StdEncoding.EncodeToString(signature))
}

func message(name string, signed []byte) []byte {
	return append([]byte("harmstack record\x00"+name+"\x00"), signed...)
}

// Checkpoint is how long a log was, and its last record's hash: who keeps one can tell whether what it covers was
// changed or cut off since.
type Checkpoint struct {
	Origin string // which log
	Size   int    // its records
	Head   []byte // sha256 of the last of them
}

// Checkpoint signs one, in the format of C2SP's tlog-checkpoint: a note of origin, size and hash.
func (k *Keys) Checkpoint(c Checkpoint) ([]byte, error) {
	if !k.Signs() {
		return nil, errors.New("a checkpoint needs HARMSTACK_SIGNING_KEY")
	}
	verifier, err := verifier(k.name, k.trusted[k.name])
	if err != nil {
		return nil, err
	}
	// The package has no constructor that takes a seed; its text form is documented.
	seed := base64.StdEncoding.EncodeToString(append([]byte{1}, k.private.Seed()...))
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", k.name, verifier.KeyHash(), seed))
	if err != nil {
		return nil, errors.New("the signing key cannot sign checkpoints")
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Head))
	return note.Sign(&note.Note{Text: text}, signer)
}

// OpenCheckpoint reads a checkpoint that a trusted key signed. Text around it, as of a mail, is let be.
func (k *Keys) OpenCheckpoint(text []byte) (c Checkpoint, err error) {
	var all []note.Verifier
	for name, public := range k.trusted {
		v, err := verifier(name, public)
		if err != nil {
			return c, err
		}
		all = append(all, v)
	}
	n, err := note.Open(excerpt(text), note.VerifierList(all...))
	if err != nil { // a mail may be kept as it travelled, in quoted-printable
		plain := strings.NewReplacer("=\r\n", "", "=\n", "", "=E2=80=94", "—", "=3D", "=").Replace(string(text))
		n, err = note.Open(excerpt([]byte(plain)), note.VerifierList(all...))
	}
	if err != nil {
		return c, fmt.Errorf("the checkpoint: %w", ErrForged)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 3 {
		return c, errors.New("the checkpoint has not the three lines of one")
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.Atoi(lines[1]); err == nil {
		c.Head, err = base64.StdEncoding.DecodeString(lines[2])
	}
	if err != nil {
		return c, errors.New("the checkpoint has not the three lines of one")
	}
	return c, nil
}

// excerpt finds the note in a text: from the first line that may be an origin to the last signature.
func excerpt(text []byte) []byte {
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	for end := len(lines) - 1; end >= 0; end-- {
		if !strings.HasPrefix(lines[end], "— ") {
			continue
		}
		start := end
		for start > 0 && strings.HasPrefix(lines[start-1], "— ") {
			start--
		}
		if start >= 4 && lines[start-1] == "" {
			return []byte(strings.Join(lines[start-4:end+1], "\n") + "\n")
		}
	}
	return text
}

func verifier(name string, public ed25519.PublicKey) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(name, public)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(text)
}
