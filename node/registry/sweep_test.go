package registry

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/kv"
)

// faultyBucket fails, or loses the answer of, its nth transaction that writes.
type faultyBucket struct {
	kv.Bucket
	n     int
	apply bool // it is written, and the answer is lost
}

var errDisk = errors.New("input/output error")

func (b *faultyBucket) Update(fn func(kv.Txn) error) error {
	b.n--
	if b.n >= 0 {
		return b.Bucket.Update(fn)
	}
	if b.apply {
		if err := b.Bucket.Update(fn); err != nil {
			return err
		}
	}
	return errDisk
}

// TestShelfSweep makes each transaction of each change fail, before or after it
// took effect. After it, and a restart, the shelf is as before or as after, and
// what refers to something finds it.
func TestShelfSweep(t *testing.T) {
	t.Parallel()
	img := makeImage(t, "layer")
	referrer := referring(t, img.descriptor(), "application/x.a", "x")
	on := true
	pushAll := func(f *fixture) {
		f.push("me/app", "1", img)
		f.push("me/app", "2", img)
		f.push("me/app", referrer.digest.String(), referrer)
	}
	for name, op := range map[string]struct {
		prepare func(f *fixture)
		run     func(f *fixture) answer
	}{
		"blob": {func(*fixture) {}, func(f *fixture) answer {
			return f.do("POST", "/v2/me/app/blobs/uploads/?digest="+digest.FromString("x").String(), []byte("x"))
		}},
		"manifest": {func(f *fixture) {
			pushAll(f)
			rec := repoRecord{PublishOnPush: on}
			if err := f.bucket.Update(func(tx kv.Txn) error { return save(tx, repoKey("me/app"), rec) }); err != nil {
				t.Fatal(err)
			}
			f.want(f.do("DELETE", "/v2/me/app/manifests/"+referrer.digest.String(), nil), 202)
		}, func(f *fixture) answer {
			return f.do("PUT", "/v2/me/app/manifests/"+referrer.digest.String()+"?tag=a&tag=b", referrer.manifest, "Content-Type", referrer.mediaType)
		}},
		"mount": {pushAll, func(f *fixture) answer {
			return f.do("POST", "/v2/team/app/blobs/uploads/?mount="+digest.FromString("layer").String(), nil)
		}},
		"untag":           {pushAll, func(f *fixture) answer { return f.do("DELETE", "/v2/me/app/manifests/1", nil) }},
		"delete manifest": {pushAll, func(f *fixture) answer { return f.do("DELETE", "/v2/me/app/manifests/"+img.digest.String(), nil) }},
		"delete referrer": {pushAll, func(f *fixture) answer { return f.do("DELETE", "/v2/me/app/manifests/"+referrer.digest.String(), nil) }},
		"delete blob": {pushAll, func(f *fixture) answer {
			return f.do("DELETE", "/v2/me/app/blobs/"+digest.FromString("layer").String(), nil)
		}},
	} {
		for _, apply := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for n := 0; ; n++ {
					f := newFixture(t)
					op.prepare(f)
					before := keysOf(t, f)
					sound := f.bucket
					fault := &faultyBucket{Bucket: sound, n: n, apply: apply}
					f.bucket = fault
					f.restart()
					a := op.run(f)
					f.bucket = sound
					f.restart()
					after := keysOf(t, f)
					checkShelf(t, after)
					if fault.n >= 0 { // no fault came
						if a.status >= 300 || cmp.Equal(before, after) {
							t.Errorf("answered %d %s", a.status, a.body)
						}
						return
					}
					if a.status != 500 {
						t.Errorf("fault %d: answered %d %s", n, a.status, a.body)
					}
					if !apply && !cmp.Equal(before, after) {
						t.Errorf("fault %d: the shelf changed: %s", n, cmp.Diff(before, after))
					}
					if a := op.run(f); a.status >= 300 && a.status != 404 {
						t.Errorf("trying again: %d %s", a.status, a.body)
					}
				}
			})
		}
	}
}

// keysOf is all that is on a shelf.
func keysOf(t *testing.T, f *fixture) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := f.bucket.View(func(tx kv.Txn) error {
		for key, value := range tx.Each("", "") {
			all[key] = string(value)
		}
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkShelf wants every record that means another to find it, and none to be
// both there and deleted.
func checkShelf(t *testing.T, all map[string]string) {
	t.Helper()
	for key := range maps.Keys(all) {
		kind, rest, _ := strings.Cut(key, "/")
		name, what, _ := strings.Cut(rest, ":")
		need, never := "", ""
		switch kind {
		case "tag":
			_, d, _ := strings.Cut(all[key], `"digest":"`)
			need, never = "manifest/"+name+":"+d[:71], "gone/"+name+":tag:"+what
		case "link":
			need, never = "used/"+what+":"+name, "gone/"+name+":blob:"+what
		case "used":
			i := strings.LastIndexByte(rest, ':')
			need = "link/" + rest[i+1:] + ":" + rest[:i]
		case "manifest":
			need, never = "repo/"+name, "gone/"+name+":manifest:"+what
		case "referrer":
			need = "manifest/" + name + ":" + what[72:]
		case "pending":
			need = "tag/" + name + ":" + what
		}
		if _, ok := all[need]; need != "" && !ok {
			t.Errorf("%s without %s", key, need)
		}
		if _, ok := all[never]; ok {
			t.Errorf("%s beside %s", key, never)
		}
	}
}
