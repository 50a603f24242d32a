package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func seed(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func public(b byte) string {
	return Public(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize)))
}

func keys(t *testing.T, seed, signedBy string) *Keys {
	t.Helper()
	k, err := Parse(seed, signedBy)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRecords(t *testing.T) {
	t.Parallel()
	worker := keys(t, seed(1), "worker="+public(1)+",old="+public(2))
	old := keys(t, seed(2), "old="+public(2))
	stranger := keys(t, seed(3), "worker="+public(3))
	compact, indented := []byte(`{"a":1,"b":"x\"signature\":"}`), []byte("{\n  \"a\": 1\n}\n")
	for _, c := range []struct {
		scenario string
		record   []byte
		by       string
		err      error
	}{
		{"a compact record", worker.Sign("k", compact), "worker", nil},
		{"an indented one", worker.Sign("k", indented), "worker", nil},
		{"signed twice is signed once", worker.Sign("k", worker.Sign("k", compact)), "worker", nil},
		{"by the key of before", old.Sign("k", compact), "old", nil},
		{"by the key of a stranger", stranger.Sign("k", compact), "", ErrForged},
		{"unsigned", compact, "", ErrUnsigned},
		{"of another name", worker.Sign("other", compact), "", ErrForged},
		{"a byte changed", bytes.Replace(worker.Sign("k", compact), []byte("1"), []byte("2"), 1), "", ErrForged},
		{"a byte more at the end", append(worker.Sign("k", compact), ' '), "", ErrForged},
		{"a member after the signature", bytes.Replace(worker.Sign("k", compact), []byte("\"}\n"), []byte("\",\"a\":2}\n"), 1), "", ErrUnsigned},
		{"the signature taken out", append(Body(worker.Sign("k", compact)), '}'), "", ErrUnsigned},
		{"nothing", nil, "", ErrUnsigned},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			by, err := worker.Check("k", c.record)
			if !errors.Is(err, c.err) || err == nil && by != c.by {
				t.Errorf("%q by %q: %v", c.record, by, err)
			}
			var read map[string]any
			if err := json.Unmarshal(c.record, &read); err != nil && len(c.record) > 0 {
				t.Errorf("%q is no JSON: %v", c.record, err)
			}
		})
	}
	if !bytes.Equal(worker.Sign("k", indented), worker.Sign("k", indented)) {
		t.Error("the same is signed in two ways")
	}
	var none *Keys
	if !bytes.Equal(none.Sign("k", compact), compact) || none.Checks() || none.Signs() {
		t.Error("no keys do something")
	}
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	worker := keys(t, seed(1), "worker="+public(1))
	c := Checkpoint{"harmstack/audit/abc", 17, bytes.Repeat([]byte{9}, 32)}
	signed, err := worker.Checkpoint(c)
	if err != nil {
		t.Fatal(err)
	}
	auditor := keys(t, "", "worker="+public(1)+"\nolder="+public(2))
	mail := "Dear auditor,\r\n\r\n" + strings.ReplaceAll(string(signed), "\n", "\r\n") + "\r\nGood morning\r\n"
	for scenario, text := range map[string][]byte{"alone": signed, "in a mail": []byte(mail)} {
		if got, err := auditor.OpenCheckpoint(text); err != nil || got.Size != 17 || got.Origin != c.Origin || !bytes.Equal(got.Head, c.Head) {
			t.Errorf("%s: %+v, %v", scenario, got, err)
		}
	}
	for scenario, text := range map[string][]byte{
		"another size": bytes.Replace(signed, []byte("\n17\n"), []byte("\n16\n"), 1),
		"none":         []byte("nothing"),
	} {
		if got, err := auditor.OpenCheckpoint(text); err == nil {
			t.Errorf("%s: %+v", scenario, got)
		}
	}
	if _, err := keys(t, "", "worker="+public(3)).OpenCheckpoint(signed); !errors.Is(err, ErrForged) {
		t.Errorf("by a stranger: %v", err)
	}
	if _, err := auditor.Checkpoint(c); err == nil {
		t.Error("signed without a key")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	if k, err := Parse(None, None); k != nil || err != nil {
		t.Errorf("none: %v, %v", k, err)
	}
	for scenario, c := range map[string][2]string{
		"its own public key is missing": {seed(1), "worker=" + public(2)},
		"a short seed":                  {"aHVudGVyMg==", "worker=" + public(1)},
		"a name twice":                  {"", "a=" + public(1) + ",a=" + public(2)},
		"a name with a blank":           {"", "a b=" + public(1)},
		"no key":                        {"", "worker"},
	} {
		if _, err := Parse(c[0], c[1]); err == nil || strings.Contains(err.Error(), c[0]) && c[0] != "" {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}
