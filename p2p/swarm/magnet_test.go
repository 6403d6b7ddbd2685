package swarm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someHash = "2f72f9a2268ab3168e5702b9890de00e5d6a7975"

func mustInfohash(t testing.TB, s string) Infohash {
	t.Helper()
	ih, err := ParseInfohash(s)
	if err != nil {
		t.Fatal(err)
	}
	return ih
}

func TestParseMagnet(t *testing.T) {
	t.Parallel()
	ih := mustInfohash(t, someHash)
	tests := map[string]Magnet{
		"magnet:?xt=urn:btih:" + someHash:                                  {Infohash: ih},
		"MAGNET:?XT=urn:btih:" + strings.ToUpper(someHash):                 {Infohash: ih},
		"magnet:?xt=urn:btih:F5ZPTIRGRKZRNDSXAK4YSDPABZOWU6LV":             {Infohash: ih}, // base32
		"magnet:?xt.1=urn:btih:" + someHash:                                {Infohash: ih},
		"magnet:?xt=urn:btmh:1220aa&xt=urn:btih:" + someHash:               {Infohash: ih}, // hybrid
		"magnet:?dn=a%2Fb:1.0+x&xt=urn:btih:" + someHash:                   {Infohash: ih, Name: "a/b:1.0 x"},
		"magnet:?xt=urn:btih:" + someHash + "&xl=123":                      {Infohash: ih, Size: 123},
		"magnet:?xt=urn:btih:" + someHash + "&xl=0":                        {Infohash: ih},
		"magnet:?xt=urn:btih:" + someHash + "&x.pe=1.2.3.4:5&x.pe=[::1]:6": {Infohash: ih, Peers: []string{"1.2.3.4:5", "[::1]:6"}},
		"magnet:?xt=urn:btih:" + someHash + "&x.pe=host.example:5":         {Infohash: ih, Peers: []string{"host.example:5"}},
		"magnet:?xt=urn:btih:" + someHash + "&x.dc=/ip4/1.2.3.4/tcp/4747/p2p/12D3": {
			Infohash: ih, Addrs: []string{"/ip4/1.2.3.4/tcp/4747/p2p/12D3"}},
		"magnet:?xt=urn:btih:" + someHash + "&x.author=bafkreiaa": {Infohash: ih, Author: "bafkreiaa"},
		"magnet:?xt=urn:btih:" + someHash + "&tr=udp%3A%2F%2Ft:1&tr.1=x&tr=wss://t&ws=http://w&ws=ftp://w&so=0-3&&kt=a": {
			Infohash: ih, Trackers: []string{"udp://t:1"}, WebSeeds: []string{"http://w"}},
		"magnet:?xt=urn:btih:" + someHash + strings.Repeat("&tr=http://t/announce", 40): {
			Infohash: ih, Trackers: []string{"http://t/announce"}},
		"magnet:?xt=urn:btih:" + someHash + "&ws=http://me:secret@w/&tr=http://me@t/": {Infohash: ih},
	}
	for link, want := range tests {
		got, err := ParseMagnet(link)
		if err != nil {
			t.Errorf("%s: %v", link, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", link, diff)
		}
	}
}

func TestParseMagnetErrors(t *testing.T) {
	t.Parallel()
	good := "magnet:?xt=urn:btih:" + someHash
	tests := []struct {
		link string
		is   error
		says string
	}{
		{"", ErrBadMagnet, "does not start"},
		{"http://x/?xt=urn:btih:" + someHash, ErrBadMagnet, "does not start"},
		{"magnet:", ErrBadMagnet, "no parameters"},
		{"magnet:?", ErrBadMagnet, "no content"},
		{"magnet:?dn=x", ErrBadMagnet, "no content"},
		{"magnet:?xt", ErrBadMagnet, "no value"},
		{good[:len(good)-1], ErrBadMagnet, "39 of 40 digits"},
		{"magnet:?xt=urn:btih:" + someHash[:32], ErrBadMagnet, "32 of 40 digits"},
		{"magnet:?xt=urn:btih:", ErrBadMagnet, "0 of 40 digits"},
		{good + "a", ErrBadMagnet, "not 40"},
		{"magnet:?xt=urn:btih:" + strings.Repeat("g", 40), ErrBadMagnet, "not 40"},
		{"magnet:?xt=urn:btih:" + strings.Repeat("1", 31) + "z", ErrBadMagnet, "base32"},
		{"magnet:?xt=urn:btmh:1220" + strings.Repeat("a", 64), ErrUnknownHash, "btmh"},
		{"magnet:?xt=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C", ErrUnknownHash, "sha1"},
		{"magnet:?xt=urn:tree:tiger:x", ErrUnknownHash, "tiger"},
		{"magnet:?xt=nonsense", ErrUnknownHash, "nonsense"},
		{good + "&xt=urn:btih:" + strings.Repeat("a", 40), ErrBadMagnet, "two different"},
		{good + "&xl=-1", ErrBadMagnet, "size"},
		{good + "&xl=1e3", ErrBadMagnet, "size"},
		{good + "&xl=99999999999999999999", ErrBadMagnet, "size"},
		{good + "&xl=1&xl=2", ErrBadMagnet, "twice"},
		{good + "&dn=a&dn=b", ErrBadMagnet, "twice"},
		{good + "&dn=%zz", ErrBadMagnet, "cannot be read"},
		{good + "&dn=%ff", ErrBadMagnet, "cannot be read"},
		{good + "&dn=a%0ab", ErrBadMagnet, "cannot be read"},
		{good + "&x.pe=1.2.3.4", ErrBadMagnet, "host:port"},
		{good + "&x.pe=1.2.3.4:0", ErrBadMagnet, "host:port"},
		{good + "&x.pe=1.2.3.4:70000", ErrBadMagnet, "host:port"},
		{good + "&x.pe=:80", ErrBadMagnet, "host:port"},
		{good + strings.Repeat("&x.pe=1.2.3.4:5", 65), ErrBadMagnet, "more than"},
		{good + "&x.dc=ip4", ErrBadMagnet, "multiaddr"},
		{good + "&x.author=../etc", ErrBadMagnet, "x.author"},
		{good + "&dn=" + strings.Repeat("a", maxMagnet), ErrBadMagnet, "longer"},
	}
	for _, test := range tests {
		_, err := ParseMagnet(test.link)
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%.80s: got %v, want %v saying %q", test.link, err, test.is, test.says)
		}
	}
}

func TestMagnetString(t *testing.T) {
	t.Parallel()
	m := Magnet{
		Infohash: mustInfohash(t, someHash), Name: "me/app & more+:1.0", Size: 124_000_000,
		Peers: []string{"127.0.0.1:4748"}, Addrs: []string{"/ip4/127.0.0.1/tcp/4747/p2p/12D3KooW"}, Author: "bafkrei234567",
		Trackers: []string{"http://t.example/announce?a=b&c"}, WebSeeds: []string{"https://w.example/images/"},
	}
	want := "magnet:?xt=urn:btih:" + someHash + "&dn=me/app%20%26%20more%2B:1.0&xl=124000000" +
		"&x.pe=127.0.0.1:4748&x.dc=/ip4/127.0.0.1/tcp/4747/p2p/12D3KooW&x.author=bafkrei234567" +
		"&tr=http://t.example/announce%3Fa%3Db%26c&ws=https://w.example/images/"
	if got := m.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzParseMagnet(f *testing.F) {
	f.Add("magnet:?xt=urn:btih:" + someHash + "&dn=a/b:c&xl=5&x.pe=[::1]:6&x.dc=/ip4/1.2.3.4&x.author=bafk&tr=http://t/a%3Fb&ws=https://y/z/")
	f.Add("magnet:?xt=urn:btih:F5ZPTIRGRKZRNDSXAK4YSDPABZOWU6LV&dn=%c3%a4")
	f.Add("magnet:?xt=urn:btmh:1220aa")
	f.Add("magnet:?xt.1=urn:btih:" + someHash[:39])
	f.Fuzz(func(t *testing.T, link string) {
		m, err := ParseMagnet(link)
		if err != nil {
			if !errors.Is(err, ErrBadMagnet) && !errors.Is(err, ErrUnknownHash) {
				t.Fatalf("unclear error %v", err)
			}
			return
		}
		again, err := ParseMagnet(m.String())
		if err != nil {
			if len(m.String()) > maxMagnet { // escapes are longer
				return
			}
			t.Fatalf("%s: %v", m, err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatalf("%s (-first +again):\n%s", m, diff)
		}
	})
}

func TestParseInfohash(t *testing.T) {
	t.Parallel()
	if got := mustInfohash(t, someHash).String(); got != someHash {
		t.Errorf("got %s", got)
	}
	for _, s := range []string{"", someHash[1:], someHash + "0", strings.ToUpper(someHash), strings.Repeat("g", 40), strings.Repeat("é", 20)} {
		if _, err := ParseInfohash(s); !errors.Is(err, ErrBadInfohash) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}
