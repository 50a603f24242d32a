package digest

import (
	"net/url"
	"strings"

	"harmstack/schemas"
)

// Desk is the URL by which people reach the desk, without a slash at its end; empty: there is none.
type Desk string

// Team is the page of a team, Tasking that of a tasking, Night that of a night. Without a desk each is empty.
func (d Desk) Team(name string) string         { return d.page("teams", name) }
func (d Desk) Tasking(reference string) string { return d.page("taskings", reference) }
func (d Desk) Night(n schemas.NightID) string {
	return d.page(strings.Split(n.Path(), "/")...)
}

func (d Desk) page(elem ...string) string {
	if d == "" {
		return ""
	}
	link := string(d)
	for _, e := range elem {
		link += "/" + url.PathEscape(e)
	}
	return link
}
