package plugin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

func key(id string, fill byte) Key { return Key{id, bytes.Repeat([]byte{fill}, KeyBytes)} }

func mustCodec(t *testing.T, keys ...Key) converter.PayloadCodec {
	t.Helper()
	return mustCodecOf(t, Encryption{Keys: keys, Namespace: "harm"})
}

func mustCodecOf(t *testing.T, e Encryption) converter.PayloadCodec {
	t.Helper()
	c, err := e.Codec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCodec(t *testing.T) {
	payload := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain"), "note": []byte("metadata-secret")}, Data: []byte(`"data-secret"`)}
	old, now := mustCodec(t, key("2025", 1)), mustCodec(t, key("2026", 2), key("2025", 1))
	sealed, err := now.Encode([]*commonpb.Payload{payload, payload})
	if err != nil {
		t.Fatal(err)
	}
	wire, _ := proto.Marshal(sealed[0])
	if bytes.Contains(wire, []byte("secret")) || string(sealed[0].Metadata["encryption-key-id"]) != "2026" || string(sealed[0].Metadata["encoding"]) != "binary/encrypted" {
		t.Errorf("%q", wire)
	}
	if bytes.Equal(sealed[0].Data, sealed[1].Data) {
		t.Error("equal payloads are equal on the wire")
	}
	before, err := old.Encode([]*commonpb.Payload{payload})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scenario string
		payload  *commonpb.Payload
	}{{"of the current key", sealed[0]}, {"of the key before", before[0]}} {
		t.Run(c.scenario, func(t *testing.T) {
			got, err := now.Decode([]*commonpb.Payload{c.payload})
			if err != nil || !proto.Equal(got[0], payload) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	changed := proto.Clone(sealed[0]).(*commonpb.Payload)
	changed.Data[len(changed.Data)-1] ^= 1
	renamed := proto.Clone(sealed[0]).(*commonpb.Payload)
	renamed.Metadata["encryption-key-id"] = []byte("2025")
	short := proto.Clone(sealed[0]).(*commonpb.Payload)
	short.Data = short.Data[:5]
	elsewhere, err := mustCodecOf(t, Encryption{Keys: []Key{key("2026", 2)}, Namespace: "other"}).Encode([]*commonpb.Payload{payload})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scenario, want string
		payload        *commonpb.Payload
	}{
		{"one bit changed", "cannot be decrypted", changed}, {"another key's id", "cannot be decrypted", renamed},
		{"cut short", "cannot be decrypted", short}, {"copied from another namespace", "another namespace", elsewhere[0]},
		{"in clear", "not encrypted", payload}, {"without a word on what it is", "not encrypted", &commonpb.Payload{Data: []byte("{}")}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if _, err := now.Decode([]*commonpb.Payload{c.payload}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
	unbound, err := mustCodecOf(t, Encryption{Keys: []Key{key("2025", 1)}}).(*codec).unbound(payload)
	if err != nil {
		t.Fatal(err)
	}
	migrating := mustCodecOf(t, Encryption{Keys: []Key{key("2026", 2), key("2025", 1)}, Namespace: "harm", Older: true})
	for scenario, p := range map[string]*commonpb.Payload{
		"from before there was a key": payload, "from before namespaces counted": unbound, "of now": sealed[0]} {
		t.Run("while keys are brought in: "+scenario, func(t *testing.T) {
			if got, err := migrating.Decode([]*commonpb.Payload{p}); err != nil || !proto.Equal(got[0], payload) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	if _, err := now.Decode([]*commonpb.Payload{unbound}); err == nil {
		t.Error("a payload that is bound to no namespace was read")
	}
	if _, err := old.Decode(sealed); err == nil || !strings.Contains(err.Error(), `"2026"`) {
		t.Errorf("a key that is not configured: %v", err)
	}
}

// unbound is a payload as it was written before namespaces counted.
func (c *codec) unbound(p *commonpb.Payload) (*commonpb.Payload, error) {
	plain, err := proto.Marshal(p)
	id := c.of.Keys[0].ID
	return &commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encodingEncrypted), metadataKeyID: []byte(id)},
		Data:     c.ciphers[id].Seal(nil, nil, plain, []byte(id)),
	}, err
}

// An event tells under which key it was written, also where that key is not known.
func TestUnknownKey(t *testing.T) {
	plain := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`1`)}
	sealed, err := mustCodec(t, key("2026", 2)).Encode([]*commonpb.Payload{plain})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scenario string
		payload  *commonpb.Payload
		keys     []Key
		want     string
	}{
		{"in clear, without keys", plain, nil, ""}, {"in clear, with a key", plain, []Key{key("2026", 2)}, ""},
		{"encrypted, with its key", sealed[0], []Key{key("2027", 3), key("2026", 2)}, ""},
		{"encrypted, without keys", sealed[0], nil, "2026"}, {"encrypted, with another", sealed[0], []Key{key("2025", 1)}, "2026"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			event := &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_ActivityTaskScheduledEventAttributes{
				ActivityTaskScheduledEventAttributes: &historypb.ActivityTaskScheduledEventAttributes{
					Input: &commonpb.Payloads{Payloads: []*commonpb.Payload{plain, c.payload}}}}}
			if got, err := UnknownKey(t.Context(), event, c.keys); err != nil || got != c.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestParseKeys(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, KeyBytes))
	keys, older, err := ParseKeys("b=" + good + ",\n a=" + good + "\n")
	if err != nil || older || len(keys) != 2 || keys[0].ID != "b" || keys[1].ID != "a" || len(keys[1].Secret) != KeyBytes {
		t.Errorf("%v, %v", keys, err)
	}
	if keys, _, err := ParseKeys(" \n"); err != nil || keys != nil {
		t.Errorf("%v, %v", keys, err)
	}
	if keys, older, err := ParseKeys("b=" + good + ",older"); err != nil || !older || len(keys) != 1 {
		t.Errorf("%v, %v, %v", keys, older, err)
	}
	for scenario, text := range map[string]string{
		"no id": "=" + good, "no key": "a=", "no base64": "a=hunter2!", "too short": "a=aHVudGVyMg==", "not a pair": "hunter2", "twice the same id": "a=" + good + " a=" + good, "older alone": "older",
	} {
		if _, _, err := ParseKeys(text); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), good) {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}

// The text and the stack of an error are payloads too; a refusal, which holds nothing personal, says in clear what to do.
func TestFailuresAreEncrypted(t *testing.T) {
	p, err := New(Encryption{Keys: []Key{key("k", 1)}, Namespace: "harm"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var options client.Options
	if err := p.ConfigureClient(t.Context(), client.PluginConfigureClientOptions{ClientOptions: &options}); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("secret cause")
	for _, c := range []struct {
		scenario string
		err      error
		clear    bool
	}{
		{"a refusal", temporal.NewNonRetryableApplicationError("words for all", "Kind", cause, "secret detail"), true},
		{"what is tried again", temporal.NewApplicationErrorWithCause("secret words for all", "Kind", cause, "secret detail"), false},
		{"any error", fmt.Errorf("secret words for all: %w", cause), false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			failure := options.FailureConverter.ErrorToFailure(c.err)
			wire, err := proto.Marshal(failure)
			if err != nil || bytes.Contains(wire, []byte("secret")) || bytes.Contains(wire, []byte("words for all")) != c.clear {
				t.Errorf("%v, %s", err, failure)
			}
			back := options.FailureConverter.FailureToError(failure)
			if !strings.Contains(back.Error(), "words for all") || !strings.Contains(back.Error(), "secret cause") {
				t.Error(back)
			}
		})
	}
}
