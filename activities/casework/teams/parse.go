package teams

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/gb"
	"golang.org/x/net/idna"

	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/yamlfile"
)

//go:embed example.yaml
var example []byte

// Example is a complete, valid file with a comment on every part, to be filled in.
func Example() []byte { return bytes.Clone(example) }

// Nowhere has the hours, deadlines and routing of Example, and every party at <slug>@localhost.invalid:
// for a machine without a mail server.
func Nowhere() *Teams {
	var f file
	document, err := yamlfile.Decode(example, yamlfile.Large, &f)
	if err != nil {
		panic(err) // the example is compiled in; only a broken build gets here
	}
	nowhere := func(name string) contact { return contact{Mail: []string{Slug(name) + "@localhost.invalid"}} }
	for name := range f.Boroughs {
		f.Boroughs[name] = nowhere(name)
	}
	for name := range f.BCUs {
		f.BCUs[name] = nowhere(leadName(name))
	}
	f.CentralDesk, f.SpecialistDesk, f.Operations = nowhere(CentralDesk), nowhere(SpecialistDesk), new(nowhere(Operations))
	f.Restricted = new(nowhere(RestrictedDesk))
	for i := range f.Specialists {
		f.Specialists[i].Contact = nowhere(f.Specialists[i].Name)
	}
	t, err := f.teams(nil, reference.Default(), document) // nobody has a webhook, so nothing is looked up
	if err != nil {
		panic(err) // as above
	}
	return t
}

// Load is Parse of a file.
func Load(path string, env func(string) string, tables *reference.Tables) (*Teams, error) {
	data, err := yamlfile.Read(path, yamlfile.Large)
	if err != nil {
		return nil, err
	}
	t, err := Parse(data, env, tables)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return t, nil
}

// Parse reads and validates the teams; env looks the webhooks' secrets up, and the offences of specialist teams must
// stand in the tables by which nights are scored. The error has one line for
// every fault, each with its place in the file; a file that is no YAML, or has a field that is not
// known, stops at the first. No line holds an address, a URL or a secret.
func Parse(data []byte, env func(string) string, tables *reference.Tables) (*Teams, error) {
	var f file
	document, err := yamlfile.Decode(data, yamlfile.Large, &f)
	if err != nil {
		return nil, err
	}
	return f.teams(env, tables, document)
}

type file struct {
	Hours struct {
		From      string `yaml:"from"`
		To        string `yaml:"to"`
		EveryHour bool   `yaml:"every_hour"`
	} `yaml:"hours"`
	Deadlines struct {
		Remind string `yaml:"remind"`
		Lead   string `yaml:"lead"`
		Desk   string `yaml:"desk"`
	} `yaml:"deadlines"`
	StandDownAfter *int64             `yaml:"stand_down_after"`
	Cadence        *string            `yaml:"cadence"`
	Attachments    *string            `yaml:"attachments"`
	Domains        []string           `yaml:"attachment_domains"`
	Boroughs       map[string]contact `yaml:"boroughs"`
	BCUs           map[string]contact `yaml:"bcus"`
	CentralDesk    contact            `yaml:"central_desk"`
	SpecialistDesk contact            `yaml:"specialist_desk"`
	Operations     *contact           `yaml:"operations"`
	Restricted     *contact           `yaml:"restricted"`
	Auditor        *contact           `yaml:"auditor"`
	Specialists    []struct {
		Name          string   `yaml:"name"`
		Contact       contact  `yaml:",inline"`
		Offences      []string `yaml:"offences"`
		DomesticAbuse bool     `yaml:"domestic_abuse"`
	} `yaml:"specialists"`
}

type contact struct {
	Mail    []string `yaml:"mail"`
	Webhook *webhook `yaml:"webhook"`
}

type webhook struct {
	URL        string `yaml:"url"`
	SecretEnv  string `yaml:"secret_env"`
	SecretFile string `yaml:"secret_file"`
	Format     string `yaml:"format"`
}

// How a party's system can be told (webhook.Format). Teams and Slack cannot check a signature: they need no secret.
const cloudEvents = "cloudevents"

var formats = []string{cloudEvents, "teams", "slack"}

var addressOrURL = regexp.MustCompile(`\S*(@|://)\S*`)

// discreet hides the addresses and URLs in a text of the file.
func discreet(text string) string { return addressOrURL.ReplaceAllString(text, "(hidden)") }

type loader struct {
	env    func(string) string
	faults []error
	teams  *Teams
}

func (l *loader) fault(path, format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = discreet(text)
		}
	}
	l.faults = append(l.faults, yamlfile.Wrong(path, format, args...))
}

func (f file) teams(env func(string) string, tables *reference.Tables, document *yamlfile.Document) (*Teams, error) {
	l := &loader{env: env, teams: &Teams{bySlug: map[string]Party{}}}
	l.time(f)
	l.pace(f)
	l.attachments(f)
	boroughs := tables.Boroughs()
	var names, bcus []string
	for _, b := range boroughs {
		names = append(names, b.Name)
		if !slices.Contains(bcus, b.BCU) {
			bcus = append(bcus, b.BCU)
		}
	}
	t := l.teams
	contacts := l.section("boroughs", f.Boroughs, names)
	for _, b := range boroughs {
		t.owners = append(t.owners, l.party("boroughs."+b.Name, Party{Name: b.Name, BCU: b.BCU}, contacts[b.Name]))
	}
	contacts = l.section("bcus", f.BCUs, bcus)
	for _, bcu := range bcus {
		l.party("bcus."+bcu, Party{Name: leadName(bcu)}, contacts[bcu])
	}
	t.owners = append(t.owners, l.party("central_desk", Party{Name: CentralDesk}, f.CentralDesk))
	t.desk = l.party("specialist_desk", Party{Name: SpecialistDesk}, f.SpecialistDesk)
	if f.Operations == nil {
		t.operations = Party{Name: Operations, Slug: Slug(Operations), Mail: f.CentralDesk.Mail}
	} else {
		t.operations = l.party("operations", Party{Name: Operations}, *f.Operations)
	}
	if f.Restricted != nil {
		t.restricted = new(l.party("restricted", Party{Name: RestrictedDesk}, *f.Restricted))
	}
	if f.Auditor != nil {
		t.auditor = new(l.party("auditor", Party{Name: Auditor}, *f.Auditor))
	}
	for i, s := range f.Specialists {
		path := "specialists." + discreet(s.Name)
		if s.Name == "" {
			path = fmt.Sprintf("specialists[%d]", i)
		}
		if Slug(s.Name) == "" {
			l.fault(path+".name", "give the team a name with a letter or digit from A to Z or 0 to 9")
		} else if taken, ok := t.Find(s.Name); ok {
			l.fault(path+".name", "%s has this name already: choose another", taken.Name)
		}
		for j, o := range s.Offences {
			if !tables.Knows(o) && !tables.KnowsClass(o) {
				l.fault(
					path+".offences",
					`offence %d of %d is no class or code of the edition %s or its supplement: write it in quotes, like "019" or "020/03"`,
					j+1,
					len(s.Offences),
					tables.Edition.Name,
				)
			}
		}
		t.specialists = append(
			t.specialists,
			specialist{l.party(path, Party{Name: s.Name}, s.Contact), s.Offences, s.DomesticAbuse},
		)
	}
	if err := document.Place(errors.Join(l.faults...)); err != nil {
		return nil, err
	}
	return t, nil
}

func (l *loader) time(f file) {
	duration := func(path, text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil {
			l.fault("deadlines."+path, "it is no length of time: write it like 4h or 90m")
		}
		return d
	}
	before, t := len(l.faults), l.teams
	t.remind, t.lead, t.tell = duration("remind", f.Deadlines.Remind), duration("lead", f.Deadlines.Lead), duration("desk", f.Deadlines.Desk)
	if len(l.faults) == before && !(0 < t.remind && t.remind < t.lead && t.lead < t.tell) {
		l.fault("deadlines", "each must be later than the one before: 0 < remind < lead < desk")
	}

	h := f.Hours
	if h.EveryHour {
		if h.From != "" || h.To != "" {
			l.fault("hours", "every_hour counts them all: remove from and to, or every_hour")
		}
		return
	}
	clock := func(path, text string) time.Duration {
		at, err := time.Parse("15:04", text)
		if err != nil {
			l.fault("hours."+path, `it is no time of day: write it like "08:00"`)
		}
		return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	}
	before = len(l.faults)
	from, to := clock("from", h.From), clock("to", h.To)
	// The calendar compares hours before minutes, and gets a day within one hour of the clock wrong.
	if len(l.faults) == before && to < from+time.Hour {
		l.fault("hours.to", "must be an hour or more after hours.from, on the same day")
	}
	// It counts from midnight by duration, which is right because the clocks change on Sundays only. Its
	// cache of holidays, off by default, is not safe for concurrent use.
	t.calendar = cal.NewBusinessCalendar()
	t.calendar.SetWorkHours(from, to)
	t.calendar.AddHoliday(gb.Holidays...)
}

// maxStandDown keeps what is read of a ranking, beside the stack, to some thousand rows.
const maxStandDown = 10_000

func (l *loader) pace(f file) {
	t := l.teams
	t.cadence = Nightly
	if f.Cadence != nil {
		t.cadence = Cadence(*f.Cadence)
	}
	if !slices.Contains([]Cadence{Nightly, Weekly, Monthly}, t.cadence) {
		l.fault("cadence", "give nightly, weekly or monthly")
	}
	if f.StandDownAfter == nil {
		return
	}
	if t.standDownAfter = *f.StandDownAfter; t.standDownAfter < 1 || t.standDownAfter > maxStandDown {
		l.fault("stand_down_after", "give a position from 1 to %d, such as 120", maxStandDown)
	}
}

// attachments says to whose addresses packs are attached: without a word to nobody's (trust, section 3).
func (l *loader) attachments(f file) {
	packs := f.Attachments != nil && *f.Attachments == "packs"
	switch {
	case f.Attachments != nil && !packs:
		l.fault("attachments", "the one word is packs; without attachments nothing with ids is sent")
	case packs && len(f.Domains) == 0:
		l.fault("attachments", "name in attachment_domains the domains whose addresses may hold ids")
	case !packs && len(f.Domains) > 0:
		l.fault("attachment_domains", "they count with attachments: packs alone: add that, or remove them")
	}
	for i, d := range f.Domains {
		domain, err := idna.Lookup.ToASCII(strings.TrimSpace(d))
		if err != nil || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@/: *[]") {
			l.fault("attachment_domains", "%d of %d is no domain: write what follows the @ of an address", i+1, len(f.Domains))
		}
		l.teams.packDomains = append(l.teams.packDomains, strings.ToLower(domain))
	}
}

// section finds the names that a section must have, in any letter case.
func (l *loader) section(section string, given map[string]contact, names []string) map[string]contact {
	found := map[string]contact{}
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, key) })
		if i < 0 {
			unknown = append(unknown, discreet(key))
		} else if _, twice := found[names[i]]; twice {
			l.fault(section+"."+key, "is there twice, in another letter case: keep one")
		} else {
			found[names[i]] = given[key]
		}
	}
	hint := "remove it"
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := found[name]; return ok })
	if len(missing) > 0 {
		hint = "is it " + strings.Join(missing, " or ") + "?"
	}
	for _, key := range unknown {
		l.fault(section+"."+key, "is none of the %d %s: %s", len(names), section, hint)
	}
	return found
}

// party makes p complete and known by its name.
func (l *loader) party(path string, p Party, c contact) Party {
	if len(c.Mail) == 0 {
		l.fault(path+".mail", "give at least one address")
	}
	for i, address := range c.Mail {
		if _, err := ParseAddress(address); err != nil {
			l.fault(path+".mail", "address %d of %d %v", i+1, len(c.Mail), err)
		}
	}
	p.Slug, p.Mail = Slug(p.Name), c.Mail
	if c.Webhook != nil {
		p.Webhook = l.webhook(path+".webhook", *c.Webhook)
	}
	l.teams.bySlug[p.Slug] = p
	return p
}

func (l *loader) webhook(path string, w webhook) *Webhook {
	u, err := url.Parse(w.URL)
	switch {
	case err == nil && u.User != nil:
		l.fault(path+".url", "must hold no user or password: the secret goes into secret_env or secret_file")
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && !(u.Scheme == "http" && slices.Contains([]string{"localhost", "127.0.0.1"}, u.Hostname())):
		l.fault(path+".url", "give a URL that begins with https (http only for localhost and 127.0.0.1)")
	}
	format := cmp.Or(w.Format, cloudEvents)
	if !slices.Contains(formats, format) {
		l.fault(path+".format", "give %s", strings.Join(formats, ", "))
	}
	// Neither the variable nor the file is named in a fault: somebody may have put the secret itself there.
	var text, source string
	switch {
	case format != cloudEvents && w.SecretEnv+w.SecretFile == "":
		return &Webhook{URL: w.URL, Format: format}
	case (w.SecretEnv == "") == (w.SecretFile == ""):
		l.fault(path, "give either secret_env or secret_file")
		return nil
	case w.SecretEnv != "":
		text, source = l.env(w.SecretEnv), path+".secret_env"
	default:
		source = path + ".secret_file"
		data, err := os.ReadFile(w.SecretFile)
		if err != nil {
			l.fault(source, "the file cannot be read: %v", errors.Unwrap(err))
			return nil
		}
		text = string(data)
	}
	encoded, prefixed := strings.CutPrefix(schemas.TrimSpace(text), "whsec_")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case schemas.TrimSpace(text) == "":
		l.fault(source, "there is no secret: give whsec_ and 24 to 64 random bytes in base64")
	case !prefixed || err != nil || len(secret) < 24 || len(secret) > 64:
		l.fault(source, "the secret is not whsec_ and 24 to 64 bytes in base64")
	}
	return &Webhook{w.URL, secret, format}
}
