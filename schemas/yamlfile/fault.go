package yamlfile

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Fault is what is wrong at one place of a file.
type Fault struct {
	// Line counts from 1; 0: it is not known.
	Line int
	// Field is the path to it, such as columns.reported_at.zone; empty: the whole file.
	Field string
	// Text says what is wrong, or needed. It repeats nothing of the file.
	Text string

	token *token.Token
}

// Error is line, field and text.
func (f *Fault) Error() string {
	text := f.Text
	if f.Field != "" {
		segments := strings.Split(f.Field, ".")
		for i, s := range segments {
			if !isPlain(s) {
				segments[i] = hidden
			}
		}
		text = strings.Join(segments, ".") + ": " + text
	}
	if f.Line > 0 {
		text = fmt.Sprintf("line %d: %s", f.Line, text)
	}
	return text
}

const hidden = "(hidden)"

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z_ &'-]{0,47}(\[\d+\])?$`)

// isPlain tells whether a name looks like a field's, a borough's or a team's, and not like a value in the wrong place.
func isPlain(name string) bool { return plainName.MatchString(name) }

// plain is a name in quotes, if it is one that may be told.
func plain(name string) string {
	if !isPlain(name) {
		return hidden
	}
	return strconv.Quote(name)
}

// Wrong is a Fault of a field, which Place gives its line. No argument may be a text of the file.
func Wrong(field, format string, args ...any) error {
	return &Fault{Field: field, Text: fmt.Sprintf(format, args...)}
}

// At is a Fault of the value that is being decoded, for an UnmarshalYAML.
func At(node ast.Node, text string) error {
	return &Fault{Line: line(node.GetToken()), Text: text, token: node.GetToken()}
}

// Place gives every Fault among joined errors the line of its field, or of the nearest that the file has.
func (d *Document) Place(err error) error {
	if fault, ok := err.(*Fault); ok && fault.Line == 0 && fault.Field != "" {
		fault.Line = lineOf(d.root, strings.Split(fault.Field, "."))
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			_ = d.Place(e)
		}
	}
	return err
}

// entries are a block's fields.
func entries(node ast.Node) []*ast.MappingValueNode {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}
	}
	return nil
}

// lineOf follows a path as far as it goes; 0: not a step.
func lineOf(node ast.Node, path []string) (at int) {
	for _, e := range entries(node) {
		if key := e.Key.GetToken(); len(path) > 0 && strings.EqualFold(key.Value, path[0]) {
			return max(line(key), lineOf(e.Value, path[1:]))
		}
	}
	return 0
}

// walk visits every key and value with the path of its field, in which [1] is the second of a list, until visit is
// content.
func walk(node ast.Node, path []string, visit func(path []string, node ast.Node) bool) bool {
	if node == nil || visit(path, node) {
		return node != nil
	}
	path = path[:len(path):len(path)]
	for _, e := range entries(node) {
		below := append(path, e.Key.GetToken().Value)
		if visit(below, e.Key) || walk(e.Value, below, visit) {
			return true
		}
	}
	if list, ok := node.(*ast.SequenceNode); ok {
		for i, v := range list.Values {
			if walk(v, append(path, fmt.Sprintf("[%d]", i)), visit) {
				return true
			}
		}
	}
	return false
}

// field is the path of a value or a key by its token; empty: it is not found.
func (d *Document) field(t *token.Token) (found string) {
	walk(d.root, nil, func(path []string, node ast.Node) bool {
		if t == nil || node.GetToken() != t {
			return false
		}
		found = strings.ReplaceAll(strings.Join(path, "."), ".[", "[")
		return true
	})
	return found
}

// fraction finds a number with a point where a whole one belongs: the library would cut it off.
func (d *Document) fraction(into reflect.Type) (err error) {
	walk(d.root, nil, func(path []string, node ast.Node) bool {
		if kind := kindAt(into, path); node.Type() == ast.FloatType && kind >= reflect.Int && kind <= reflect.Uint64 {
			err = &Fault{
				Line:  line(node.GetToken()),
				Field: d.field(node.GetToken()),
				Text:  "a whole number is needed here",
			}
		}
		return err != nil
	})
	return err
}

// kindAt is the kind of what a path leads to, in a struct that has decoded it.
func kindAt(t reflect.Type, path []string) reflect.Kind {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case len(path) == 0:
		return t.Kind()
	case t.Kind() == reflect.Map, t.Kind() == reflect.Slice:
		return kindAt(t.Elem(), path[1:])
	case t.Kind() != reflect.Struct:
		return reflect.Invalid
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if options == "inline" {
			if kind := kindAt(f.Type, path); kind != reflect.Invalid {
				return kind
			}
		} else if name == path[0] {
			return kindAt(f.Type, path[1:])
		}
	}
	return reflect.Invalid
}

// Span is a length of time as Go writes it, 90s or 12h; never negative.
type Span time.Duration

// UnmarshalYAML reads 90s, 12h or 1h30m.
func (s *Span) UnmarshalYAML(node ast.Node) error {
	text, ok := node.(*ast.StringNode)
	if !ok {
		return At(node, "a length of time is needed here: write it like 90s or 12h")
	}
	d, err := time.ParseDuration(text.Value)
	if err != nil || d < 0 {
		return At(node, "it is no length of time: write it like 90s or 12h")
	}
	*s = Span(d)
	return nil
}
