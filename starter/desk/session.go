package desk

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"
)

// How long a session lasts, at most and without a request, and how many there are at once. They live in the memory of
// the desk: who signs in after a restart signs in again.
const (
	sessionTime = 8 * time.Hour
	sessionIdle = time.Hour
	signInTime  = 10 * time.Minute
	maxSessions = 10_000
)

// session is one browser that somebody signed in with.
type session struct {
	person    Person
	ends, due time.Time // at most, and without a request
}

// pending is a sign-in that has begun: what the answer of the provider must match.
type pending struct {
	nonce, verifier, next string
	ends                  time.Time
}

type sessions struct {
	now     func() time.Time
	mu      sync.Mutex
	open    map[string]session
	pending map[string]pending // by state
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, open: map[string]session{}, pending: map[string]pending{}}
}

// start makes a session and returns its secret.
func (s *sessions) start(p Person) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.clean(now)
	id := rand.Text()
	s.open[id] = session{p, now.Add(sessionTime), now.Add(sessionIdle)}
	return id
}

// clean forgets what is over, and the sessions that end first when there are too many.
func (s *sessions) clean(now time.Time) {
	for id, o := range s.open {
		if now.After(o.ends) || now.After(o.due) {
			delete(s.open, id)
		}
	}
	for state, p := range s.pending {
		if now.After(p.ends) {
			delete(s.pending, state)
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

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// begin notes a sign-in and returns its state; ok is false when too many have begun.
func (s *sessions) begin(p pending) (state string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clean(s.now())
	if len(s.pending) >= maxSessions {
		return "", false
	}
	state, p.ends = rand.Text(), s.now().Add(signInTime)
	s.pending[state] = p
	return state, true
}

// finish takes a sign-in that has begun. It can be finished once.
func (s *sessions) finish(state string) (p pending, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok = s.pending[state]
	delete(s.pending, state)
	return p, ok && !s.now().After(p.ends)
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
