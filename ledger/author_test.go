package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
)

// Codes of the multihash table.
const (
	sha2_256 = 0x12
	sha2_512 = 0x13
)

func TestAuthorIDIsCID(t *testing.T) {
	t.Parallel()
	for _, leaf := range []string{"", "a", strings.Repeat("x", MaxLeaf)} {
		id := AuthorIDOf([]byte(leaf))
		want, err := cid.V1Builder{Codec: cid.Raw, MhType: sha2_256}.Sum([]byte(leaf))
		if err != nil || want.String() != string(id) {
			t.Errorf("%s, want %s: %v", id, want, err)
		}
		if back, err := ParseAuthorID(string(id)); err != nil || back != id {
			t.Errorf("parsing %s: %s, %v", id, back, err)
		}
		if !strings.HasPrefix(string(id), "bafkrei") {
			t.Errorf("%s does not begin with bafkrei", id)
		}
	}
}

func TestParseAuthorIDRefuses(t *testing.T) {
	t.Parallel()
	good := string(AuthorIDOf([]byte("x")))
	sha512, err := cid.V1Builder{Codec: cid.Raw, MhType: sha2_512}.Sum([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	dagPB, err := cid.V1Builder{Codec: cid.DagProtobuf, MhType: sha2_256}.Sum([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{
		"", "b", "me", good + "a", good[:58], strings.ToUpper(good), "z" + good[1:], good[:58] + "1", good[:58] + "=",
		" " + good[1:], sha512.String(), dagPB.String(), "../../../../../../../../../../../../../../../../../../etc/passwd",
	} {
		if _, err := ParseAuthorID(in); !errors.Is(err, ErrBadAuthor) {
			t.Errorf("%q: %v, want ErrBadAuthor", in, err)
		}
	}
}

// TestAuthorIDSpareBits: 36 bytes leave two bits of the last character unused;
// only zeros are an id.
func TestAuthorIDSpareBits(t *testing.T) {
	t.Parallel()
	good := string(AuthorIDOf([]byte("x")))
	accepted := 0
	for _, c := range "abcdefghijklmnopqrstuvwxyz234567" {
		if _, err := ParseAuthorID(good[:58] + string(c)); err == nil {
			accepted++
		}
	}
	if accepted != 8 {
		t.Errorf("%d last characters are accepted, want the 8 whose spare bits are zero", accepted)
	}
}

func FuzzParseAuthorID(f *testing.F) {
	f.Add(string(AuthorIDOf(nil)))
	f.Add("bafkrei")
	f.Fuzz(func(t *testing.T, in string) {
		id, err := ParseAuthorID(in)
		if err != nil {
			return
		}
		c, err := cid.Decode(in)
		if err != nil || c.String() != string(id) || string(id) != in {
			t.Errorf("%q is no CID: %v", in, err)
		}
	})
}
