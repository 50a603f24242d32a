package subject

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// outbox deletes the messages in the outbox folder that name the person, in an attachment or anywhere else, and counts
// them. The ledger still knows that they were sent.
func (e *eraser) outbox() (n int, err error) {
	if e.why.Outbox == "" {
		return 0, nil
	}
	files, err := os.ReadDir(e.why.Outbox)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, f := range files {
		name := filepath.Join(e.why.Outbox, f.Name())
		if !f.Type().IsRegular() || filepath.Ext(name) != ".eml" {
			continue
		}
		data, err := os.ReadFile(name)
		if err == nil && e.held.inMail(data) {
			if n++; !e.preview {
				err = os.Remove(name)
			}
		}
		if err != nil {
			return n, fmt.Errorf("HARMSTACK_OUTBOX: %w", err)
		}
	}
	return n, err
}

// inMail tells whether a message names the person. One that cannot be read is looked through as it is.
func (h *Held) inMail(data []byte) bool {
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return h.inText(data)
	}
	return h.inText(data) || h.inPart(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
}

func (h *Held) inPart(kind, encoding string, body io.Reader) bool {
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	media, params, err := mime.ParseMediaType(kind)
	if err != nil || !strings.HasPrefix(media, "multipart/") {
		data, _ := io.ReadAll(body) // as much of it as there is
		return h.inText(data)
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil {
			return false
		}
		if h.inPart(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p) {
			return true
		}
	}
}

// inText tells whether one of the ids stands in a text, by itself: not as a part of a longer one.
func (h *Held) inText(data []byte) bool {
	for _, id := range h.IDs {
		for _, form := range []string{id, template.HTMLEscapeString(id)} {
			for rest := data; ; {
				at := bytes.Index(rest, []byte(form))
				if at < 0 {
					break
				}
				before, _ := utf8.DecodeLastRune(rest[:at])
				after, _ := utf8.DecodeRune(rest[at+len(form):])
				if !ofID(before) && !ofID(after) {
					return true
				}
				rest = rest[at+1:]
			}
		}
	}
	return false
}

// ofID tells of what ids are mostly made.
func ofID(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' }
