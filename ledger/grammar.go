package ledger

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
)

// Limits of the fields of a release and of an inception, in bytes unless said
// otherwise.
const (
	MaxRepo        = 180 // so that author/repo fits the 255 that Docker allows
	MaxTag         = 128
	MaxTitle       = 200
	MaxDescription = 2000
	MaxLabels      = 64 // members
	MaxLabelKey    = 128
	MaxLabelValue  = 1024
	MaxLabelBytes  = 16 << 10 // keys and values of all labels
	MaxPlatforms   = 64       // items
	MaxLayers      = 20_000   // layers
	maxPlatform    = 64
	maxMediaType   = 127
	maxNetwork     = 63
	infohashLen    = 40
	maxDigest      = len("sha512:") + 128
)

func isHex(s string, length int) bool {
	return len(s) == length && all(s, func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' })
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' || isDigit(c) }
func isWord(c byte) bool  { return isLower(c) || c >= 'A' && c <= 'Z' || c == '_' }

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

// isNetwork: it becomes part of protocol names and of origins.
func isNetwork(s string) bool {
	return s != "" && len(s) <= maxNetwork && isLower(s[0]) &&
		all(s, func(c byte) bool { return isLower(c) || c == '-' || c == '.' || c == '_' })
}

// isRepo is the grammar of a repository name in the OCI distribution spec:
// lower-case words joined by . _ __ or dashes, in components joined by /.
func isRepo(s string) bool {
	if len(s) > MaxRepo {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if !isRepoComponent(part) {
			return false
		}
	}
	return true
}

func isRepoComponent(s string) bool {
	if s == "" || !isLower(s[0]) || !isLower(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && !isLower(s[j]) {
			j++
		}
		switch sep := s[i:j]; {
		case sep == "":
			j++
		case sep != "." && sep != "_" && sep != "__" && strings.Trim(sep, "-") != "":
			return false
		}
		i = j
	}
	return true
}

// isTag is the grammar of a tag in the OCI distribution spec.
func isTag(s string) bool {
	return s != "" && len(s) <= MaxTag && isWord(s[0]) &&
		all(s, func(c byte) bool { return isWord(c) || c == '.' || c == '-' })
}

// isPlatform: os/arch or os/arch/variant.
func isPlatform(s string) bool {
	parts := strings.Split(s, "/")
	if len(s) > maxPlatform || len(parts) < 2 || len(parts) > 3 {
		return false
	}
	for _, p := range parts {
		if p == "" || !all(p, func(c byte) bool { return isWord(c) || c == '.' || c == '-' }) {
			return false
		}
	}
	return true
}

// isMediaType is type "/" subtype in the characters of RFC 6838.
func isMediaType(s string) bool {
	kind, sub, ok := strings.Cut(s, "/")
	name := func(s string) bool {
		return s != "" && isWord(s[0]) && all(s, func(c byte) bool {
			return isWord(c) || strings.IndexByte("!#$&-^.+", c) >= 0
		})
	}
	return ok && len(s) <= maxMediaType && name(kind) && name(sub)
}

// isDigest: sha256 or sha512 in lower-case hex.
func isDigest(d digest.Digest) bool {
	algorithm, hex, _ := strings.Cut(string(d), ":")
	switch algorithm {
	case "sha256":
		return isHex(hex, 64)
	case "sha512":
		return isHex(hex, 128)
	default:
		return false
	}
}

// isText: valid UTF-8 that cannot move a cursor, break a line or turn the
// direction of what follows it on a person's screen.
func isText(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && strings.IndexFunc(s, isUnprintable) < 0
}

func isUnprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// want makes the error for a field that is not what it should be.
func want(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBadEntry, fmt.Sprintf(format, args...))
}

// clip keeps an error about a hostile string short.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
