package attest_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"harmstack/activities/trust/attest"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

func seed(fill byte) []byte { return bytes.Repeat([]byte{fill}, ed25519.SeedSize) }

func public(fill byte) ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(seed(fill)).Public().(ed25519.PublicKey)
}

func signer(t *testing.T, id string, fill byte) *attest.Signer {
	t.Helper()
	s, err := attest.NewSigner(id, seed(fill))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var now = time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)

// What is attested counts for that act alone, and only today.
func TestVerify(t *testing.T) {
	t.Parallel()
	request := schemas.DecisionRequest{Revision: 1, ManifestSHA256: strings.Repeat("a", 64), By: "Supt A. Officer", Reason: "Checked"}
	digest, err := attest.Digest(request)
	if err != nil {
		t.Fatal(err)
	}
	statement := attest.Statement{Subject: "u1", Name: "Supt A. Officer", Roles: []string{"officer"}, Act: "approve",
		Target: "decision-2026-06-30-r1", Request: digest, Manifest: request.ManifestSHA256}
	gate := signer(t, "desk", 1)
	token, err := gate.Sign(statement, now)
	if err != nil {
		t.Fatal(err)
	}
	changed := request
	changed.Reason = "Another"
	act := attest.Act{Do: "approve", Target: statement.Target, Request: request, Manifest: request.ManifestSHA256}
	with := func(change func(*attest.Act)) attest.Act {
		a := act
		change(&a)
		return a
	}
	nameless := statement
	nameless.Subject = ""
	sign := func(s *attest.Signer, st attest.Statement) string {
		token, err := s.Sign(st, now)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	parts := strings.Split(token, ".")
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	altered := parts[0] + "." + base64.RawURLEncoding.EncodeToString(bytes.Replace(payload, []byte("u1"), []byte("u2"), 1)) + "." + parts[2]
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"desk"}`)) + "." + parts[1] + "."
	for _, c := range []struct {
		scenario, token string
		act             attest.Act
		at              time.Time
		want            string // in the refusal; empty: believed
	}{
		{"as it was asked for", token, act, now, ""},
		{"a day later", token, act, now.Add(attest.MaxAge), ""},
		{"more than a day later", token, act, now.Add(attest.MaxAge + time.Second), "older than a day"},
		{"of a clock that is a little ahead", token, act, now.Add(-4 * time.Minute), ""},
		{"of the future", token, act, now.Add(-time.Hour), "of the future"},
		{"another act", token, with(func(a *attest.Act) { a.Do = "hold" }), now, "another act"},
		{"another night", token, with(func(a *attest.Act) { a.Target = "decision-2026-06-29-r1" }), now, "another workflow"},
		{"a night that is not the workflow's", token, with(func(a *attest.Act) { a.About = "2026-06-29-r1" }), now, "another night or tasking"},
		{"the workflow's own night", token, with(func(a *attest.Act) { a.About = "2026-06-30-r1" }), now, ""},
		{"other words", token, with(func(a *attest.Act) { a.Request = changed }), now, "another request"},
		{"another manifest", token, with(func(a *attest.Act) { a.Manifest = "b" }), now, "another manifest"},
		{"nothing", "", act, now, "nobody has verified"},
		{"no statement", "hunter2", act, now, "cannot be read"},
		{"altered after it was signed", altered, act, now, "signature is wrong"},
		{"of the algorithm none", unsigned, act, now, "cannot be read"},
		{"of a desk nobody knows", sign(signer(t, "other", 2), statement), act, now, "no key is configured"},
		{"of another desk under the name of ours", sign(signer(t, "desk", 2), statement), act, now, "signature is wrong"},
		{"of nobody", sign(gate, nameless), act, now, "names nobody"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			got, err := attest.Keys{"desk": public(1)}.Verify(c.token, c.act, c.at)
			if c.want == "" {
				if err != nil || got.Subject != "u1" || got.Issuer != "desk" || got.ID == "" {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.Kind(err) != fault.NotAttested ||
				strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
		})
	}
}

// Another text that the gate's key signed, a session say, is no attestation.
func TestOtherSignedTextIsNone(t *testing.T) {
	t.Parallel()
	key := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(seed(1)), KeyID: "desk"}}
	s, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(attest.Statement{Issuer: "desk", Subject: "u1", Name: "x", Act: "approve", At: now.Unix(), ID: "1"})
	signed, err := s.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := signed.CompactSerialize()
	if _, err := (attest.Keys{"desk": public(1)}).Open(token); err == nil || !strings.Contains(err.Error(), "signature is wrong") {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(public(1))
	if keys, err := attest.ParseKeys("a=" + good + ",\n b=" + good); err != nil || len(keys) != 2 {
		t.Errorf("%v, %v", keys, err)
	}
	for scenario, text := range map[string]string{
		"no id": "=" + good, "no key": "a=", "no base64": "a=hunter2!", "too short": "a=aHVudGVyMg==", "twice": "a=" + good + ",a=" + good,
	} {
		if _, err := attest.ParseKeys(text); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), good) {
			t.Errorf("%s: %v", scenario, err)
		}
	}
	if _, err := attest.ParseSigner("desk=" + base64.StdEncoding.EncodeToString(seed(1))); err != nil {
		t.Error(err)
	}
	if _, err := attest.ParseSigner("hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
