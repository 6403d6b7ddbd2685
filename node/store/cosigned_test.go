package store

import (
	"errors"
	"testing"

	"github.com/dockchains/dockchain/ledger"
)

func TestCosigned(t *testing.T) {
	t.Parallel()
	s := open(t)
	const author = ledger.AuthorID("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
	if b, err := s.Cosigned(author); !errors.Is(err, ErrNotFound) {
		t.Errorf("none: %q, %v, want ErrNotFound", b, err)
	}
	for _, note := range []string{"first", "second"} {
		if err := s.PutCosigned(author, []byte(note)); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Cosigned(author); err != nil || string(b) != note {
			t.Errorf("%q, %v, want %q", b, err, note)
		}
	}
	if err := s.PutCosigned("x", []byte("y")); err == nil {
		t.Error("of no author: no error")
	}
	for _, size := range []int{0, ledger.MaxNote + 1} {
		if err := s.PutCosigned(author, make([]byte, size)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes: %v, want ErrInvalid", size, err)
		}
	}
}
