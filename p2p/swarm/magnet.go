package swarm

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Why a magnet link was refused.
var (
	// ErrBadMagnet: it is no magnet link, or a damaged one.
	ErrBadMagnet = errors.New("not a valid magnet link")
	// ErrUnknownHash: it names content by something else than a BitTorrent v1
	// infohash.
	ErrUnknownHash = errors.New("magnet link without a BitTorrent v1 infohash (urn:btih)")
)

const (
	maxMagnet      = 16 << 10 // bytes of a link
	maxMagnetPeers = 64       // x.pe and x.dc each
	maxMagnetURLs  = 16       // tr and ws each; of more, the first count
)

// A Magnet is a magnet link (BEP 9) as this network writes it:
//
//	magnet:?xt=urn:btih:<40 hex>&dn=<name>&xl=<bytes>&x.pe=<host:port>&x.dc=<multiaddr>&x.author=<id>&tr=<URL>&ws=<URL>
//
// Only xt is required. Parameters that are not listed (so, kt, …) are read over,
// and so are URLs of another kind than [Job] can use. Beside a version 1 infohash
// a version 2 one (BEP 52, urn:btmh) may stand, which is read over too.
type Magnet struct {
	Infohash Infohash
	Name     string   // dn: for people, promises nothing
	Size     int64    // xl: total bytes, 0 when absent
	Peers    []string // x.pe: host:port of BitTorrent clients
	Addrs    []string // x.dc: multiaddrs of nodes, with /p2p/
	Author   string   // x.author: id of the author whose release is meant
	Trackers []string // tr: announce URLs, http, https or udp
	WebSeeds []string // ws: http and https URLs of the content (BEP 19)
}

// ParseMagnet reads a magnet link. Errors are ErrBadMagnet or ErrUnknownHash.
func ParseMagnet(s string) (Magnet, error) {
	query, err := magnetQuery(s)
	if err != nil {
		return Magnet{}, err
	}
	var p magnetParser
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, raw, ok := strings.Cut(part, "=")
		if !ok {
			return Magnet{}, badMagnet("parameter %.40q has no value", part)
		}
		value, err := url.QueryUnescape(raw)
		if err != nil || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return Magnet{}, badMagnet("value of %.40q cannot be read", key)
		}
		if err := p.set(strings.ToLower(key), value); err != nil {
			return Magnet{}, err
		}
	}
	return p.finish()
}

func magnetQuery(s string) (string, error) {
	const scheme = "magnet:"
	if len(s) > maxMagnet {
		return "", badMagnet("longer than %d bytes", maxMagnet)
	}
	if len(s) < len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) {
		return "", badMagnet("does not start with %q", scheme)
	}
	query, ok := strings.CutPrefix(s[len(scheme):], "?")
	if !ok {
		return "", badMagnet("no parameters")
	}
	return query, nil
}

func badMagnet(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadMagnet}, args...)...)
}

type magnetParser struct {
	Magnet
	found bool            // an urn:btih
	other string          // an xt of another kind
	seen  map[string]bool // parameters that may come once
}

func (p *magnetParser) set(key, value string) error {
	// xt.1, x.pe.2 and the like are the numbered form of the same parameter.
	if base, n, ok := cutLastDot(key); ok && isDigits(n) {
		key = base
	}
	switch key {
	case "xt":
		return p.setTopic(value)
	case "dn":
		p.Name = value
		return p.once(key)
	case "xl":
		return p.setSize(value)
	case "x.pe":
		return p.addPeer(value)
	case "x.dc":
		return p.addAddr(value)
	case "x.author":
		if !isAuthor(value) {
			return badMagnet("x.author %.60q", value)
		}
		p.Author = value
		return p.once(key)
	case "tr":
		p.Trackers = addURL(p.Trackers, value, checkTracker)
	case "ws":
		p.WebSeeds = addURL(p.WebSeeds, value, CheckWebSeed)
	}
	return nil
}

// addURL takes a URL that passes a check, once. Links of other programs have
// many of kinds that are no use here, which is no reason to refuse them.
func addURL(to []string, s string, check func(string) error) []string {
	if len(to) == maxMagnetURLs || check(s) != nil || slices.Contains(to, s) {
		return to
	}
	return append(to, s)
}

func cutLastDot(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func (p *magnetParser) once(key string) error {
	if p.seen[key] {
		return badMagnet("%s comes twice", key)
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[key] = true
	return nil
}

func (p *magnetParser) setTopic(value string) error {
	const btih = "urn:btih:"
	if len(value) < len(btih) || !strings.EqualFold(value[:len(btih)], btih) {
		p.other = value
		return nil
	}
	ih, err := topicInfohash(value[len(btih):])
	if err != nil {
		return err
	}
	if p.found && ih != p.Infohash {
		return badMagnet("two different infohashes")
	}
	p.Infohash, p.found = ih, true
	return nil
}

// topicInfohash reads 40 hexadecimal digits or 32 of base32, in either case. A
// hexadecimal one cut to 32 digits is not mistaken for base32.
func topicInfohash(s string) (Infohash, error) {
	var ih Infohash
	lower := strings.ToLower(s)
	switch {
	case len(s) == 40 && isLowerHex(lower):
		_, err := hex.Decode(ih[:], []byte(lower))
		return ih, err
	case len(s) == 32 && !isLowerHex(lower):
		b, err := base32.StdEncoding.DecodeString(strings.ToUpper(s))
		if err != nil || len(b) != len(ih) {
			return ih, badMagnet("infohash %.60q is neither hexadecimal nor base32", s)
		}
		return Infohash(b), nil
	case len(s) < 40 && isLowerHex(lower):
		return ih, badMagnet("infohash has %d of 40 digits, the link was cut short", len(s))
	}
	return ih, badMagnet("infohash %.60q is not 40 hexadecimal digits", s)
}

func (p *magnetParser) setSize(value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || !isDigits(value) {
		return badMagnet("size %.40q", value)
	}
	p.Size = n
	return p.once("xl")
}

func (p *magnetParser) addPeer(value string) error {
	if !validHostPort(value) {
		return badMagnet("peer address %.60q is not host:port", value)
	}
	if len(p.Peers) == maxMagnetPeers {
		return badMagnet("more than %d peers", maxMagnetPeers)
	}
	p.Peers = append(p.Peers, value)
	return nil
}

func (p *magnetParser) addAddr(value string) error {
	if !strings.HasPrefix(value, "/") || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return badMagnet("node address %.60q is not a multiaddr", value)
	}
	if len(p.Addrs) == maxMagnetPeers {
		return badMagnet("more than %d nodes", maxMagnetPeers)
	}
	p.Addrs = append(p.Addrs, value)
	return nil
}

func (p *magnetParser) finish() (Magnet, error) {
	switch {
	case p.found:
		return p.Magnet, nil
	case p.other != "":
		return Magnet{}, fmt.Errorf("%w: %.80q", ErrUnknownHash, p.other)
	}
	return Magnet{}, badMagnet("it names no content (xt), the link was cut short")
}

// String writes the link; ParseMagnet reads it back to the same Magnet.
func (m Magnet) String() string {
	var b strings.Builder
	b.WriteString("magnet:?xt=urn:btih:" + m.Infohash.String())
	add := func(key, value string) {
		if value != "" {
			b.WriteString("&" + key + "=" + escape(value))
		}
	}
	add("dn", m.Name)
	if m.Size > 0 {
		add("xl", strconv.FormatInt(m.Size, 10))
	}
	for _, p := range m.Peers {
		add("x.pe", p)
	}
	for _, a := range m.Addrs {
		add("x.dc", a)
	}
	add("x.author", m.Author)
	for _, u := range m.Trackers {
		add("tr", u)
	}
	for _, u := range m.WebSeeds {
		add("ws", u)
	}
	return b.String()
}

// escape percent-encodes what a query may not hold, but leaves '/', ':' and '@'
// as they are, for names and addresses to stay readable.
func escape(s string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/:@", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', upper[c>>4], upper[c&15]})
	}
	return b.String()
}

func validHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || len(s) > 300 || !isDigits(port) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && !strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("/?#@[]\\", r)
	})
}

// isAuthor is the alphabet of a CID in base32; what it means is not decided here.
func isAuthor(s string) bool {
	return len(s) > 0 && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '2' || r > '7')
	})
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
