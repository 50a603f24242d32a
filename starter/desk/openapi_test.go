package desk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights/casefile"
	"harmstack/activities/pipeline"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/workflows"
)

// calls are the types of each call's request and answer.
var calls = map[string]struct{ request, answer any }{
	"GET /api/v1/me":                          {nil, Me{}},
	"GET /api/v1/nights":                      {nil, []Night{}},
	"POST /api/v1/nights":                     {NightCall{}, Started{}},
	"GET /api/v1/nights/{night}":              {nil, Night{}},
	"POST /api/v1/nights/{night}/decision":    {DecisionCall{}, schemas.Decision{}},
	"POST /api/v1/nights/{night}/revocation":  {RevocationCall{}, workflows.RevokeResult{}},
	"POST /api/v1/nights/{night}/stack":       {StackCall{}, Stack{}},
	"POST /api/v1/nights/{night}/explanation": {Question{}, pipeline.Explanation{}},
	"GET /api/v1/taskings":                    {nil, Taskings{}},
	"GET /api/v1/status":                      {nil, Status{}},
	"GET /api/v1/taskings/{tasking}":          {nil, schemas.Tasking{}},
	"POST /api/v1/taskings/{tasking}/pack":    {Reason{}, Pack{}},
	"POST /api/v1/taskings/{tasking}/{act}":   {AnswerCall{}, schemas.Tasking{}},
	"GET /api/v1/log":                         {nil, []audit.Entry{}},
	"GET /api/v1/login":                       {nil, Login{}},
	"GET /api/v1/openapi.json":                {nil, map[string]any{}},
}

// The words of the API for types whose own name is that of others too.
var called = map[reflect.Type]string{
	reflect.TypeFor[casefile.File](): "CaseFile", reflect.TypeFor[audit.Entry](): "LogEntry", reflect.TypeFor[audit.Object](): "LogObject",
	reflect.TypeFor[audit.File](): "LogFile",
}

// shapes are the JSON schemas of Go types, as encoding/json writes them.
type shapes map[string]any

func (s shapes) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[schemas.Date]():
		return map[string]any{"type": "string", "format": "date"}
	case reflect.TypeFor[schemas.Dispositions]():
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "integer"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return map[string]any{"type": "object"}
		}
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Struct:
		name := called[t]
		if name == "" {
			name = t.Name()
		}
		if _, known := s[name]; !known {
			object := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
			s[name] = object
			required := s.fields(t, object["properties"].(map[string]any))
			if len(required) > 0 {
				object["required"] = required
			}
		}
		return map[string]any{"$ref": "#/components/schemas/" + name}
	}
	panic("no schema of " + t.String())
}

func (s shapes) fields(t reflect.Type, properties map[string]any) (required []any) {
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			required = append(required, s.fields(f.Type, properties)...)
			continue
		}
		shape, optional := s.of(f.Type), strings.HasPrefix(options, "omit")
		if kind := f.Type.Kind(); !optional && (kind == reflect.Pointer || kind == reflect.Slice) {
			if ref := shape["$ref"]; ref != nil {
				shape = map[string]any{"anyOf": []any{shape, map[string]any{"type": "null"}}}
			} else {
				shape["type"] = []any{shape["type"], "null"}
			}
		}
		properties[tag] = shape
		if !optional {
			required = append(required, tag)
		}
	}
	return required
}

// plain is a schema as it is checked here: without what is said of it in words.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if k != "description" || reflect.TypeOf(e).Kind() == reflect.Map { // a property may be called so
				out[k] = plain(e)
			}
		}
		delete(out, "enum")
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, plain(e))
		}
		return out
	}
	return v
}

type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Summary     string `json:"summary"`
		Security    []any  `json:"security"`
		RequestBody struct {
			Required bool                                       `json:"required"`
			Content  map[string]struct{ Schema map[string]any } `json:"content"`
		} `json:"requestBody"`
		Parameters []struct {
			In string `json:"in"`
		} `json:"parameters"`
		Responses map[string]struct {
			Ref     string                                     `json:"$ref"`
			Content map[string]struct{ Schema map[string]any } `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

// The document says of every call what the code takes and gives, and of no other.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	var doc document
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("it is OpenAPI %q", doc.OpenAPI)
	}
	shapes, open := shapes{}, map[string]bool{"GET /api/v1/login": true, "GET /api/v1/openapi.json": true}
	shapes.of(reflect.TypeFor[Problem]())
	want := map[string]bool{}
	for _, r := range routes {
		want[r.method+" "+r.path] = true
	}
	for call := range open {
		want[call] = true
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			call := strings.ToUpper(method) + " " + path
			if !want[call] {
				t.Errorf("there is no call %s", call)
			}
			delete(want, call)
			types, ok := calls[call]
			if !ok || op.Summary == "" || op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s lacks its types, its summary or an id of its own", call)
				continue
			}
			ids[op.OperationID] = true
			if open[call] != (op.Security != nil && len(op.Security) == 0) {
				t.Errorf("%s: who may call it?", call)
			}
			inPath := 0
			for _, p := range op.Parameters {
				if p.In == "path" {
					inPath++
				}
			}
			if n := strings.Count(path, "{"); n != inPath {
				t.Errorf("%s has %d parameters in its path", call, inPath)
			}
			body := op.RequestBody.Content["application/json"].Schema
			if types.request == nil && body != nil ||
				types.request != nil &&
					(!op.RequestBody.Required || !reflect.DeepEqual(body, shapes.of(reflect.TypeOf(types.request)))) {
				t.Errorf("%s takes %v", call, body)
			}
			if given := op.Responses["200"].Content["application/json"].Schema; !reflect.DeepEqual(
				given,
				shapes.of(reflect.TypeOf(types.answer)),
			) {
				t.Errorf("%s gives %v", call, given)
			}
			if !open[call] && op.Responses["default"].Ref != "#/components/responses/Problem" {
				t.Errorf("%s does not say how it fails", call)
			}
		}
	}
	for call := range want {
		t.Errorf("%s is not described", call)
	}
	said, err := json.Marshal(shapes)
	if err != nil {
		t.Fatal(err)
	}
	var code map[string]any
	if err := json.Unmarshal(said, &code); err != nil {
		t.Fatal(err)
	}
	for name, shape := range code {
		if got := plain(doc.Components.Schemas[name]); !reflect.DeepEqual(got, shape) {
			text, _ := json.Marshal(shape)
			t.Errorf("%s is %v, and not as the code has it:\n%s", name, got, text)
		}
		delete(doc.Components.Schemas, name)
	}
	for name := range doc.Components.Schemas {
		t.Errorf("nothing is a %s", name)
	}
}

// Real answers are as the document says.
func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("openapi.json", whole); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	chief := w.as("chief", access.Officer, access.Restricted, access.Auditor)
	why := `{"why": "briefing"}`
	for _, c := range []struct{ call, path, body string }{
		{"GET /api/v1/me", "/api/v1/me", ""}, {"GET /api/v1/nights", "/api/v1/nights", ""}, {"GET /api/v1/nights/{night}", "/api/v1/nights/" + night, ""},
		{"GET /api/v1/status", "/api/v1/status", ""}, {"GET /api/v1/nights/{night}", "/api/v1/nights/current", ""},
		{"POST /api/v1/nights/{night}/stack", "/api/v1/nights/" + night + "/stack", why},
		{"POST /api/v1/nights/{night}/stack", "/api/v1/nights/current/stack", `{"why": "briefing", "from": 2}`},
		{"POST /api/v1/nights/{night}/explanation", "/api/v1/nights/" + night + "/explanation", `{"suspect": "S-1", "why": "briefing"}`},
		{"POST /api/v1/nights/{night}/explanation", "/api/v1/nights/" + night + "/explanation", `{"suspect": "S-2", "why": "briefing"}`},
		{"GET /api/v1/taskings", "/api/v1/taskings?all=true", ""}, {"GET /api/v1/taskings/{tasking}", "/api/v1/taskings/" + w.tasking("Hackney"), ""},
		{"GET /api/v1/taskings/{tasking}", "/api/v1/taskings/" + w.tasking(teams.RestrictedDesk), ""},
		{"POST /api/v1/taskings/{tasking}/pack", "/api/v1/taskings/" + w.tasking("Barnet") + "/pack", why},
		{"GET /api/v1/log", "/api/v1/log", ""}, {"GET /api/v1/login", "/api/v1/login", ""}, {"GET /api/v1/openapi.json", "/api/v1/openapi.json", ""},
		{"problem", "/api/v1/nowhere", ""}, {"problem", "/api/v1/nights/2026-06-29", ""},
	} {
		method, path, _ := strings.Cut(c.call, " ")
		at := fmt.Sprintf("openapi.json#/paths/%s/%s/responses/200/content/application~1json/schema",
			strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(path), strings.ToLower(method))
		if c.call == "problem" {
			method, at = "GET", "openapi.json#/components/schemas/Problem"
		}
		schema, err := compiler.Compile(at)
		if err != nil {
			t.Fatal(err)
		}
		a := w.ask(chief, method, c.path, c.body)
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil || (a.code == 200) == (c.call == "problem") {
			t.Errorf("%s: %d, %v\n%s", c.call, a.code, err, a.body)
		}
	}
}
