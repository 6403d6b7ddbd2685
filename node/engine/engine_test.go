package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/transport"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	v, err := open(t).Version(t.Context())
	if err != nil || v == "" {
		t.Errorf("version %q, %v", v, err)
	}
}

func TestLoadAndRun(t *testing.T) {
	t.Parallel()
	e := open(t)
	for _, mediaType := range []string{ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd} {
		t.Run(mediaType, func(t *testing.T) {
			t.Parallel()
			m := newMaker(t)
			extra := m.file(mediaType, "note", []byte("note"))
			root := m.runnable(mediaType, extra, extra)
			name := own + "load:" + strings.ReplaceAll(strings.TrimPrefix(mediaType, "application/vnd.oci.image.layer.v1."), "+", "-")
			forget(t, e, name)
			id, err := e.Load(t.Context(), root, name, m.s, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			for ref, args := range map[string][]string{name: {"hello", "world"}, id: {}} {
				out, exit, err := e.Run(t.Context(), ref, args...)
				if err != nil {
					t.Fatal(err)
				}
				want := strings.Join(append(args, ""), "\n")
				if len(args) == 0 {
					want = ""
				}
				if out != want || exit != len(args) {
					t.Errorf("run %s %q: printed %q, exit %d", ref, args, out, exit)
				}
			}
		})
	}
}

func TestImportIsRepeatable(t *testing.T) {
	t.Parallel()
	e := open(t)
	m := newMaker(t)
	root := m.runnable(ocispec.MediaTypeImageLayerGzip, m.file(ocispec.MediaTypeImageLayerGzip, "x", []byte("x")))
	name, other := own+"import:1.0", own+"import:2.0"
	for _, n := range []string{name, other} { // a second tag must not come along
		forget(t, e, n)
		if _, err := e.Load(t.Context(), root, n, m.s, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	config := configOf(t, root, m.s)
	var first image.Descriptor
	for i, ref := range []string{name, name, "docker.io/" + name, other, config.String(), config.Encoded()[:16]} {
		dst := newMaker(t)
		var bytes int64
		got, err := e.Import(t.Context(), ref, dst.s, func(_ string, done, total int64) {
			if done == total {
				bytes += done
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("import %s: %s", ref, diff)
		}
		if c := configOf(t, got, dst.s); c != config {
			t.Errorf("config is %s, was %s", c, config)
		}
		img, err := image.Walk(t.Context(), got, transport.Documents(dst.s))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range img.Blobs {
			if err := dst.s.Verify(t.Context(), b.Digest); err != nil {
				t.Error(err)
			}
		}
		if img.Layers() != 2 || bytes == 0 {
			t.Errorf("%d layers, %d bytes reported", img.Layers(), bytes)
		}
	}
}

func configOf(t *testing.T, root image.Descriptor, src transport.Source) digest.Digest {
	t.Helper()
	b, err := transport.Documents(src)(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := image.Parse(root.MediaType, b)
	if err != nil {
		t.Fatal(err)
	}
	return doc.Config.Digest
}

func TestLoadPicksThePlatform(t *testing.T) {
	t.Parallel()
	e := open(t)
	m := newMaker(t)
	mine, other := m.runnable(ocispec.MediaTypeImageLayerGzip), m.image("s390x", m.file(ocispec.MediaTypeImageLayerGzip, "main", []byte("s390x")))
	mine.Platform = &ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	other.Platform = &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []image.Descriptor{other, mine}}
	index.SchemaVersion = 2
	root := m.putJSON(index.MediaType, index)

	name := own + "platform:mine"
	forget(t, e, name)
	if _, err := e.Load(t.Context(), root, name, m.s, nil, nil); err != nil {
		t.Fatal(err)
	}
	if out, _, err := e.Run(t.Context(), name, "ran"); err != nil || out != "ran\n" {
		t.Errorf("printed %q, %v", out, err)
	}
	foreign := own + "platform:s390x"
	forget(t, e, foreign)
	id, err := e.Load(t.Context(), root, foreign, m.s, other.Platform, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := configOf(t, other, m.s); id != c.String() && id != other.Digest.String() {
		t.Errorf("id %s is neither config %s nor manifest", id, c)
	}
	_, err = e.Load(t.Context(), root, "", m.s, &ocispec.Platform{OS: "linux", Architecture: "mips"}, nil)
	if !errors.Is(err, image.ErrNoPlatform) {
		t.Errorf("platform that is not there: %v", err)
	}
}

func TestLoadWithoutName(t *testing.T) {
	t.Parallel()
	e := open(t)
	m := newMaker(t)
	root := m.runnable(ocispec.MediaTypeImageLayerGzip, m.file(ocispec.MediaTypeImageLayerGzip, "nameless", []byte("x")))
	id, err := e.Load(t.Context(), root, "", m.s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, err := e.Import(t.Context(), id, m.s, nil); !errors.Is(err, ErrNoSuchImage) {
		t.Errorf("import after remove: %v", err)
	}
}

// refusedAtTheEnd is an image that arrives whole and is not accepted then.
type refusedAtTheEnd struct{ transport.Source }

var errNotAccepted = errors.New("not accepted")

func (s refusedAtTheEnd) Arrive(d digest.Digest) (io.ReadCloser, error) { return s.Open(d) }

func (refusedAtTheEnd) Accepted() error { return errNotAccepted }

func TestLoadOfWhatIsRefusedAtTheEnd(t *testing.T) {
	t.Parallel()
	e := open(t)
	m := newMaker(t)
	root := m.runnable(ocispec.MediaTypeImageLayerGzip, m.file(ocispec.MediaTypeImageLayerGzip, "refused", []byte("x")))
	name := own + "refused:1.0"
	forget(t, e, name)
	if _, err := e.Load(t.Context(), root, name, refusedAtTheEnd{m.s}, nil, nil); !errors.Is(err, errNotAccepted) {
		t.Errorf("load: %v", err)
	}
	for _, ref := range []string{name, configOf(t, root, m.s).String()} {
		if _, err := e.Import(t.Context(), ref, m.s, nil); !errors.Is(err, ErrNoSuchImage) {
			t.Errorf("the Engine has %s: %v", ref, err)
		}
	}
}

func TestAbsentImages(t *testing.T) {
	t.Parallel()
	e := open(t)
	m := newMaker(t)
	nothing := own + "nothing:0"
	if _, err := e.Import(t.Context(), nothing, m.s, nil); !errors.Is(err, ErrNoSuchImage) {
		t.Errorf("import: %v", err)
	}
	if _, _, err := e.Run(t.Context(), nothing); !errors.Is(err, ErrNoSuchImage) {
		t.Errorf("run: %v", err)
	}
	if err := e.Remove(t.Context(), nothing); !errors.Is(err, ErrNoSuchImage) {
		t.Errorf("remove: %v", err)
	}
	if _, err := e.Import(t.Context(), "../containers/json", m.s, nil); err == nil {
		t.Error("import of a path worked")
	}
}

func TestWhatTheEngineCannotTake(t *testing.T) {
	t.Parallel()
	e := open(t)
	m := newMaker(t)
	lie := m.file(ocispec.MediaTypeImageLayerGzip, "main", []byte("truth"))
	lie.diffID = m.file(ocispec.MediaTypeImageLayer, "main", []byte("lie")).diffID
	artifact := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "text/plain", Config: m.put(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: []image.Descriptor{m.put("text/plain", []byte("x"))}}
	artifact.SchemaVersion = 2
	rotten := m.file(ocispec.MediaTypeImageLayerGzip, "main", []byte("good"))
	if err := errors.Join(os.Remove(m.s.Path(rotten.Digest)), os.WriteFile(m.s.Path(rotten.Digest), make([]byte, rotten.Size), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		root image.Descriptor
		as   string
		want error
	}{
		"layer is not its diff id": {m.image(runtime.GOARCH, lie), "", ErrRefused},
		"artifact":                 {m.putJSON(artifact.MediaType, artifact), "", image.ErrNoPlatform},
		"rotten layer":             {m.image(runtime.GOARCH, rotten), "", transport.ErrCorrupt},
		"bad name":                 {m.runnable(ocispec.MediaTypeImageLayerGzip), "UPPER", image.ErrBadReference},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := e.Load(t.Context(), c.root, c.as, m.s, nil, nil)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %q, %v, want %v", id, err, c.want)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	e := open(t)
	m := newMaker(t)
	name := own + "cancel:1"
	forget(t, e, name)
	if _, err := e.Load(t.Context(), m.runnable(ocispec.MediaTypeImageLayer, m.file(ocispec.MediaTypeImageLayer, "c", []byte("c"))), name, m.s, nil, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := e.Run(ctx, name); !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v", err)
	}
	if _, err := e.Import(ctx, name, m.s, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("import: %v", err)
	}
}

func TestNoEngine(t *testing.T) {
	for name, host := range map[string]string{
		"no socket":    "unix://" + filepath.Join(t.TempDir(), "docker.sock"),
		"no such form": "carrier-pigeon",
	} {
		t.Setenv("DOCKER_HOST", host)
		if _, err := Open(t.Context()); !errors.Is(err, ErrNoEngine) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer broken.Close()
	t.Setenv("DOCKER_HOST", "tcp://"+strings.TrimPrefix(broken.URL, "http://"))
	if _, err := Open(t.Context()); !errors.Is(err, ErrNoEngine) {
		t.Errorf("no entry: %v", err)
	}
}

func TestLoadResult(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"":                               "",
		`{"stream":"Loaded image: x\n"}`: "",
		`{"stream":"a"}{"errorDetail":{"message":"no space"},"error":"no space"}`: "no space",
		`<html>`: "reading the Engine's answer",
		`{"errorDetail":{"message":"` + strings.Repeat("x", 5000) + `"}}`: "xxx…",
	} {
		err := loadResult(strings.NewReader(answer))
		if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) && err != nil || len(got) > 2*maxLoadMessage {
			t.Errorf("%.60q: %.100q, want %q", answer, got, want)
		}
	}
}

func FuzzLoadResult(f *testing.F) {
	f.Add(`{"stream":"x"}{"errorDetail":{"message":"y"}}`)
	f.Add(`{"progressDetail":{"current":1}}`)
	f.Fuzz(func(_ *testing.T, answer string) {
		_ = loadResult(strings.NewReader(answer))
	})
}
