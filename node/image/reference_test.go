package image

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

const (
	hexA   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	author = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
)

func TestParseRef(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, out string
		want    Ref
	}{
		{"me/debian", "me/debian:latest", Ref{"me", "debian", "latest", ""}},
		{"me/debian:12", "me/debian:12", Ref{"me", "debian", "12", ""}},
		{"alice/tools/build:v1.0-rc_1", "alice/tools/build:v1.0-rc_1", Ref{"alice", "tools/build", "v1.0-rc_1", ""}},
		{author + "/app", author + "/app:latest", Ref{author, "app", "latest", ""}},
		{"a/b@sha256:" + hexA, "a/b@sha256:" + hexA, Ref{"a", "b", "", "sha256:" + hexA}},
		{"a/b:c@sha512:" + hexA + hexA, "a/b:c@sha512:" + hexA + hexA, Ref{"a", "b", "c", "sha512:" + hexA + hexA}},
		{"a.b_c-d/x__y.z--w/0:_", "a.b_c-d/x__y.z--w/0:_", Ref{"a.b_c-d", "x__y.z--w/0", "_", ""}},
		{"me/x:" + strings.Repeat("t", 128), "me/x:" + strings.Repeat("t", 128), Ref{"me", "x", strings.Repeat("t", 128), ""}},
		{"me/" + strings.Repeat("r", 252), "me/" + strings.Repeat("r", 252) + ":latest", Ref{"me", strings.Repeat("r", 252), "latest", ""}},
	}
	for _, tt := range tests {
		got, err := ParseRef(tt.in)
		if err != nil {
			t.Errorf("ParseRef(%q): %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseRef(%q) (-want +got):\n%s", tt.in, diff)
		}
		if got.String() != tt.out || got.Name() != tt.want.Author+"/"+tt.want.Repo {
			t.Errorf("ParseRef(%q) prints as %q", tt.in, got)
		}
	}
}

var badRefs = []string{
	"", "/", "debian", "debian:12", "me/", "/debian", "me//x", "me/x/", "me/x:", "me/x@", "me/X", "Me/x", "me/x y",
	"me/../x", "me/..", "../me/x", "me/.x", "me/x.", "me/-x", "me/x___y", "me/a..b", "me/x:-t", "me/x:.t", "me/x:a:b",
	"me/x:t/y", "localhost:5000/me/x", "http://me/x", "me/x\n", "me/x:t\n", "me/x\x00", "mé/x", "me/é", "me/x:é",
	"me/x@sha256:" + hexA[1:], "me/x@sha256:" + hexA + "a", "me/x@sha256:" + strings.ToUpper(hexA), "me/x@sha256:../../x",
	"me/x@md5:" + hexA[:32], "me/x@sha384:" + hexA + hexA[:32], "me/x@sha256:" + hexA + "@sha256:" + hexA,
	"me/x@sha256:" + hexA + ":t", "@sha256:" + hexA, "me/x:" + strings.Repeat("t", 129), "me/" + strings.Repeat("r", 253),
	strings.Repeat("a", 65) + "/x", "me/" + strings.Repeat("x", 1<<20), "magnet:?xt=urn:btih:" + hexA[:40],
}

func TestParseRefBad(t *testing.T) {
	t.Parallel()
	for _, in := range badRefs {
		got, err := ParseRef(in)
		if !errors.Is(err, ErrBadReference) {
			t.Errorf("ParseRef(%.100q) = %v, %v", in, got, err)
		} else if len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("ParseRef(%.100q): unprintable error %.200q", in, err)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range append([]string{"me/debian:12", author + "/a/b@sha256:" + hexA, "a/b:c@sha512:" + hexA + hexA}, badRefs...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			if !errors.Is(err, ErrBadReference) {
				t.Errorf("error %v", err)
			}
			return
		}
		if again, err := ParseRef(r.String()); err != nil || again != r {
			t.Errorf("%q parses as %#v, which prints as %q: %#v, %v", s, r, r, again, err)
		}
		if r.String() != s && r.String() != s+":"+DefaultTag {
			t.Errorf("%q prints as %q", s, r)
		}
		if strings.Contains(r.Name(), "..") && !strings.Contains(r.Author, "..") || r.Tag == "" && r.Digest == "" {
			t.Errorf("accepted %#v", r)
		}
	})
}

func TestCheckDigest(t *testing.T) {
	t.Parallel()
	for _, good := range []digest.Digest{digest.FromString("x"), digest.SHA512.FromString("x")} {
		if err := CheckDigest(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []digest.Digest{
		"", "sha256:", "sha256:../../x", "sha256:" + digest.Digest(strings.ToUpper(hexA)), digest.Digest("sha384:" + hexA + hexA[:32]),
		"sha256:" + hexA + "\n", "sha256:" + hexA + "/..", "sha512:" + hexA, digest.Digest(strings.Repeat("a", 1<<20)),
	} {
		if err := CheckDigest(bad); err == nil || len(err.Error()) > 500 {
			t.Errorf("CheckDigest(%.80q): %v", bad, err)
		}
	}
}
