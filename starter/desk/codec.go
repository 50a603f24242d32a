package desk

import (
	"net/http"
	"slices"

	"go.temporal.io/sdk/converter"

	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
)

// maxPayloads is how large a request of the codec endpoint may be: a page of a history.
const maxPayloads = 8 << 20

func (d *Desk) codecRoutes(mux *http.ServeMux) {
	if d.Codec == nil {
		return
	}
	handler := converter.NewPayloadCodecHTTPHandler(d.Codec)
	for _, path := range []string{"/codec/encode", "/codec/decode"} {
		mux.Handle(path, d.codec(handler, path[len("/codec/"):], d.who))
		if d.DemoToken != "" {
			analyst := func(*http.Request) (Person, error) { return d.People[0], nil }
			mux.Handle("/codec/"+d.DemoToken+path[len("/codec"):], d.codec(handler, path[len("/codec/"):], analyst))
		}
	}
}

// codec lets the web UI, on an exact origin, read and write what passes through Temporal, for a person whose roles allow
// it. Each is noted in the log: what is read may hold an officer's words.
func (d *Desk) codec(next http.Handler, did string, who func(*http.Request) (Person, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, h := r.Header.Get("Origin"), w.Header()
		h.Add("Vary", "Origin")
		if from != "" && !slices.Contains(d.UIOrigins, from) && from != origin(d.URL) {
			http.Error(w, "pages of this origin may not ask", http.StatusForbidden)
			return
		}
		if from != "" {
			h.Set("Access-Control-Allow-Origin", from)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Allow-Headers", "authorization, authorization-extras, content-type, x-namespace")
			h.Set("Access-Control-Allow-Methods", "POST")
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		person, err := who(r)
		if err != nil {
			http.Error(w, errNobody.Error(), http.StatusUnauthorized)
			return
		}
		on := audit.Object{Thing: "payloads of Temporal"}
		if err := access.Allows(person.Roles, access.Decode, ""); err != nil {
			d.refused(r, person, did, on, err)
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if err := d.note(r.Context(), person, audit.Consultation, did+"d", on, "the web UI", false); err != nil {
			d.Log.Error("a look was not logged", "error", err)
			http.Error(w, "the log cannot be written, so nothing is shown", http.StatusServiceUnavailable)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxPayloads)
		next.ServeHTTP(w, r)
	})
}

// refused notes that somebody was refused.
func (d *Desk) refused(r *http.Request, p Person, did string, on audit.Object, why error) {
	if err := d.note(r.Context(), p, audit.Consultation, did, on, why.Error(), true); err != nil {
		d.Log.Error("a refusal was not logged", "error", err)
	}
}
