package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// TorrentFile is a .torrent file for people whose client wants one: the info dict
// with trackers and web seeds.
func TorrentFile(info []byte, trackers, webSeeds []string) []byte {
	var b []byte
	b = append(b, 'd')
	if len(trackers) > 0 {
		b = appendString(appendString(b, "announce"), trackers[0])
		b = append(appendString(b, "announce-list"), 'l')
		for _, u := range trackers {
			b = append(appendString(append(b, 'l'), u), 'e')
		}
		b = append(b, 'e')
	}
	b = append(appendString(b, "info"), info...)
	if len(webSeeds) > 0 {
		b = append(appendString(b, "url-list"), 'l')
		for _, u := range webSeeds {
			b = appendString(b, u)
		}
		b = append(b, 'e')
	}
	return append(b, 'e')
}

// maxTorrentFile bounds a .torrent file that is read, in bytes.
const maxTorrentFile = MaxInfo + 1<<20

// parseTorrentFile gives the info dict in a .torrent file, as it stands there.
func parseTorrentFile(b []byte) ([]byte, error) {
	var t struct {
		Info bencode.Bytes `bencode:"info"`
	}
	if err := bencode.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadInfo, err)
	}
	if len(t.Info) == 0 || len(t.Info) > MaxInfo {
		return nil, fmt.Errorf("%w: no info dict, or one of %d bytes", ErrBadInfo, len(t.Info))
	}
	return t.Info, nil
}

// learnInfo asks a web seed for the info dict: the file <name>.torrent beside the
// content, which a node that serves as a web seed has. The infohash vouches for it.
func (f *fetch) learnInfo(ctx context.Context, base string) {
	if !strings.HasSuffix(base, "/") {
		return
	}
	for pause := webRetry; ; pause = min(2*pause, trackerRetryMost) {
		info, err := f.s.webInfo(ctx, webURL(base, f.job.Name+".torrent", nil))
		if err == nil && InfohashOf(info) != f.job.Infohash {
			err = fmt.Errorf("%w: it has infohash %s", ErrBadInfo, InfohashOf(info))
		}
		if err == nil {
			err = f.t.SetInfoBytes(info)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		f.s.log.Debug("web seed does not tell the info dict", "seed", webSeedName(base), "err", withoutURL(err))
		if errors.Is(err, errWebGone) || errors.Is(err, errNear) || errors.Is(err, ErrBadInfo) {
			return
		}
		select {
		case <-f.t.GotInfo():
			return
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (s *Swarm) webInfo(ctx context.Context, u string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	res, err := s.web.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if err := checkRange(res, 0, res.ContentLength, res.ContentLength); err != nil { // a size of -1 is not known
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxTorrentFile))
	if err != nil {
		return nil, err
	}
	return parseTorrentFile(b)
}
