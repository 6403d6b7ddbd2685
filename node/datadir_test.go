package node

import (
	"errors"
	"log/slog"
	"testing"
)

func TestNetworkIsRemembered(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	author := func(network string) string {
		t.Helper()
		n, err := OpenOffline(Config{Home: home, Network: network}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		s, err := n.Exchange().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Authors != 1 {
			t.Errorf("%d authors, want one", s.Authors)
		}
		return s.Author
	}
	if first, later := author("blue"), author(""); first != later {
		t.Errorf("author %s became %s", first, later)
	}
	_, err := OpenOffline(Config{Home: home, Network: "green"}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, ErrOtherNetwork) {
		t.Errorf("another network: %v, want ErrOtherNetwork", err)
	}
}
