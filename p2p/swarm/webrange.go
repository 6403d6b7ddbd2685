package swarm

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A webReader reads a stretch of a torrent's flat bytes, a request for each file.
type webReader struct {
	ctx      context.Context
	w        *webSeed
	off, end int64

	body  io.ReadCloser
	left  int64 // bytes that body must still give
	alarm *time.Timer
	stop  context.CancelFunc
}

func (r *webReader) Read(b []byte) (int, error) {
	if r.off >= r.end {
		return 0, io.EOF
	}
	if r.left == 0 {
		r.close()
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	n, err := r.body.Read(b[:min(int64(len(b)), r.left)])
	r.alarm.Reset(r.w.f.s.cfg.Stall)
	r.off, r.left = r.off+int64(n), r.left-int64(n)
	if err == io.EOF {
		err = nil
		if r.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

func (r *webReader) close() {
	if r.body != nil {
		r.alarm.Stop()
		_ = r.body.Close()
		r.stop()
	}
	r.body = nil
}

// open asks for the rest of the stretch, as far as it lies in one file.
func (r *webReader) open() error {
	var s Span
	for _, s = range r.w.l.files {
		if s.Offset+s.Size > r.off {
			break
		}
	}
	from := r.off - s.Offset
	to := min(s.Size, r.end-s.Offset)
	ctx, stop := context.WithCancel(r.ctx)
	alarm := time.AfterFunc(r.w.f.s.cfg.Stall, stop)
	body, err := r.w.f.s.webRange(ctx, webURL(r.w.base, r.w.l.name, s.Path), from, to, s.Size)
	if err != nil {
		alarm.Stop()
		stop()
		return err
	}
	r.body, r.left, r.alarm, r.stop = body, to-from, alarm, stop
	return nil
}

// webRange asks for the bytes [from, to) of a file of a size.
func (s *Swarm) webRange(ctx context.Context, u string, from, to, size int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
	res, err := s.web.Do(req)
	if err != nil {
		return nil, err
	}
	if err := checkRange(res, from, to, size); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res.Body, nil
}

func checkRange(res *http.Response, from, to, size int64) error {
	switch code := res.StatusCode; {
	case code == http.StatusPartialContent:
		gotFrom, gotTo, gotSize, ok := parseContentRange(res.Header.Get("Content-Range"))
		if !ok || gotFrom != from || gotTo != to || gotSize >= 0 && gotSize != size {
			return fmt.Errorf("%w: it answers with other bytes than were asked for", errWebGone)
		}
		return nil
	case code == http.StatusOK:
		if from != 0 || to != size || res.ContentLength >= 0 && res.ContentLength != size {
			return fmt.Errorf("%w: it serves no ranges, or a file of another size", errWebGone)
		}
		return nil
	case code == http.StatusTooManyRequests, code >= 500, code == http.StatusRequestTimeout:
		return fmt.Errorf("web seed answers %d", code)
	default:
		return fmt.Errorf("%w: it answers %d", errWebGone, code)
	}
}

// parseContentRange reads "bytes 0-99/1000"; a size of -1 is not known.
func parseContentRange(s string) (from, to, size int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	ends, of, ok2 := strings.Cut(s, "/")
	a, b, ok3 := strings.Cut(ends, "-")
	if !ok || !ok2 || !ok3 || !isDigits(a) || !isDigits(b) || of != "*" && !isDigits(of) {
		return 0, 0, 0, false
	}
	from, err := strconv.ParseInt(a, 10, 64)
	to, err2 := strconv.ParseInt(b, 10, 64)
	size = -1
	var err3 error
	if of != "*" {
		size, err3 = strconv.ParseInt(of, 10, 64)
	}
	if err != nil || err2 != nil || err3 != nil || to < from || to+1 < to {
		return 0, 0, 0, false
	}
	return from, to + 1, size, true
}
