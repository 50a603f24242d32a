package desk

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How long a session lasts, at most and without a request, and how many there are at once. They live in the memory of
// the desk: after a restart everybody signs in again.
const (
	sessionTime = 8 * time.Hour
	sessionIdle = time.Hour
	signInTime  = 10 * time.Minute
	whyTime     = 15 * time.Minute // a page with ids may be looked at again for the same reason
	maxSessions = 10_000
)

// How much one person may ask, in a second and at once: as much as the web UI does to show a page of a long history,
// and no more than the log, which notes each request, can take.
const (
	maxRate  = 20
	maxBurst = 1000
)

// session is one browser that somebody signed in with.
type session struct {
	person    Person
	ends, due time.Time // at most, and without a request
	why       map[string]justification
}

// justification is why a person looks at the ids of one page.
type justification struct {
	why  string
	ends time.Time
}

type sessions struct {
	now   func() time.Time
	mu    sync.Mutex
	open  map[string]session
	pace  map[string]*rate.Limiter // by subject
	signs cipher.AEAD              // seals what a sign-in that has begun must remember
}

func newSessions(now func() time.Time) *sessions {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // which never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only of a key of another length
	}
	signs, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only of another cipher
	}
	return &sessions{now: now, open: map[string]session{}, pace: map[string]*rate.Limiter{}, signs: signs}
}

// start makes a session and returns its secret.
func (s *sessions) start(p Person) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.clean(now)
	id := rand.Text()
	s.open[id] = session{p, now.Add(sessionTime), now.Add(sessionIdle), map[string]justification{}}
	return id
}

// clean forgets what is over, and the sessions that end first when there are too many.
func (s *sessions) clean(now time.Time) {
	for id, o := range s.open {
		if now.After(o.ends) || now.After(o.due) {
			delete(s.open, id)
		}
	}
	for len(s.open) >= maxSessions {
		first := ""
		for id, o := range s.open {
			if first == "" || o.ends.Before(s.open[first].ends) {
				first = id
			}
		}
		delete(s.open, first)
	}
}

func (s *sessions) find(id string) (Person, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.open[id]
	now := s.now()
	if !ok || now.After(o.ends) || now.After(o.due) {
		delete(s.open, id)
		return Person{}, false
	}
	o.due = now.Add(sessionIdle)
	s.open[id] = o
	return o.person, true
}

// justify remembers why the person of a session looks at a page.
func (s *sessions) justify(id, page, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.open[id]; ok {
		now := s.now()
		for page, j := range o.why {
			if now.After(j.ends) {
				delete(o.why, page)
			}
		}
		o.why[page] = justification{why, now.Add(whyTime)}
	}
}

// justified is why they do, as far as that was said not long ago; empty: it was not.
func (s *sessions) justified(id, page string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.open[id].why[page]; !s.now().After(j.ends) {
		return j.why
	}
	return ""
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// tooMuch tells whether a person asks more than one can.
func (s *sessions) tooMuch(p Person) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pace) >= maxSessions {
		clear(s.pace)
	}
	l, ok := s.pace[p.Subject]
	if !ok {
		l = rate.NewLimiter(maxRate, maxBurst)
		s.pace[p.Subject] = l
	}
	return !l.AllowN(s.now(), 1)
}

// pending is a sign-in that has begun: what the provider's answer must match. It lies, sealed, in a cookie of the
// browser that began, so that nobody fills the desk's memory by beginning many. The provider takes each code once.
type pending struct {
	State, Nonce, Verifier, Next string
	Ends                         time.Time
}

func (s *sessions) seal(p pending) (string, error) {
	data, err := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(s.signs.Seal(nil, nil, data, nil)), err
}

// unseal is the sign-in of a cookie; ok is false when this desk did not make it, or it is over.
func (s *sessions) unseal(cookie string) (p pending, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return p, false
	}
	data, err := s.signs.Open(nil, nil, sealed, nil)
	return p, err == nil && json.Unmarshal(data, &p) == nil && !s.now().After(p.Ends)
}

// cookieName is one that no other host, and no plain HTTP, can set where the desk is reached by TLS.
func (d *Desk) cookieName() string {
	if d.URL.Scheme == "https" {
		return "__Host-harmstack"
	}
	return "harmstack"
}

func (d *Desk) cookie(name, value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: d.URL.Scheme == "https", MaxAge: int(age.Seconds())}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}
