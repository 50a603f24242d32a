package pseudonym_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/casework/pseudonym"
)

// The expectation is test case 1 of RFC 4231 with its key filled up with zeros to 32 bytes, which HMAC
// does itself: b0344c61d8db38535ca8 in Crockford's base32.
func TestPseudonym(t *testing.T) {
	key := append(bytes.Repeat([]byte{0x0b}, 20), make([]byte, 12)...)
	of, err := pseudonym.New(key)
	if err != nil {
		t.Fatal(err)
	}
	if got := of("Hi There"); got != "p0t4-rrer-vcw5-6q58" {
		t.Errorf("got %s", got)
	}
	key[0]++
	if got := of("Hi There"); got != "p0t4-rrer-vcw5-6q58" {
		t.Errorf("the caller's key was not copied: %s", got)
	}
}

func TestPseudonymsDiffer(t *testing.T) {
	one, _ := pseudonym.New(bytes.Repeat([]byte{1}, pseudonym.KeyBytes))
	two, _ := pseudonym.New(bytes.Repeat([]byte{2}, pseudonym.KeyBytes))
	form := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$`)
	seen := map[string]bool{}
	for i := range 10_000 {
		id := fmt.Sprint("S", i)
		for _, p := range []string{one(id), two(id)} {
			if seen[p] || !form.MatchString(p) {
				t.Fatalf("%s is not unique or not of the form", p)
			}
			seen[p] = true
		}
	}
	if one("a") == one("A") || one("a") == one("a ") {
		t.Error("ids are exact: case and space count")
	}
}

func TestShortKey(t *testing.T) {
	if _, err := pseudonym.New(make([]byte, 31)); err == nil || !strings.Contains(err.Error(), "31 bytes") {
		t.Errorf("got %v", err)
	}
}

// Who was tasked under an older key keeps that name; everybody else goes by the newest.
func TestNamesAfterARotation(t *testing.T) {
	t.Parallel()
	old, next := bytes.Repeat([]byte{1}, pseudonym.KeyBytes), bytes.Repeat([]byte{2}, pseudonym.KeyBytes)
	was, err := pseudonym.New(old)
	if err != nil {
		t.Fatal(err)
	}
	is, err := pseudonym.New(next)
	if err != nil {
		t.Fatal(err)
	}
	n, err := pseudonym.Open([][]byte{next, old}, []string{was("S-1"), was.Restricted("S-2")})
	if err != nil {
		t.Fatal(err)
	}
	var name pseudonym.Func = n.Name
	for _, c := range []struct {
		id         string
		restricted bool
		want, seen string
	}{
		{"S-1", false, was("S-1"), was("A")}, {"S-1", true, is.Restricted("S-1"), is("A")},
		{"S-2", false, is("S-2"), is("A")}, {"S-2", true, was.Restricted("S-2"), was("A")}, {"S-3", false, is("S-3"), is("A")},
	} {
		got := name(c.id)
		if c.restricted {
			got = name.Restricted(c.id)
		}
		if got != c.want || n.For(c.id, c.restricted)("A") != c.seen {
			t.Errorf("%s, restricted %v: %s", c.id, c.restricted, got)
		}
	}
	all := n.All([]string{"S-1"})
	for _, want := range []string{was("S-1"), is("S-1"), was.Restricted("S-1"), is.Restricted("S-1")} {
		if !slices.Contains(all, want) {
			t.Errorf("%q lacks %s", all, want)
		}
	}
	if _, err := pseudonym.Open(nil, nil); err == nil {
		t.Error("no key is no error")
	}
}
