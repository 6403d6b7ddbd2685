package ledger

import (
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Keys of the state, and prefixes of such.
const (
	itemKeys          = "keys"
	itemRetired       = "retired"
	itemTag           = "tag/"            // + repo:tag
	itemRepo          = "repo/"           // + repo
	itemRevokedDigest = "revoked/digest/" // + digest
	itemRevokedKey    = "revoked/key/"    // + fingerprint
	itemRevokedTag    = "revoked/tag/"    // + repo:tag
)

// MaxItem bounds the value of an item in bytes, and its key.
const MaxItem = 16 << 10

// maxRecovers bounds the Recover entries of a log: each makes everybody read
// it again from the start.
const maxRecovers = 16

// maxKeyLog bounds what the key events of a log take in a Proved, in bytes as
// KeySet.cost counts them, so that every Proved fits into MaxProved.
const maxKeyLog = 960 << 10

// cost is at least the bytes of a key event and its proof in a Proved.
func (k *KeySet) cost() int { return 3000 + 420*len(k.Keys) + 100*len(k.Next) }

// keyLog is the value of the item "keys": who speaks for the author, and how
// that came to be.
type keyLog struct {
	KeyState
	events []uint64   // indexes of the key events, from 0
	void   []interval // entries that were taken back
	spent  int        // sum of the events' cost
}

// interval is of entries from to to-1.
type interval struct{ from, to uint64 }

// after is the key log after a key event, if there may be one.
func (k keyLog) after(index uint64, s keyEvent) (keyLog, error) {
	next := keyLog{
		KeyState: s.keySet().State(),
		events:   append(slices.Clip(k.events), index),
		void:     k.void,
		spent:    k.spent + s.keySet().cost(),
	}
	if next.spent > maxKeyLog {
		return k, fmt.Errorf("%w: key events of more than %d bytes", ErrTooLarge, maxKeyLog)
	}
	r, ok := s.(*Recover)
	if !ok {
		return next, nil
	}
	if last := k.events[len(k.events)-1]; r.VoidFrom <= last || r.VoidFrom > index {
		return k, fmt.Errorf("%w: entry %d takes back those from %d; the key event before it is %d", ErrBadEntry, index, r.VoidFrom, last)
	}
	if r.VoidFrom < index && len(k.void) == maxRecovers {
		return k, fmt.Errorf("%w: %d recoveries", ErrTooLarge, maxRecovers+1)
	}
	if r.VoidFrom < index {
		next.void = append(slices.Clip(k.void), interval{r.VoidFrom, index})
	}
	return next, nil
}

func (k *keyLog) isVoid(index uint64) bool {
	return slices.ContainsFunc(k.void, func(v interval) bool { return index >= v.from && index < v.to })
}

// canLose says whether enough keys are left without one.
func (k *keyLog) canLose(fingerprint string) bool {
	_, in := k.byFingerprint(fingerprint)
	return !in || len(k.Keys) > k.Threshold
}

// lose reports whether the key was in use; it is no more.
func (k *keyLog) lose(fingerprint string) bool {
	key, ok := k.byFingerprint(fingerprint)
	if ok {
		k.Keys = slices.DeleteFunc(slices.Clone(k.Keys), func(other PublicKey) bool { return other == key })
	}
	return ok
}

func (k keyLog) encode() []byte {
	set := KeySet{k.Keys, k.Threshold, k.Next, k.NextThreshold}
	b := set.appendFields(nil)
	b[0] = '{'
	b = append(b, `,"events":`...)
	b = appendList(b, k.events, appendUint)
	if len(k.void) > 0 {
		b = append(b, `,"void":`...)
		b = appendList(b, k.void, func(b []byte, v interval) []byte {
			return appendList(b, []uint64{v.from, v.to}, appendUint)
		})
	}
	return append(appendNumber(b, "spent", uint64(k.spent)), '}')
}

func appendUint(b []byte, n uint64) []byte { return fmt.Append(b, n) }

func decodeKeyLog(value []byte) (keyLog, error) {
	var k keyLog
	r := itemReader(value)
	var set KeySet
	set.readFields(r)
	k.KeyState = set.State()
	r.lit(`,"events":`)
	r.list(MaxItem, func(i int) {
		k.events = append(k.events, r.num(maxLogSize))
		if i > 0 && k.events[i] <= k.events[i-1] {
			r.fail("key events are not in their order")
		}
	})
	if r.opt(`,"void":`) {
		r.list(maxRecovers, func(int) {
			var v interval
			r.lit("[")
			v.from = r.num(maxLogSize)
			r.lit(",")
			v.to = r.num(maxLogSize)
			r.lit("]")
			k.void = append(k.void, v)
		})
	}
	r.lit(`,"spent":`)
	k.spent = int(r.num(maxKeyLog))
	if err := itemEnd(r, itemKeys); err != nil {
		return keyLog{}, err
	}
	return k, set.Check()
}

// itemReader reads an object whose first member is written as if it came after
// others.
func itemReader(value []byte) *reader {
	r := &reader{all: slices.Clone(value)}
	if len(value) == 0 || value[0] != '{' {
		r.fail("want an object")
		return r
	}
	r.all[0] = ','
	return r
}

func itemEnd(r *reader, what string) error {
	r.lit("}")
	if err := r.end(); err != nil {
		return fmt.Errorf("%w: state of %s: %w", ErrBadEntry, what, err)
	}
	return nil
}

func (t tagged) encode() []byte {
	b := appendMember(nil, "digest", string(t.digest))
	b[0] = '{'
	return append(appendNumber(appendMember(b, "infohash", t.infohash), "index", t.index), '}')
}

func decodeTagged(value []byte) (tagged, error) {
	var t tagged
	r := itemReader(value)
	r.lit(`,"digest":`)
	t.digest = digest.Digest(r.str(maxDigest))
	r.lit(`,"infohash":`)
	t.infohash = r.str(infohashLen)
	r.lit(`,"index":`)
	t.index = r.num(maxLogSize)
	if err := itemEnd(r, "a tag"); err != nil {
		return tagged{}, err
	}
	return t, want(isDigest(t.digest) && isHex(t.infohash, infohashLen), "state of a tag: want a digest and an infohash")
}

// ownership is the value of a repository.
type ownership struct {
	is       string // isOwned, isTransferred or isAccepted
	other    AuthorID
	transfer uint64 // of isAccepted: index in the log of other
	index    uint64
}

const (
	isOwned       = "owned"
	isTransferred = "transferred"
	isAccepted    = "accepted"
)

func (o ownership) encode() []byte {
	b := appendMember(nil, "is", o.is)
	b[0] = '{'
	switch o.is {
	case isTransferred:
		b = appendMember(b, "to", string(o.other))
	case isAccepted:
		b = appendNumber(appendMember(b, "from", string(o.other)), "transfer", o.transfer)
	}
	return append(appendNumber(b, "index", o.index), '}')
}

func decodeOwnership(value []byte) (ownership, error) {
	var o ownership
	r := itemReader(value)
	switch {
	case r.opt(`,"is":"owned"`):
		o.is = isOwned
	case r.opt(`,"is":"transferred","to":`):
		o.is, o.other = isTransferred, r.author()
	default:
		r.lit(`,"is":"accepted","from":`)
		o.is, o.other = isAccepted, r.author()
		r.lit(`,"transfer":`)
		o.transfer = r.num(maxLogSize)
	}
	r.lit(`,"index":`)
	o.index = r.num(maxLogSize)
	if err := itemEnd(r, "a repository"); err != nil {
		return ownership{}, err
	}
	return o, nil
}

// revocation is the value of what is revoked.
type revocation struct {
	index     uint64 // of the entry that revokes
	lastValid uint64
}

// hits says whether it takes back what entry index says. Of a tag, later
// releases count again.
func (v revocation) hits(index uint64, isTag bool) bool {
	return index > v.lastValid && (!isTag || index < v.index)
}

func (v revocation) encode() []byte {
	b := appendNumber(nil, "index", v.index)
	b[0] = '{'
	return append(appendNumber(b, "lastValid", v.lastValid), '}')
}

func decodeRevocation(value []byte) (revocation, error) {
	var v revocation
	r := itemReader(value)
	r.lit(`,"index":`)
	v.index = r.num(maxLogSize)
	r.lit(`,"lastValid":`)
	v.lastValid = r.num(maxLogSize)
	return v, itemEnd(r, "a revocation")
}

// retired is the value of the item "retired".
type retired struct{ index uint64 }

func (v retired) encode() []byte {
	b := appendNumber(nil, "index", v.index)
	b[0] = '{'
	return append(b, '}')
}
