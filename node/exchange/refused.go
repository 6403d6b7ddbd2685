package exchange

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
)

const (
	// maxRefused bounds the refused logs that are remembered; one more takes the
	// place of any other.
	maxRefused = 16_384
	// refusedFor is how long a log is not asked for again whose limit does not
	// pass by itself.
	refusedFor = 10 * time.Minute
)

// refusedLog is a log that a limit kept out.
type refusedLog struct {
	decision quota.Decision
	until    time.Time // when it may be asked for again
}

// noteRefused remembers why an author's log was not taken, if that is what err
// says.
func (l *limits) noteRefused(author ledger.AuthorID, err error) {
	var over *OverQuotaError
	if !errors.As(err, &over) || over.Rule == quota.PeerAuthors || over.Again { // nothing about the author
		return
	}
	wait := refusedFor
	if over.Wait > 0 {
		wait = min(over.Wait, refusedFor)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.refused[author]; !known && len(l.refused) >= maxRefused {
		for other := range l.refused {
			delete(l.refused, other)
			break
		}
	}
	l.refused[author] = refusedLog{over.Decision, time.Now().Add(wait)}
}

// forgive forgets that a log was refused: what that rested on has changed.
func (l *limits) forgive(author ledger.AuthorID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.refused, author)
}

// refusedBefore refuses a log for the reason of the last time, until it may be
// asked for again.
func (l *limits) refusedBefore(author ledger.AuthorID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, ok := l.refused[author]; ok && time.Now().Before(r.until) {
		return &OverQuotaError{Decision: r.decision, Again: true}
	}
	return nil
}

// whyNot says which limit keeps an author's log out, or nil.
func (x *Exchange) whyNot(author ledger.AuthorID) error {
	if author == "" {
		return nil
	}
	x.limits.mu.Lock()
	defer x.limits.mu.Unlock()
	if r, ok := x.limits.refused[author]; ok {
		return &OverQuotaError{Decision: r.decision}
	}
	return nil
}

// ask says that somebody here waits for an author's log until done is called.
func (l *limits) ask(author ledger.AuthorID) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[author]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.asked[author]--; l.asked[author] == 0 {
			delete(l.asked, author)
		}
	}
}

func (l *limits) isAsked(author ledger.AuthorID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[author] > 0
}

// wantAgain asks the peers for a log that a limit kept out and may not any more.
func (x *Exchange) wantAgain(author ledger.AuthorID) {
	if x.whyNot(author) == nil {
		return
	}
	x.limits.forgive(author)
	if x.Net == nil {
		return
	}
	if peers := x.Net.Connected(); len(peers) > 0 {
		x.wantLog(catchUp{author: author, from: peers[rand.IntN(len(peers))], size: 1})
	}
}
