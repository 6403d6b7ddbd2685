package swarm

import (
	"errors"
	"io"
	"path/filepath"
	"testing"
)

func TestWrongInfoDict(t *testing.T) {
	t.Parallel()
	bl := newBlob(t, 5, 1<<20)
	for name, lie := range map[string]func(*impostor){
		"other hashes":   func(im *impostor) { im.info = forge(im.blob.info) },
		"other length":   func(im *impostor) { im.size = len(im.blob.info) + 1 },
		"absurd length":  func(im *impostor) { im.size = 1 << 30 },
		"cut short":      func(im *impostor) { im.info, im.size = im.blob.info[:100], len(im.blob.info) },
		"not a dict":     func(im *impostor) { im.info = make([]byte, len(im.blob.info)) },
		"right at first": func(im *impostor) { im.piece = im.lie },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice, bob := tn.node("alice"), tn.node("bob", quick)
			alice.shelf.put(bl.info, bl.source())
			mallory := &impostor{blob: bl}
			lie(mallory)
			tn.settle("mallory", mallory.accept)

			more := make(chan string, 1)
			job := bl.job(t, "mallory")
			job.MorePeers = more
			done := make(chan error, 1)
			go func() {
				_, err := bob.Fetch(within(t, patience), job)
				done <- err
			}()
			kind := BadInfo
			if mallory.piece != nil {
				kind = BadPiece
			}
			await(t, "mallory to be blamed", func() bool { return bob.seen.count("mallory", kind) == 1 })
			more <- "alice"
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			bl.check(t, job.Partial)
		})
	}
}

func TestWrongInfoDictAmongHonestPeers(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob := tn.node("bob")
	bl := newBlob(t, 6, 16<<20)
	for _, name := range []string{"alice", "carol"} {
		n := tn.node(name)
		n.shelf.put(bl.info, bl.source())
	}
	mallory := &impostor{blob: bl, info: forge(bl.info)}
	tn.settle("mallory", mallory.accept)
	job := bl.job(t, "mallory", "alice", "carol")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	for _, honest := range []string{"alice", "carol"} {
		if bob.seen.count(honest, BadInfo) != 0 {
			t.Errorf("%s was blamed", honest)
		}
	}
}

// The length of an image's dict is not known beforehand: the first peer to claim
// one must not keep the others out.
func TestWrongInfoDictOfAnImage(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 150)
	for name, lie := range map[string]func(*impostor){
		"other length":      func(im *impostor) { im.size = len(al.info) + 20 },
		"other hashes":      func(im *impostor) { im.info = forge(al.info) },
		"claimed, not sent": func(im *impostor) { im.size, im.mute = len(al.info)+20, true },
		"rightly, not sent": func(im *impostor) { im.mute = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice, bob := tn.node("alice"), tn.node("bob", quick)
			if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
				t.Fatal(err)
			}
			mallory := &impostor{blob: blob{data: al.flat(), info: al.info}}
			lie(mallory)
			tn.settle("mallory", mallory.accept)
			more := make(chan string, 1)
			job := Job{
				Infohash: al.ih, Name: al.name, Peers: []string{"mallory"}, MorePeers: more,
				Partial: filepath.Join(t.TempDir(), "partial"),
			}
			done := make(chan error, 1)
			go func() {
				_, err := bob.Fetch(within(t, patience), job)
				done <- err
			}()
			await(t, "mallory to be asked", func() bool { return mallory.visits.Load() > 0 })
			more <- "alice"
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if bob.seen.count("alice", BadInfo) != 0 {
				t.Error("alice was blamed")
			}
		})
	}
}

// The infohash is of a torrent that does not describe what the job wants.
func TestInfoDictOfSomethingElse(t *testing.T) {
	t.Parallel()
	bl := newBlob(t, 9, 1<<20)
	for name, change := range map[string]func(*Job){
		"name":         func(j *Job) { j.Name = newBlob(t, 10, 1<<20).name },
		"caller's own": func(j *Job) { j.Check = func([]byte) error { return io.ErrNoProgress } },
		"size":         func(j *Job) { j.Size++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice, bob := tn.node("alice"), tn.node("bob", quick)
			alice.shelf.put(bl.info, bl.source())
			job := bl.job(t, "alice")
			change(&job)
			job.Info = bl.info
			if _, err := bob.Fetch(within(t, patience), job); !errors.Is(err, ErrBadInfo) {
				t.Errorf("known beforehand: got %v", err)
			}
			job.Info = nil
			if _, err := bob.Fetch(within(t, patience), job); !errors.Is(err, ErrBadInfo) {
				t.Errorf("heard from a peer: got %v", err)
			}
			if bob.seen.count("alice", BadInfo) != 0 {
				t.Error("alice was blamed for the job")
			}
			if fileExists(job.Partial) {
				t.Error("something was written")
			}
		})
	}
}
