package workflows

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// spoken is all text of a message and of what is attached to it.
func spoken(t *testing.T, kind, encoding string, body io.Reader) string {
	t.Helper()
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	if media, params, err := mime.ParseMediaType(kind); err == nil && strings.HasPrefix(media, "multipart/") {
		var all strings.Builder
		for parts := multipart.NewReader(body, params["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return all.String()
			}
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(spoken(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p))
		}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Everything that tells of a night names the edition by which it was scored.
func TestEditionIsNamedAsTheManifestDoes(t *testing.T) {
	index, err := reference.Files.ReadFile(reference.EditionFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cchi-2030.csv")
	if err := os.WriteFile(path, index, 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDeployment(t, threeSuspects()...)
	if d.acts.Nightly.Tables, err = reference.LoadPaths(reference.Paths{Edition: path}); err != nil {
		t.Fatal(err)
	}
	d.packsTo(t, "example.police.uk")
	letters := d.collect()
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	d.approve(t, n)
	if len(letters) != 33 {
		t.Fatalf("%d mails", len(letters))
	}
	packs := 0
	for _, all := range letters {
		if strings.Count(all, "Cambridge Crime Harm Index, edition cchi-2030") != 2 || strings.Contains(all, "2020") {
			t.Errorf("a digest does not name the edition: %s", all)
		}
		if strings.Contains(all, "(CCHI), edition cchi-2030") || strings.Contains(all, "(CCHI),\nedition cchi-2030") {
			packs++
		}
	}
	if packs == 0 {
		t.Error("no pack names the edition")
	}
	if page := string(read(t, d.store, n.Night.Path()+"/"+schemas.ReportFile)); !strings.Contains(page, "cchi-2030") || strings.Contains(page, "cchi-2020") {
		t.Error("the report does not name the edition")
	}
}
