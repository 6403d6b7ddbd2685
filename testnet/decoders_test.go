package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trusted are functions that look like decoders and take nothing apart
// themselves: what they hand on to is fuzzed.
var trusted = map[string]string{
	"cmd/dockchain.readProof":     "reads a file",
	"node.parsePlatform":          "joins an empty text and a decoder",
	"node/registry.answerJSON":    "writes an answer",
	"node/registry.answerUpload":  "writes an answer",
	"node/transport.ReadLayout":   "names a directory",
	"node/transport.readDir":      "opens a directory",
	"node/transport.ReadArchive":  "names a file",
	"node/transport.readArchive":  "opens a file",
	"node/transport.ReadStream":   "names a stream",
	"node/transport.ReadRegistry": "names a registry",
	"node/transport.readRegistry": "asks a registry",
	"p2p.answerLimit":             "looks a word up",
}

// TestEveryDecoderIsFuzzed wants every function that takes bytes, text or a
// stream apart to be reached from a fuzz target.
func TestEveryDecoderIsFuzzed(t *testing.T) {
	t.Parallel()
	src := readSource(t, "..")
	fuzzed := src.reached(func(f *function) bool { return strings.HasPrefix(f.name, "Fuzz") && f.test })
	n := 0
	for _, f := range src.functions {
		if !f.isDecoder() {
			continue
		}
		n++
		switch _, known := trusted[f.String()]; {
		case known && fuzzed[f]:
			t.Errorf("%s is trusted without need: it is fuzzed", f)
		case !known && !fuzzed[f]:
			t.Errorf("%s: %s decodes, and no fuzz target reaches it", src.set.Position(f.pos), f)
		}
	}
	if n < 40 {
		t.Errorf("only %d decoders were found", n)
	}
}

// source is every function of the module, with what its body may call.
type source struct {
	set       *token.FileSet
	functions []*function
	named     map[string][]*function // by package and name
	methods   map[string][]*function // by package and name, those with a receiver
}

type function struct {
	pkg, name string // pkg is relative to the module
	test      bool
	pos       token.Pos
	decl      *ast.FuncDecl
	imports   map[string]string // of its file: what it calls a package of the module
}

func (f *function) String() string { return f.pkg + "." + f.name }

// readSource parses the Go files of the module.
func readSource(t *testing.T, root string) *source {
	t.Helper()
	s := &source{set: token.NewFileSet(), named: map[string][]*function{}, methods: map[string][]*function{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		file, err := parser.ParseFile(s.set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		s.add(filepath.ToSlash(dir), strings.HasSuffix(name, "_test.go"), file)
		return nil
	})
	if err != nil {
		t.Fatalf("reading the source: %v", err)
	}
	return s
}

func (s *source) add(pkg string, test bool, file *ast.File) {
	imports := map[string]string{}
	for _, imp := range file.Imports {
		ours, ok := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/")
		if !ok {
			continue
		}
		name := path.Base(ours)
		if imp.Name != nil {
			name = imp.Name.Name
		}
		imports[name] = ours
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		f := &function{pkg: pkg, name: fn.Name.Name, test: test, pos: fn.Pos(), decl: fn, imports: imports}
		s.functions = append(s.functions, f)
		s.named[f.String()] = append(s.named[f.String()], f)
		if fn.Recv != nil {
			s.methods[f.String()] = append(s.methods[f.String()], f)
		}
	}
}

// decoding is how the names of decoders begin.
var decoding = []string{"parse", "decode", "unmarshal", "scan", "read", "judge", "answer"}

// isDecoder goes by the name and by what comes in.
func (f *function) isDecoder() bool {
	if f.test || f.pkg == "testnet" || strings.HasPrefix(f.pkg, "testnet/") || strings.HasSuffix(f.pkg, "test") {
		return false
	}
	name := strings.ToLower(f.name)
	if slices.Contains([]string{"read", "readat", "readfrom"}, name) {
		return false // passes bytes on
	}
	named := slices.ContainsFunc(decoding, func(verb string) bool { return strings.HasPrefix(name, verb) })
	return named && slices.ContainsFunc(f.decl.Type.Params.List, func(p *ast.Field) bool { return isInput(p.Type) && !namesFile(p) })
}

// namesFile tells whether a parameter says where bytes are, which other functions
// take apart.
func namesFile(p *ast.Field) bool {
	id, ok := p.Type.(*ast.Ident)
	return ok && id.Name == "string" && len(p.Names) == 1 && slices.Contains([]string{"name", "dir", "path", "file"}, p.Names[0].Name)
}

// isInput tells whether bytes come in by a parameter of this type.
func isInput(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ArrayType:
		elem, ok := e.Elt.(*ast.Ident)
		return ok && e.Len == nil && elem.Name == "byte"
	case *ast.Ident:
		return e.Name == "string"
	case *ast.StarExpr:
		return isInput(e.X)
	case *ast.SelectorExpr:
		return slices.Contains([]string{"Reader", "RawMessage", "Request"}, e.Sel.Name)
	}
	return false
}

// reached are the functions that may be called from those that from picks. It
// goes by names, so that it finds too many rather than too few.
func (s *source) reached(from func(*function) bool) map[*function]bool {
	seen := map[*function]bool{}
	var todo []*function
	visit := func(fs []*function) {
		for _, f := range fs {
			if !seen[f] {
				seen[f] = true
				todo = append(todo, f)
			}
		}
	}
	for _, f := range s.functions {
		if from(f) {
			visit([]*function{f})
		}
	}
	for len(todo) > 0 {
		f := todo[0]
		todo = todo[1:]
		ast.Inspect(f.decl.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				visit(s.named[f.pkg+"."+n.Name])
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && f.imports[x.Name] != "" {
					visit(s.named[f.imports[x.Name]+"."+n.Sel.Name])
					return false
				}
				visit(s.methods[f.pkg+"."+n.Sel.Name])
				for _, pkg := range f.imports {
					visit(s.methods[pkg+"."+n.Sel.Name])
				}
			}
			return true
		})
	}
	return seen
}
