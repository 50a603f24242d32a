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

// ParseKeys reads `id=base64`, several separated by commas or new lines. The first encrypts; the others
// only decrypt what is older. The error never repeats a key.
func ParseKeys(text string) ([]Key, error) {
	var keys []Key
	for _, field := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		id, encoded, ok := strings.Cut(field, "=")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || id == "" || err != nil || len(secret) != KeyBytes {
			return nil, fmt.Errorf(
				"payload key %d: write it as id=key, the key being %d random bytes in base64 (openssl rand -base64 %d)",
				len(keys)+1,
				KeyBytes,
				KeyBytes,
			)
		}
		for _, k := range keys {
			if k.ID == id {
				return nil, fmt.Errorf("payload key %d: its id is that of another: give each its own", len(keys)+1)
			}
		}
		keys = append(keys, Key{id, secret})
	}
	return keys, nil
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

// codec encrypts payloads with AES-256-GCM.
type codec struct {
	current string
	ciphers map[string]cipher.AEAD
}

func newCodec(keys []Key) (converter.PayloadCodec, error) {
	c := &codec{current: keys[0].ID, ciphers: map[string]cipher.AEAD{}}
	for _, k := range keys {
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

// Encode encrypts whole payloads, what they say of themselves included.
func (c *codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	encoded := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, err
		}
		encoded[i] = &commonpb.Payload{
			Metadata: map[string][]byte{
				converter.MetadataEncoding: []byte(encodingEncrypted),
				metadataKeyID:              []byte(c.current),
			},
			Data: c.ciphers[c.current].Seal(nil, nil, plain, []byte(c.current)),
		}
	}
	return encoded, nil
}

// Decode decrypts what Encode made, under any of the keys. Payloads from before there was a key pass as
// they are.
func (c *codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	decoded := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != encodingEncrypted {
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
		plain, err := aead.Open(nil, nil, p.Data, []byte(id))
		if err != nil {
			return nil, errors.New(
				"a payload cannot be decrypted: it was changed, or the configured key of that id is another",
			)
		}
		decoded[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, decoded[i]); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}
