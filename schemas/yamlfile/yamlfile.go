// Package yamlfile is the one reader of the YAML files that a deployment writes: sources, teams, checks, models. A file
// is bounded in size and depth before it is parsed, must have known fields only, and is one document without anchors,
// aliases and tags, none of which such a file needs. An error says where and what is needed there, and repeats no text
// of the file but the names of plain fields: addresses, URLs and secrets stand in such files, and errors reach logs.
//
// It must not know what the fields mean.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// How many bytes a file may have: one that describes a source, checks or a model, and one with the addresses of every
// team.
const (
	Small = 64 << 10
	Large = 256 << 10
)

// maxDepth is how many blocks, lists and brackets may stand in one another.
const maxDepth = 32

// Read reads a file of at most limit bytes. An error of the system's, such as os.ErrNotExist, is given as it is.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = tooLarge(limit)
	}
	return data, err
}

// ErrTooLarge is returned for a file of more bytes than the caller takes.
var ErrTooLarge = errors.New("the file is too large")

func tooLarge(limit int64) error {
	return fmt.Errorf("%w: it has more than %d KiB. Is it the right one?", ErrTooLarge, limit>>10)
}

// Document is a file that was read, for Place.
type Document struct{ root ast.Node }

// Decode reads YAML of at most limit bytes into a struct. The error is a Fault where it has a place in the file.
func Decode(data []byte, limit int64, into any) (*Document, error) {
	if int64(len(data)) > limit {
		return nil, tooLarge(limit)
	}
	tokens := lexer.Tokenize(strings.TrimPrefix(string(data), "\ufeff")) // as some editors begin a file
	if err := bounded(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, syntax(err)
	}
	d := &Document{}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case d.root != nil:
			return nil, &Fault{
				Line: line(doc.Body.GetToken()),
				Text: "a second document begins here: keep one to a file",
			}
		default:
			d.root = doc.Body
		}
	}
	if d.root == nil {
		return nil, errors.New("the file is empty")
	}
	if err := yaml.NewDecoder(bytes.NewReader(nil), yaml.Strict()).DecodeFromNode(d.root, into); err != nil {
		return nil, d.explain(err)
	}
	return d, d.fraction(reflect.TypeOf(into))
}

// bounded refuses, before the parser goes down into them, tokens that stand too deep in one another, and those of which
// a small text can make much.
func bounded(tokens token.Tokens) error {
	flow := 0
	var blocks []*token.Token // the open blocks, by their first lists' dashes and fields' keys
	for i, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
		case token.SequenceEntryType, token.MappingKeyType:
			if flow == 0 {
				blocks = open(blocks, t)
			}
		case token.MappingValueType:
			if flow == 0 && i > 0 {
				blocks = open(blocks, tokens[i-1])
			}
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType:
			return &Fault{
				Line: line(t),
				Text: "anchors (&), aliases (*), merges (<<) and tags (!) are not taken: write the value out, or in quotes",
			}
		}
		if len(blocks)+flow > maxDepth {
			return &Fault{Line: line(t), Text: fmt.Sprintf("it goes deeper than %d levels", maxDepth)}
		}
	}
	return nil
}

// open notes that an entry of a block begins. Those that stand further to the right have ended; a list may stand in the
// column of the field that holds it.
func open(blocks []*token.Token, t *token.Token) []*token.Token {
	entry := t.Type == token.SequenceEntryType
	for len(blocks) > 0 {
		last := blocks[len(blocks)-1]
		if last.Position.Column < t.Position.Column ||
			last.Position.Column == t.Position.Column && entry && last.Type != token.SequenceEntryType {
			break
		}
		blocks = blocks[:len(blocks)-1]
	}
	return append(blocks, t)
}

func line(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 0
	}
	return t.Position.Line
}

// syntax is what the parser found, without its picture of the lines around it.
func syntax(err error) error {
	const unclear = "it is no YAML from here on: look at quotes, colons, brackets and indentation"
	at, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return errors.New(unclear)
	}
	text := at.GetMessage()
	if twice, ok := errors.AsType[*yaml.DuplicateKeyError](err); ok || strings.HasPrefix(text, "mapping key ") {
		t := at.GetToken()
		if ok {
			t = twice.Token
		}
		return &Fault{Line: line(t), Text: fmt.Sprintf("the field %s is there twice", plain(value(t)))}
	}
	if strings.ContainsAny(text, "\"'`") { // it may repeat what it found
		text = unclear
	}
	return &Fault{Line: line(at.GetToken()), Text: text}
}

// explain puts an error of decoding into words that hold no value.
func (d *Document) explain(err error) error {
	if fault, ok := errors.AsType[*Fault](err); ok {
		fault.Field = d.field(fault.token)
		return fault
	}
	at, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return errors.New("a value cannot be read as what its field holds")
	}
	t := at.GetToken()
	fault := &Fault{Line: line(t), Field: d.field(t)}
	switch e := at.(type) {
	case *yaml.UnknownFieldError:
		return &Fault{Line: line(t), Text: "unknown field " + plain(value(t))}
	case *yaml.DuplicateKeyError:
		return &Fault{Line: line(t), Text: fmt.Sprintf("the field %s is there twice", plain(value(t)))}
	case *yaml.TypeError:
		fault.Text = needs(e.DstType)
	case *yaml.OverflowError:
		fault.Text = "the number is too large or too small"
	case *yaml.UnexpectedNodeTypeError:
		fault.Text = "a list is needed here"
		if e.Expected == ast.MappingType {
			fault.Text = "fields are needed here, each with a value"
		}
	default:
		fault.Text = "the value cannot be read as what the field holds"
	}
	return fault
}

func needs(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text is needed here"
	case reflect.Bool:
		return "true or false is needed here"
	case reflect.Float32, reflect.Float64:
		return "a number is needed here"
	case reflect.Slice, reflect.Array:
		return "a list is needed here"
	case reflect.Struct, reflect.Map:
		return "fields are needed here, each with a value"
	}
	return "a whole number is needed here"
}

func value(t *token.Token) string {
	if t == nil {
		return ""
	}
	return t.Value
}
