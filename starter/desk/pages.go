package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/nights/casefile"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// page is one address that a browser opens: a noun that one can mail. A person must be signed in for it, and have a role
// that allows one of its acts; none: whoever is signed in.
type page struct {
	path     string
	acts     []string
	template string // pages/<template>.html
	title    string
	// show is what the template prints.
	show func(d *Desk, r *http.Request, p Person) (any, error)
	// act does what a form of the page asks for, and says which page to go to then; nil: it has none. What is refused is
	// said on the page, above what was typed.
	act func(d *Desk, r *http.Request, p Person) (next string, err error)
}

// Every page. A test holds that each is tried by every role.
var pages = slices.Concat(nightPages, peoplePages, teamPages, overseePages)

func (d *Desk) pageRoutes(mux *http.ServeMux) {
	for _, t := range pages {
		mux.HandleFunc("GET "+t.path, func(w http.ResponseWriter, r *http.Request) { d.open(w, r, t) })
		if t.act != nil {
			mux.HandleFunc("POST "+t.path, func(w http.ResponseWriter, r *http.Request) { d.open(w, r, t) })
		}
	}
	mux.HandleFunc("GET /static/{name}", static)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.wrong(w, r, Person{}, fault.New(unknownCall, "there is no such page: the menu leads to all there are"))
	})
}

var (
	//go:embed pages/*.html
	pageFiles embed.FS
	//go:embed static
	staticFiles embed.FS

	// templates are the pages by name, each with the layout around it.
	templates = parse()
	// assets are the names under which the static files are served, with a hash, so that they may be kept for ever.
	assets, assetData = hashed()
)

func parse() map[string]*template.Template {
	files, err := fs.Glob(pageFiles, "pages/*.html")
	if err != nil {
		panic(err)
	}
	base := template.Must(template.New("").Funcs(functions).ParseFS(pageFiles, "pages/layout.html", "pages/parts.html"))
	all := map[string]*template.Template{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		all[name] = template.Must(template.Must(base.Clone()).ParseFS(pageFiles, file))
	}
	return all
}

func hashed() (names map[string]string, data map[string][]byte) {
	names, data = map[string]string{}, map[string][]byte{}
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		content, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		stem, ext, _ := strings.Cut(f.Name(), ".")
		name := stem + "-" + hex.EncodeToString(sum[:8]) + "." + ext
		names[f.Name()], data[name] = "/static/"+name, content
	}
	return names, data
}

func static(w http.ResponseWriter, r *http.Request) {
	data, ok := assetData[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, r.PathValue("name"), time.Time{}, bytes.NewReader(data))
}

// functions are what templates call: the words and figures of the command line.
var functions = template.FuncMap{
	"n":         func(n any) string { return text.Number(whole(n)) },
	"count":     func(n any, noun string, plural ...string) string { return text.Count(whole(n), noun, plural...) },
	"days":      text.Days,
	"countDays": text.CountDays,
	"when":      func(t time.Time) string { return t.In(schemas.London).Format("2 January 2006, 15:04") },
	"day":       func(t time.Time) string { return t.In(schemas.London).Format("2 January 2006") },
	"micro":     func(us int64) string { return time.UnixMicro(us).In(schemas.London).Format("2 Jan 2006") },
	"date":      func(d schemas.Date) string { return d.Start().Format("Monday 2 January 2006") },
	"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"took":      func(d time.Duration) string { return d.Round(time.Second).String() },
	"hours":     inWords,
	"words":     func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"night":     nightPath,
	"team":      teamPath,
	"bcu":       func(name string) string { return "/bcus/" + url.PathEscape(name) },
	"alleged":   digest.FactsText,
	"direction": casefile.Direction,
	"asset":     func(name string) string { return assets[name] },
	"text": func(s *string) string {
		if s == nil {
			return "not known"
		}
		return *s
	},
	// values hands a part of a page several values by name.
	"values": func(pairs ...any) (map[string]any, error) {
		if len(pairs)%2 != 0 {
			return nil, errors.New("values: give names and values")
		}
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[fmt.Sprint(pairs[i])] = pairs[i+1]
		}
		return m, nil
	},
}

func whole(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	}
	panic(fmt.Sprintf("%T is no count", n))
}

// nightPath is the page of a night.
func nightPath(id schemas.NightID) string { return fmt.Sprintf("/nights/%s/r%d", id.AsOf, id.Revision) }

// frame is what the layout prints around a page.
type frame struct {
	Title, Path string
	Person      *Person
	Menu        []link
	Claimed     bool
	People      []Person // of a demo
	CSRF        string
	Problem     *Problem
	// Form is what was typed when it was refused.
	Form url.Values
	Page any
}

// link is one entry of the menu.
type link struct {
	Path, Name string
	Here       bool
}

// open answers with a page, after doing what its form asks for.
func (d *Desk) open(w http.ResponseWriter, r *http.Request, t page) {
	if t.path == "/nights/{as_of}/{revision}" || strings.HasPrefix(t.path, "/nights/{as_of}/{revision}/") {
		r.SetPathValue("night", r.PathValue("as_of")+"-"+r.PathValue("revision"))
	}
	p, err := d.mayAsk(r, r.Method+" "+t.path, t.acts, true)
	if fault.Kind(err) == notSignedIn {
		d.mustSignIn(w, r)
		return
	}
	if err != nil {
		d.wrong(w, r, p, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actTime)
	defer cancel()
	r = r.WithContext(ctx)
	f, code := frame{Title: t.title}, http.StatusOK
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next, err := d.act(r, p, t)
		if err == nil {
			http.Redirect(w, r, next, http.StatusSeeOther)
			return
		}
		var problem Problem
		if code, problem = d.problem(r, err); code == http.StatusNotFound { // there is no page to say it on
			d.wrong(w, r, p, err)
			return
		}
		f.Problem, f.Form = &problem, r.PostForm
	}
	if f.Page, err = t.show(d, r, p); err != nil {
		d.wrong(w, r, p, err)
		return
	}
	if whole, ok := f.Page.(interface{ send(http.ResponseWriter) }); ok {
		whole.send(w)
		return
	}
	if of, ok := f.Page.(titled); ok {
		f.Title = of.title()
	}
	name := t.template
	if _, ok := f.Page.(askWhy); ok {
		name = "why"
	}
	d.render(w, r, p, code, name, f)
}

// titled is a page whose title says what it is about.
type titled interface{ title() string }

// standalone is a page that stands by itself, with its own style: a report, a pack.
type standalone []byte

// send lets the one style through that the page holds, and nothing else.
func (page standalone) send(w http.ResponseWriter) {
	_, style, _ := bytes.Cut(page, []byte("<style>"))
	style, _, _ = bytes.Cut(style, []byte("</style>"))
	sum := sha256.Sum256(style)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page)
}

// act does what a form asks for, when it is one that this browser was given.
func (d *Desk) act(r *http.Request, p Person, t page) (next string, err error) {
	if err := r.ParseForm(); err != nil {
		return "", fault.New(fault.BadRequest, "the form is too large, or none: shorten what you wrote")
	}
	if subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(d.csrf(r))) != 1 {
		return "", fault.New(otherSite, "the form is not of this sign-in: it is shown anew, do it once more")
	}
	return t.act(d, r, p)
}

// csrf is the token that every form of a session holds, and no other site knows.
func (d *Desk) csrf(r *http.Request) string {
	cookie, err := r.Cookie(d.cookieName())
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte("form " + cookie.Value))
	return hex.EncodeToString(sum[:16])
}

// mustSignIn leads to the sign-in, and back.
func (d *Desk) mustSignIn(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		d.signInPage(w, r, http.StatusUnauthorized, "Your sign-in has ended, so nothing was done. Sign in, and do it again.")
	case d.Provider == nil || r.URL.Path == "/":
		d.signInPage(w, r, http.StatusOK, "")
	default:
		http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	}
}

// wrong is the page that says why there is no other.
func (d *Desk) wrong(w http.ResponseWriter, r *http.Request, p Person, err error) {
	code, problem := d.problem(r, err)
	if p.Subject == "" {
		p, _ = d.who(r)
	}
	d.render(w, r, p, code, "problem", frame{Title: "This did not work", Page: problem})
}

// render writes a page. It is made whole first: half a page would be taken for all there is.
func (d *Desk) render(w http.ResponseWriter, r *http.Request, p Person, code int, name string, f frame) {
	f.Path, f.Claimed, f.CSRF = r.URL.Path, !d.Identity.Required && len(d.People) == 0, d.csrf(r)
	if p.Subject != "" {
		f.Person, f.Menu, f.People = &p, d.menu(p, r.URL.Path), d.People
	}
	if f.Form == nil {
		f.Form = url.Values{}
	}
	var out bytes.Buffer
	if err := templates[name].ExecuteTemplate(&out, "layout", f); err != nil {
		d.Log.Error("a page cannot be made", "page", name, "error", err)
		http.Error(w, "The page cannot be shown. Tell those who run Harmstack.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	if _, err := out.WriteTo(w); err != nil {
		d.Log.Info("a page could not be sent", "error", err)
	}
}

// menu is where a person may go.
func (d *Desk) menu(p Person, here string) (menu []link) {
	add := func(path, name string, acts ...string) {
		if allowed(p, acts) == nil {
			menu = append(menu, link{path, name, here == path || path != "/" && strings.HasPrefix(here, path+"/")})
		}
	}
	add("/", "Tonight")
	add("/nights", "Nights", access.Look, access.Audit, access.Operate)
	add("/stack", "Stack", access.Look)
	add("/search", "Search", access.Look)
	if everything(p) {
		add("/teams", "Teams")
		add("/meeting", "Meeting")
	}
	for _, bcu := range access.BCUs(p.Roles) {
		add("/bcus/"+bcu, bcu)
	}
	for _, team := range access.Teams(p.Roles) {
		if team != teams.CentralDesk {
			add("/teams/"+team, team)
		}
	}
	add("/measures", "Measures", access.Look, access.Audit)
	add("/audit", "Audit", access.Audit)
	return menu
}
