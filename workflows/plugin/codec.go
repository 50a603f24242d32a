package plugin

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"harmstack/schemas/text"
)

// KeyBytes is the length of a payload key: AES-256.
const KeyBytes = 32

// Key is one payload key. Its id stands in plain text beside what it encrypts.
type Key struct {
	ID     string
	Secret []byte
}

// Older stands after the keys while a namespace is brought under them: what was written in clear, or before a payload
// was bound to its namespace, is read too.
const Older = "older"

// Encryption is how the payloads of one namespace are written and read. Its zero value is plain text.
type Encryption struct {
	Keys      []Key // the first encrypts, the others only decrypt; none: plain text
	Older     bool  // also reads what is older than the keys, see the constant
	Namespace string
	// Refused is told of what is refused before an activity sees it; nil: nobody is.
	Refused Refusals
}

// ParseKeys reads `id=base64`, several separated by commas or new lines, and the word Older at the end. The first
// encrypts; the others only decrypt what is older. The error never repeats a key.
func ParseKeys(text string) (keys []Key, older bool, err error) {
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		if field == Older && len(keys) > 0 {
			older = true
			continue
		}
		id, encoded, ok := strings.Cut(field, "=")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || id == "" || err != nil || len(secret) != KeyBytes {
			return nil, false, fmt.Errorf(
				"payload key %d: write it as id=key, the key being %d random bytes in base64 (openssl rand -base64 %d)",
				len(keys)+1,
				KeyBytes,
				KeyBytes,
			)
		}
		for _, k := range keys {
			if k.ID == id {
				return nil, false, fmt.Errorf("payload key %d: its id is that of another: give each its own", len(keys)+1)
			}
		}
		keys = append(keys, Key{id, secret})
	}
	return keys, older, nil
}

// UnknownKey names the key of the first payload in m, an event of a history for one, that is encrypted under none of
// the keys. It is empty when all of m can be read.
func UnknownKey(ctx context.Context, m proto.Message, keys []Key) (id string, err error) {
	err = proxy.VisitPayloads(ctx, m, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true, // which are never encrypted
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			for _, p := range payloads {
				of := string(p.GetMetadata()[metadataKeyID])
				if id == "" && string(p.GetMetadata()[converter.MetadataEncoding]) == encodingEncrypted &&
					!slices.ContainsFunc(keys, func(k Key) bool { return k.ID == of }) {
					id = of
				}
			}
			return payloads, nil
		},
	})
	return id, err
}

const (
	encodingEncrypted = "binary/encrypted"
	metadataKeyID     = "encryption-key-id"
)

// codec encrypts payloads with AES-256-GCM. Bound to each are its key's id and the namespace: whoever copies one to
// another namespace, or writes one without the key, is refused.
type codec struct {
	of      Encryption
	ciphers map[string]cipher.AEAD
}

// Codec writes and reads payloads; it needs a key.
func (e Encryption) Codec() (converter.PayloadCodec, error) {
	if len(e.Keys) == 0 {
		return nil, errors.New("there is no payload key to encrypt with")
	}
	c := &codec{of: e, ciphers: map[string]cipher.AEAD{}}
	for _, k := range e.Keys {
		if len(k.Secret) != KeyBytes {
			return nil, fmt.Errorf("a payload key has %s, not %d", text.Count(len(k.Secret), "byte"), KeyBytes)
		}
		block, err := aes.NewCipher(k.Secret)
		if err != nil {
			return nil, err
		}
		// The nonce is drawn for each payload and stands before it: 96 random bits are enough for four billion
		// payloads a key.
		if c.ciphers[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// bound is what a payload is bound to. A namespace has no zero byte.
func (c *codec) bound(id string) []byte { return []byte(id + "\x00" + c.of.Namespace) }

// Encode encrypts whole payloads, what they say of themselves included.
func (c *codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	encoded := make([]*commonpb.Payload, len(payloads))
	id := c.of.Keys[0].ID
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, err
		}
		encoded[i] = &commonpb.Payload{
			Metadata: map[string][]byte{
				converter.MetadataEncoding: []byte(encodingEncrypted),
				metadataKeyID:              []byte(id),
			},
			Data: c.ciphers[id].Seal(nil, nil, plain, c.bound(id)),
		}
	}
	return encoded, nil
}

// ErrPlain says that somebody sent a payload in clear where there are keys.
var ErrPlain = errors.New("a payload is not encrypted, and what is not encrypted is refused here: " +
	"send it by the desk, by a starter that has the keys, or from a web UI with the desk's codec endpoint")

// Decode decrypts what Encode made, under any of the keys.
func (c *codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	decoded := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != encodingEncrypted {
			if !c.of.Older {
				c.of.Refused.tell(Refusal{Did: "sent a payload in clear", Why: ErrPlain})
				return nil, ErrPlain
			}
			decoded[i] = p
			continue
		}
		id := string(p.Metadata[metadataKeyID])
		aead, ok := c.ciphers[id]
		if !ok {
			return nil, fmt.Errorf(
				"a payload is encrypted with the key %q, which is not configured: add it after the current one",
				id,
			)
		}
		plain, err := aead.Open(nil, nil, p.Data, c.bound(id))
		if err != nil && c.of.Older {
			plain, err = aead.Open(nil, nil, p.Data, []byte(id))
		}
		if err != nil {
			return nil, errors.New("a payload cannot be decrypted: it was changed, it is of another namespace, " +
				"or the configured key of that id is another")
		}
		decoded[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, decoded[i]); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}
