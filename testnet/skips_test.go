package main_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingIsSkippedInCI: a test may be skipped only for what a machine lacks, and
// only where no variable DOCKCHAIN_REQUIRE_… says, as .ci/run does, that nothing may be
// lacking. What is too much for -short is left out of a list, or made smaller.
func TestNothingIsSkippedInCI(t *testing.T) {
	t.Parallel()
	const requirement = `os.Getenv("DOCKCHAIN_REQUIRE_`
	seen := 0
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && path != ".." && strings.HasPrefix(e.Name(), ".") {
			return filepath.SkipDir
		}
		switch {
		case e.IsDir():
		case strings.HasSuffix(path, ".txtar"):
			script, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if bytes.Contains(script, []byte("[short] skip")) {
				t.Errorf("%s is skipped in -short", path)
			}
		case strings.HasSuffix(path, "_test.go"), strings.HasPrefix(path, filepath.FromSlash("../testnet/harness/")):
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(f, func(n ast.Node) bool {
					call, ok := n.(*ast.SelectorExpr)
					if !ok || call.Sel.Name != "Skip" && call.Sel.Name != "Skipf" && call.Sel.Name != "SkipNow" {
						return true
					}
					seen++
					before := src[files.Position(f.Pos()).Offset:files.Position(call.Pos()).Offset]
					if !bytes.Contains(before, []byte(requirement)) {
						t.Errorf("%s is skipped whatever is required", files.Position(call.Pos()))
					}
					return true
				})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Error("no test is ever skipped: this one looks in the wrong place")
	}
}
