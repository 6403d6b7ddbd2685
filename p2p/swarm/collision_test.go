package swarm

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
)

// The first 320 bytes of the two files of https://shattered.io, whose SHA-1 is the
// same, also with whatever follows: 192 that are the same, and 128 that are not.
const (
	shatteredHead = "%PDF-1.3\n%\xe2\xe3\xcf\xd3\n\n\n1 0 obj\n<</Width 2 0 R/Height 3 0 R/Type 4 0 R/Subtype 5 0 R/Filter 6 0 R" +
		"/ColorSpace 7 0 R/Length 8 0 R/BitsPerComponent 8>>\nstream\n\xff\xd8\xff\xfe\x00$SHA-1 is dead!!!!!\x85/\xec\t#9u\x9c9\xb1\xa1\xc6<L\x97\xe1\xff\xfe\x01"
	shatteredOne = "7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb76038e972722fe7ad728f0e4904e046c2" +
		"30570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1"
	shatteredTwo = "7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3dc38e96ac22fe7bd728f0e45bce046d2" +
		"3c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1"
)

// Two blobs whose pieces have the same hashes: who has one of them gives it for the
// other. No piece tells, but the digest does, and the wrong blob is seen by nobody.
func TestCollidingPieces(t *testing.T) {
	t.Parallel()
	rest := newBlob(t, 90, 1<<20).data[320:]
	twin := func(differs string) blob {
		b, err := hex.DecodeString(differs)
		if err != nil {
			t.Fatal(err)
		}
		return blobOf(t, bytes.Join([][]byte{[]byte(shatteredHead), b, rest}, nil))
	}
	right, wrong := twin(shatteredOne), twin(shatteredTwo)
	if sha1.Sum(right.data) != sha1.Sum(wrong.data) || sha256.Sum256(right.data) == sha256.Sum256(wrong.data) {
		t.Fatal("the blobs are no collision of SHA-1")
	}
	tn := newTown(t)
	mallory, alice, bob := tn.node("mallory"), tn.node("alice"), tn.node("bob")
	mallory.shelf.put(right.info, wrong.source())
	job := right.job(t, "mallory")
	_, err := bob.Fetch(within(t, patience), job)
	var ce *ContentError
	if !errors.As(err, &ce) || string(ce.Want) != right.digest() || string(ce.Got) != wrong.digest() || ce.From["mallory"] != int64(len(wrong.data)) {
		t.Fatalf("got %v", err)
	}
	if fileExists(job.Partial) || bob.Open() != 0 {
		t.Error("the wrong blob is kept or seeded")
	}

	alice.shelf.put(right.info, right.source())
	job.Peers = []string{"alice"}
	got, err := bob.Fetch(within(t, patience), job)
	if err != nil || string(got.Digest) != right.digest() {
		t.Errorf("from who has the right one: %v, %v", got.Digest, err)
	}
}
