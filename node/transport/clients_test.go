package transport

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/node/image"
)

// skopeo runs the real one. DOCKCHAIN_REQUIRE_CLIENTS=1 makes its absence a
// failure.
func skopeo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "skopeo", append([]string{"--insecure-policy"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("skopeo %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func needSkopeo(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("skopeo"); err == nil {
		return
	}
	if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
		t.Fatal("skopeo is not installed, and DOCKCHAIN_REQUIRE_CLIENTS=1")
	}
	t.Skip("skopeo is not installed")
}

func TestSkopeoReadsOurs(t *testing.T) {
	t.Parallel()
	needSkopeo(t)
	b := newBuilder(t)
	all := shapes(b)
	for _, shape := range []string{"one layer", "one layer twice", "zstd", "multi-platform"} {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			root := all[shape]
			dir := filepath.Join(t.TempDir(), "layout")
			if err := WriteLayout(t.Context(), dir, root, "1.0", b.s, nil); err != nil {
				t.Fatal(err)
			}
			tar := writeTemp(t, archiveOf(t, root, b.s))
			for _, source := range []string{"oci:" + dir, "oci:" + dir + ":1.0", "oci-archive:" + tar} {
				copied := filepath.Join(t.TempDir(), "copy")
				skopeo(t, "copy", "--all", "--preserve-digests", source, "oci:"+copied+":x")
				got, err := ReadLayout(t.Context(), copied, "x", newStore(t), nil)
				if err != nil {
					t.Fatal(err)
				}
				assertRoot(t, got, root)
			}
			// manifest.json is another description of the same layers.
			copied := filepath.Join(t.TempDir(), "copy")
			skopeo(t, "copy", "docker-archive:"+tar+":app:1.0", "oci:"+copied+":x")
			if got, want := configOf(t, copied), configFrom(t, b, root); got != want {
				t.Errorf("config as docker-archive is %s, want %s", got, want)
			}
		})
	}
}

// configOf is the config digest of the one image of a layout.
func configOf(t *testing.T, dir string) string {
	t.Helper()
	s := newStore(t)
	root, err := ReadLayout(t.Context(), dir, "", s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return configFrom(t, builder{t, s}, root)
}

func configFrom(t *testing.T, b builder, root image.Descriptor) string {
	t.Helper()
	m, err := selectPlatform(t.Context(), root, nil, Documents(b.s))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := readManifest(t.Context(), m, Documents(b.s))
	if err != nil {
		t.Fatal(err)
	}
	return doc.Config.Digest.String()
}

func TestWeReadSkopeos(t *testing.T) {
	t.Parallel()
	needSkopeo(t)
	b := newBuilder(t)
	base := b.layer("base", uncompressed)
	root := b.manifest("amd64", base, b.layer("top", uncompressed), base)
	dir := filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(t.Context(), dir, root, "", b.s, nil); err != nil {
		t.Fatal(err)
	}
	tars := t.TempDir()
	skopeo(t, "copy", "oci:"+dir, "oci-archive:"+tars+"/oci.tar:app:1.0")
	skopeo(t, "copy", "oci:"+dir, "docker-archive:"+tars+"/docker.tar:app:1.0")
	for name, ref := range map[string]string{"oci.tar": "app:1.0", "docker.tar": "app:1.0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(filepath.Join(tars, name))
			if err != nil {
				t.Fatal(err)
			}
			got, s, err := readBoth(t, content, ref)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := configFrom(t, builder{t, s}, got), configFrom(t, b, root); got != want {
				t.Errorf("config %s, want %s", got, want)
			}
		})
	}
}
