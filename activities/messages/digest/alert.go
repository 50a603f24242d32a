package digest

import (
	"fmt"
	htmltemplate "html/template"
	"strings"
	"time"

	"harmstack/schemas/text"
)

// Alert is a message to those who run the system, or audit it, about no suspect and no tasking.
type Alert struct {
	Key   string // names the message, as Message.Key does
	At    time.Time
	To    []string
	Title string // what is wrong, without a full stop
	Text  string
	Do    string // what the reader is to do about it
	// Link is the page at the desk that it is about; empty: none.
	Link string
	// Checkpoint is one of the audit log, to be kept as it is; empty: none.
	Checkpoint string
}

var htmlAlert = htmltemplate.Must(htmltemplate.New("html").Parse(`<!DOCTYPE html>
<html lang="en-GB">
<head><meta charset="utf-8"><meta name="color-scheme" content="light"><title>Harmstack: {{.Title}}</title></head>
<body style="margin:0;padding:16px;background:#ffffff;color:#1b1b1f;font:16px/1.45 Arial,Helvetica,sans-serif">
<main style="max-width:720px;margin:0 auto">
<h1 style="font-size:20px">Harmstack: {{.Title}}</h1>
<p>{{.Text}}</p>
<p><strong>What to do:</strong> {{.Do}}</p>
{{with .Link}}<p><a href="{{.}}">{{.}}</a></p>
{{end}}{{with .Checkpoint}}<pre>{{.}}</pre>
{{end}}</main>
</body>
</html>
`))

// Build writes the alert.
func (a Alert) Build() (Message, error) {
	to, err := addresses("operations", a.To)
	if err != nil {
		return Message{}, err
	}
	a.Title, a.Text, a.Do = text.Line(a.Title), text.Line(a.Text), text.Line(a.Do)
	var html strings.Builder
	if err := htmlAlert.Execute(&html, a); err != nil {
		return Message{}, fmt.Errorf("alert: %w", err)
	}
	m := Message{Key: a.Key, Date: a.At, To: to, Subject: "Harmstack: " + a.Title,
		Text: fmt.Sprintf("Harmstack: %s\n\n%s\n\nWhat to do: %s\n", a.Title, a.Text, a.Do), HTML: html.String()}
	if a.Link != "" {
		m.Text += "\n" + a.Link + "\n"
	}
	if a.Checkpoint != "" {
		m.Text += "\n" + a.Checkpoint
		m.Attachments = []Attachment{{"checkpoint.txt", "text/plain; charset=utf-8", []byte(a.Checkpoint)}}
	}
	return m, nil
}
