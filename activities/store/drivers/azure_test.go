package drivers_test

import (
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"harmstack/activities/store"
	_ "harmstack/activities/store/drivers"
)

// azure is the address of a container of Azure's as far as a store needs it: small blobs with their metadata, and a
// write that is refused where the blob must be new and is there.
func azure(t *testing.T) string {
	t.Helper()
	const when = "Wed, 01 Jul 2026 03:30:00 GMT"
	type blob struct {
		data     []byte
		metadata http.Header
	}
	var mu sync.Mutex
	blobs := map[string]blob{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		there, ok := blobs[r.URL.Path]
		refuse := func(status int, code string) {
			w.Header().Set("x-ms-error-code", code)
			w.WriteHeader(status)
		}
		switch {
		case r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*" && ok:
			refuse(http.StatusConflict, "BlobAlreadyExists")
		case r.Method == http.MethodPut:
			b := blob{metadata: http.Header{}}
			b.data, _ = io.ReadAll(r.Body)
			for name, values := range r.Header {
				if strings.HasPrefix(strings.ToLower(name), "x-ms-meta-") {
					b.metadata[name] = values
				}
			}
			blobs[r.URL.Path] = b
			w.WriteHeader(http.StatusCreated)
		case !ok:
			refuse(http.StatusNotFound, "BlobNotFound")
		case r.Method == http.MethodDelete:
			delete(blobs, r.URL.Path)
			w.WriteHeader(http.StatusAccepted)
		default:
			maps.Copy(w.Header(), there.metadata)
			w.Header().Set("Content-Length", strconv.Itoa(len(there.data)))
			for name, value := range map[string]string{"Last-Modified": when, "x-ms-creation-time": when, "ETag": `"1"`, "Content-Type": "application/octet-stream"} {
				w.Header().Set(name, value)
			}
			if r.Method == http.MethodGet {
				_, _ = w.Write(there.data)
			}
		}
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_STORAGE_ACCOUNT", "harmstack")
	t.Setenv("AZURE_STORAGE_KEY", base64.StdEncoding.EncodeToString([]byte("secret of the test")))
	return "azblob://nights?protocol=http&localemu=true&domain=" + at.Host
}

// Azure refuses a second claim, which its driver must survive: a worker tries that as it starts.
func TestRefusedWriteOnAzure(t *testing.T) {
	st, err := store.Open(t.Context(), azure(t))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.CreateOnly(t.Context(), "nights/claim", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := st.CreateOnly(t.Context(), "nights/claim", []byte("second")); !errors.Is(err, store.ErrExists) {
		t.Errorf("error %v", err)
	}
	if data, err := st.Read(t.Context(), "nights/claim"); err != nil || string(data) != "first" {
		t.Errorf("%q, %v", data, err)
	}
	if err := st.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
