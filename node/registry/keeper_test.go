package registry

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/kv"
)

// collect does what the collector of files does: it asks what is needed, and removes
// the rest. It gives what went, and what is not linked any more.
func (f *fixture) collect(before time.Time, dry bool) (gone, unlinked map[digest.Digest]bool) {
	f.t.Helper()
	gone, unlinked = map[digest.Digest]bool{}, map[digest.Digest]bool{}
	needed := map[digest.Digest]bool{}
	k := NewKeeper(f.bucket, f.registry.Blobs)
	before = f.registry.Blobs.Cutoff(before)
	err := k.Needs(f.t.Context(), before, dry, func(d digest.Digest) { needed[d] = true }, func(_ string, d digest.Digest) { unlinked[d] = true })
	if err != nil {
		f.t.Fatal(err)
	}
	err = f.registry.Blobs.Collect(before, dry, func(d digest.Digest) bool { return needed[d] }, func(d digest.Digest, _ int64) { gone[d] = true })
	if err != nil {
		f.t.Fatal(err)
	}
	return gone, unlinked
}

// later is after everything that was done so far.
func later() time.Time { return time.Now().Add(time.Hour) }

// Tags, manifests without one and what they refer to stay; what was deleted, and
// what was pushed for nothing, goes.
func TestCollectAfterDeletes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tagged, untagged, shared := makeImage(t, "tagged", "shared"), makeImage(t, "untagged"), makeImage(t, "deleted", "shared")
	f.push("team/app", "1", tagged)
	f.push("team/app", untagged.digest.String(), untagged)
	f.push("team/app", "2", shared)
	loose := f.pushBlob("team/other", []byte("nothing needs it"))
	if gone, unlinked := f.collect(later(), true); len(gone) != 1 || !gone[loose] || !unlinked[loose] {
		t.Errorf("a dry run has %v go, %v unlinked", gone, unlinked)
	}
	f.want(f.do("HEAD", "/v2/team/other/blobs/"+loose.String(), nil), 200)
	f.want(f.do("DELETE", "/v2/team/app/manifests/"+shared.digest.String(), nil), 202)
	gone, _ := f.collect(later(), false)
	for d, want := range map[digest.Digest]bool{
		loose: true, shared.digest: true, digest.FromString("deleted"): true,
		digest.FromString("shared"): false, tagged.digest: false, untagged.digest: false, digest.FromString("untagged"): false,
	} {
		if gone[d] != want {
			t.Errorf("%s went: %t, want %t", d, gone[d], want)
		}
	}
	f.want(f.do("HEAD", "/v2/team/app/blobs/"+digest.FromString("deleted").String(), nil), 404)
	f.want(f.do("GET", "/v2/team/app/manifests/1", nil), 200)
	f.want(f.do("GET", "/v2/team/app/blobs/"+digest.FromString("shared").String(), nil), 200)
	f.push("team/app", "2", shared) // it comes back whole
	f.want(f.do("GET", "/v2/team/app/blobs/"+digest.FromString("deleted").String(), nil), 200)
	if gone, _ := f.collect(later(), false); len(gone) != 0 {
		t.Errorf("%v went of what is needed", gone)
	}
}

// A layer whose manifest is on its way stays for the grace, and one that a client
// just found here too.
func TestCollectSparesPushesUnderWay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	for _, b := range img.blobs {
		f.pushBlob("team/app", b)
	}
	hourAgo := time.Now().Add(-time.Hour)
	if gone, unlinked := f.collect(hourAgo, false); len(gone)+len(unlinked) != 0 {
		t.Errorf("within the grace %v went, %v unlinked", gone, unlinked)
	}
	// Now they are old, and the process another one.
	f.restart()
	for d := range img.blobs {
		then := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(f.registry.Blobs.Path(d), then, then); err != nil {
			t.Fatal(err)
		}
		if err := f.bucket.Update(func(tx kv.Txn) error {
			return tx.Set(linkKey("team/app", d), encodeLink(int64(len(img.blobs[d])), then))
		}); err != nil {
			t.Fatal(err)
		}
		f.want(f.do("HEAD", "/v2/team/app/blobs/"+d.String(), nil), 200)
	}
	if gone, unlinked := f.collect(hourAgo, false); len(gone)+len(unlinked) != 0 {
		t.Errorf("what a client found went: %v, %v unlinked", gone, unlinked)
	}
	f.want(f.do("PUT", "/v2/team/app/manifests/1", img.manifest, "Content-Type", img.mediaType), 201)
	if gone, unlinked := f.collect(later(), false); len(gone)+len(unlinked) != 0 {
		t.Errorf("what a manifest needs went: %v, %v unlinked", gone, unlinked)
	}
}

// A link of an older program, which does not say when it was made, goes by its file.
func TestCollectOldLinks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.pushBlob("team/app", []byte("old"))
	if err := f.bucket.Update(func(tx kv.Txn) error { return tx.Set(linkKey("team/app", d), []byte("3")) }); err != nil {
		t.Fatal(err)
	}
	f.want(f.do("HEAD", "/v2/team/app/blobs/"+d.String(), nil), 200)
	if gone, _ := f.collect(time.Now().Add(-time.Hour), false); len(gone) != 0 {
		t.Errorf("%v went", gone)
	}
	if gone, _ := f.collect(later(), false); !gone[d] {
		t.Error("it stays")
	}
}

// A manifest that refers to a file which is not there is refused, whatever the
// records say.
func TestManifestWithoutFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	for _, b := range img.blobs {
		f.pushBlob("team/app", b)
	}
	if err := f.registry.Blobs.Delete(digest.FromString("layer")); err != nil {
		t.Fatal(err)
	}
	a := f.want(f.do("PUT", "/v2/team/app/manifests/1", img.manifest, "Content-Type", img.mediaType), 404)
	if !strings.Contains(string(a.body), "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("answered %s", a.body)
	}
}

// While a collector takes everything that nothing needs, after a grace that is too
// short for some pushes, clients push and delete: a manifest that was taken has all
// of its blobs, and a push that came too late is told so.
func TestCollectWhileClientsPush(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stop := make(chan struct{})
	var collector, clients sync.WaitGroup
	went := 0
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				gone, _ := f.collect(time.Now().Add(-50*time.Millisecond), false)
				went += len(gone)
			}
		}
	})
	for i := range 4 {
		clients.Go(func() {
			for j := range 12 {
				if !f.pushWhole(fmt.Sprintf("team/app%d", i), makeImage(t, fmt.Sprintf("own %d %d", i, j), "shared by all")) {
					return
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	collector.Wait()
	if went == 0 {
		t.Error("nothing was collected meanwhile")
	}
}

// pushWhole pushes an image until it is taken, reads all of it, and deletes it.
func (f *fixture) pushWhole(repo string, img testImage) bool {
	base := "/v2/" + repo
	for taken := false; !taken; {
		for d, b := range img.blobs {
			if a := f.do("POST", base+"/blobs/uploads/?digest="+d.String(), b, "Content-Type", "application/octet-stream"); a.status != 201 {
				f.t.Errorf("pushing a blob: %d %s", a.status, a.body)
				return false
			}
		}
		switch a := f.do("PUT", base+"/manifests/latest", img.manifest, "Content-Type", img.mediaType); a.status {
		case 201:
			taken = true
		case 404: // too late
		default:
			f.t.Errorf("pushing a manifest: %d %s", a.status, a.body)
			return false
		}
	}
	paths := []string{"/manifests/latest"}
	for d := range img.blobs {
		paths = append(paths, "/blobs/"+d.String())
	}
	for _, path := range paths {
		if a := f.do("GET", base+path, nil); a.status != 200 {
			f.t.Errorf("%s of an image that was taken: %d %s", path, a.status, a.body)
			return false
		}
	}
	if a := f.do("DELETE", base+"/manifests/"+img.digest.String(), nil); a.status != 202 {
		f.t.Errorf("deleting: %d %s", a.status, a.body)
		return false
	}
	return true
}

// A quota refuses a push in words that clients show, and before it is sent where it
// says how much it will be.
func TestPushOverQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.push("team/app", "1", makeImage(t, "layer"))
	f.registry.Blobs.SetLimits(blobs.Limits{Quota: f.registry.Blobs.Usage().Used() + 100}, nil)
	big := []byte(strings.Repeat("x", 101))
	a := f.want(f.do("POST", "/v2/team/app/blobs/uploads/?digest="+digest.FromBytes(big).String(), big, "Content-Type", "application/octet-stream"), 403)
	if s := string(a.body); !strings.Contains(s, `"DENIED"`) || !strings.Contains(s, "the storage quota is used up") {
		t.Errorf("answered %s", s)
	}
	a = f.want(f.do("POST", "/v2/team/app/blobs/uploads/", nil), 202)
	f.want(f.do("PATCH", a.location(), big, "Content-Type", "application/octet-stream"), 403)
	f.want(f.do("PATCH", a.location(), big[:50], "Content-Type", "application/octet-stream"), 202)
	f.want(f.do("GET", "/v2/team/app/manifests/1", nil), 200)
	f.registry.Blobs.SetLimits(blobs.Limits{Quota: 0}, nil)
	f.want(f.do("PUT", a.location()+"?digest="+digest.FromBytes(big).String(), big[50:], "Content-Type", "application/octet-stream"), 201)
}
