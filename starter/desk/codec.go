package desk

import (
	"errors"
	"io"
	"net/http"
	"slices"

	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
)

// maxPayloads is how large a request of the codec endpoint may be: a page of a history.
const maxPayloads = 8 << 20

func (d *Desk) codecRoutes(mux *http.ServeMux) {
	if d.Codec == nil {
		return
	}
	for did, through := range map[string]func([]*commonpb.Payload) ([]*commonpb.Payload, error){
		"encode": d.Codec.Encode, "decode": d.Codec.Decode,
	} {
		mux.HandleFunc("/codec/"+did, d.codec(did, through, d.whoDecodes))
		if d.DemoToken != "" {
			first := func(*http.Request) (Person, error) { return d.People[0], nil }
			mux.HandleFunc("/codec/"+d.DemoToken+"/"+did, d.codec(did, through, first))
		}
	}
}

// codec lets the web UI, on an exact origin, read and write what passes through Temporal, for a person whose roles
// allow it. Each is noted in the log: what is read may hold an officer's words.
func (d *Desk) codec(
	did string,
	through func([]*commonpb.Payload) ([]*commonpb.Payload, error),
	who func(*http.Request) (Person, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !d.originOf(w, r) {
			http.Error(w, "pages of this origin may not ask", http.StatusForbidden)
			return
		}
		switch r.Method {
		case http.MethodPost:
		case http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			w.Header().Set("Allow", "POST, OPTIONS")
			http.Error(w, "send the payloads by POST", http.StatusMethodNotAllowed)
			return
		}
		person, err := who(r)
		if errors.Is(err, errNobody) {
			d.Log.Info("a request of nobody", "call", r.Method+" /codec/"+did, "why", short(err))
			http.Error(w, errNobody.Error(), http.StatusUnauthorized)
			return
		}
		if err != nil {
			d.Log.Warn("nobody can be verified", "error", short(err))
			http.Error(w, "the identity provider does not answer", http.StatusServiceUnavailable)
			return
		}
		if d.sessions.tooMuch(person) {
			http.Error(w, "you ask too much at once: try again in a while", http.StatusTooManyRequests)
			return
		}
		on := audit.Object{Thing: "payloads of Temporal"}
		if err := access.Allows(person.Roles, access.Decode, ""); err != nil {
			d.refused(r, person, did, on, err)
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		answer, err := pass(http.MaxBytesReader(w, r.Body, maxPayloads), through)
		if err != nil {
			d.Log.Warn("payloads cannot be read", "call", did, "error", short(err))
			http.Error(w, "the payloads cannot be read: they are not encrypted, too many, or under none of the desk's keys",
				http.StatusBadRequest)
			return
		}
		if err := d.note(r.Context(), person, audit.Consultation, did+"d", on, "the web UI", false); err != nil {
			d.Log.Error("a look was not logged", "error", err)
			http.Error(w, "the log cannot be written, so nothing is shown", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write(answer); err != nil {
			d.Log.Warn("an answer could not be sent", "error", err)
		}
	}
}

// originOf says to a page of an exact origin that it may ask. It is false for any other page. What no browser sent has
// no origin.
func (d *Desk) originOf(w http.ResponseWriter, r *http.Request) bool {
	from, h := r.Header.Get("Origin"), w.Header()
	h.Add("Vary", "Origin")
	if from == "" {
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "" || site == "same-origin" || site == "none"
	}
	if !slices.Contains(d.UIOrigins, from) && from != origin(d.URL) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", from)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Headers", "authorization, authorization-extras, content-type, x-namespace")
	h.Set("Access-Control-Allow-Methods", "POST")
	return true
}

// pass takes payloads through the codec.
func pass(body io.Reader, through func([]*commonpb.Payload) ([]*commonpb.Payload, error)) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var payloads commonpb.Payloads
	if err := protojson.Unmarshal(data, &payloads); err != nil {
		return nil, err
	}
	if payloads.Payloads, err = through(payloads.Payloads); err != nil {
		return nil, err
	}
	return protojson.Marshal(&payloads)
}

// refused notes that somebody was refused.
func (d *Desk) refused(r *http.Request, p Person, did string, on audit.Object, why error) {
	if err := d.note(r.Context(), p, audit.Consultation, did, on, why.Error(), true); err != nil {
		d.Log.Error("a refusal was not logged", "error", err)
	}
}
