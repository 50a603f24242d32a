package digest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// Bytes is the e-mail as it goes out: the same message from the same sender is the same bytes, date,
// Message-ID and boundaries included. go-mail cannot do that (its boundaries are random, or the same for
// nested parts), so it only carries what is made here.
func (m Message) Bytes(from *mail.Address) ([]byte, error) {
	var b, alternatives bytes.Buffer
	mixed, alternative := multipart.NewWriter(&b), multipart.NewWriter(&alternatives)
	if err := mixed.SetBoundary("mixed-" + m.Key); err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	if err := alternative.SetBoundary("alternative-" + m.Key); err != nil {
		return nil, fmt.Errorf("digest: %w", err)
	}
	to := make([]string, len(m.To))
	for i, a := range m.To {
		to[i] = a.String()
	}
	domain := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	for _, h := range [][2]string{
		{"Date", m.Date.UTC().Format(time.RFC1123Z)},
		{"From", from.String()},
		{"To", strings.Join(to, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", m.Subject)},
		{"Message-ID", "<" + m.Key + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "multipart/mixed; boundary=" + mixed.Boundary()},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")

	part(alternative, "text/plain; charset=utf-8", "", m.Text)
	part(alternative, "text/html; charset=utf-8", "", m.HTML)
	alternative.Close()
	nested, _ := mixed.CreatePart(
		textproto.MIMEHeader{"Content-Type": {"multipart/alternative; boundary=" + alternative.Boundary()}},
	)
	alternatives.WriteTo(nested)
	for _, a := range slices.Concat(m.Attachments, m.Packs) {
		part(mixed, a.Type, mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}), string(a.Data))
	}
	mixed.Close()
	return b.Bytes(), nil
}

// part adds one part of text; every writer below it is a buffer, which takes every write.
func part(w *multipart.Writer, contentType, disposition, body string) {
	header := textproto.MIMEHeader{"Content-Type": {contentType}, "Content-Transfer-Encoding": {"quoted-printable"}}
	if disposition != "" {
		header.Set("Content-Disposition", disposition)
	}
	p, _ := w.CreatePart(header)
	q := quotedprintable.NewWriter(p)
	io.WriteString(q, body)
	q.Close()
}
