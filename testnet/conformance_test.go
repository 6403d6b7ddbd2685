package main_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"testing"
)

// The conformance program of the distribution specification, unchanged, finds
// nothing to complain about: in a plain repository and in one of the author's.
func TestConformance(t *testing.T) {
	t.Parallel()
	program := toolClient(t, "conformance", "github.com/opencontainers/distribution-spec/conformance")
	_, host := front(t)
	for _, version := range []string{"1.0", "1.1", "dev"} {
		for _, repo := range []string{"conformance/v" + version, "me/conformance-v" + version} {
			t.Run(version+" "+filepath.Dir(repo), func(t *testing.T) {
				dir := t.TempDir()
				c := client{t: t, path: program.path, env: []string{
					"OCI_REGISTRY=" + host, "OCI_TLS=disabled", "OCI_REPO1=" + repo + "-1", "OCI_REPO2=" + repo + "-2",
					"OCI_VERSION=" + version, "OCI_RESULTS_DIR=" + dir,
				}}
				out := c.must()
				b, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				var results struct {
					Tests    int `xml:"tests,attr"`
					Failures int `xml:"failures,attr"`
					Errors   int `xml:"errors,attr"`
				}
				if err := xml.Unmarshal(b, &results); err != nil {
					t.Fatal(err)
				}
				if results.Tests < 800 || results.Failures != 0 || results.Errors != 0 {
					t.Errorf("%+v\n%s", results, out)
				}
			})
		}
	}
}
