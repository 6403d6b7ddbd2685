package main_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const minThreats = 15

var threatRow = regexp.MustCompile("(?m)^\\|.*\\| `(TestThreat\\w+)…` \\|$")

// TestThreatTable compares the table of threats with the tests: every row has one,
// and every test that is named for a threat has a row.
func TestThreatTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{} // tests, by how their names begin
	for _, row := range threatRow.FindAllSubmatch(page, -1) {
		rows[string(row[1])] = 0
	}
	if len(rows) < minThreats {
		t.Errorf("the table has %d rows, want at least %d", len(rows), minThreats)
	}
	for _, f := range readSource(t, "..").functions {
		if !f.test || !strings.HasPrefix(f.name, "TestThreat") || f.name == t.Name() {
			continue
		}
		named := false
		for row := range rows {
			if strings.HasPrefix(f.name, row) {
				rows[row]++
				named = true
			}
		}
		if !named {
			t.Errorf("%s has no row in the table of threats", f)
		}
	}
	for row, tests := range rows {
		if tests == 0 {
			t.Errorf("there is no test %s…", row)
		}
	}
}
