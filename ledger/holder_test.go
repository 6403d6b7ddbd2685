package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

func TestHolder(t *testing.T) {
	t.Parallel()
	for n := range uint64(64) { // some of whose base64 has a plus
		h := ledger.Holder{Key: ledgertest.Key(n).Public(), Next: ledgertest.Key(n + 100).Public().Fingerprint()}
		if back, err := ledger.ParseHolder(h.Encode()); err != nil || back != h || len(h.Encode()) > ledger.MaxHolder {
			t.Fatalf("%q is %+v, %v", h.Encode(), back, err)
		}
	}
	good := string(ledger.Holder{Key: ledgertest.Key(1).Public(), Next: ledgertest.Key(2).Public().Fingerprint()}.Encode())
	for _, bad := range []string{
		"", good[1:], strings.TrimSuffix(good, "\n"), good + "\n", " " + good, strings.ToUpper(good), strings.Replace(good, "/", "_", 1),
		strings.Replace(good, "+A", "+B", 1), good[:len(good)-2] + "\n", strings.Repeat(good, 2), "dockchain-holder+\n",
	} {
		if h, err := ledger.ParseHolder([]byte(bad)); !errors.Is(err, ledger.ErrBadKey) {
			t.Errorf("%q is %+v, %v", bad, h, err)
		}
	}
}

func FuzzParseHolder(f *testing.F) {
	f.Add(ledger.Holder{Key: ledgertest.Key(1).Public(), Next: ledgertest.Key(2).Public().Fingerprint()}.Encode())
	f.Add([]byte("dockchain-holder+AQ==+00\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if h, err := ledger.ParseHolder(in); err == nil && string(h.Encode()) != string(in) {
			t.Errorf("%q re-encodes to %q", in, h.Encode())
		}
	})
}
