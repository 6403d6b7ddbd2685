package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Steps in which a client must go on.
const (
	readStep  = 64 << 10
	writeStep = 512 << 10
)

// pacedReader reads a body, and gives up when a step of it takes too long. What
// goes wrong is an errClient.
type pacedReader struct {
	r     io.Reader
	rc    *http.ResponseController
	stall time.Duration
	left  int // bytes of this step
}

// body is the request's, to be read as long as it goes on coming. The deadline of
// the server, which is for short requests, is lifted by it.
func (r *Registry) body(x *exchanged) *pacedReader {
	return &pacedReader{r: x.req.Body, rc: http.NewResponseController(x.w.ResponseWriter), stall: r.Stall}
}

func (p *pacedReader) Read(b []byte) (int, error) {
	if p.left <= 0 {
		if err := p.rc.SetReadDeadline(time.Now().Add(p.stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, err
		}
		p.left = readStep
	}
	n, err := p.r.Read(b)
	p.left -= n
	if err != nil {
		// A deadline that is left would end the request's context later.
		_ = p.rc.SetReadDeadline(time.Time{})
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: %w", errClient, err)
		}
	}
	return n, err
}

// writer is a ResponseWriter that gives up when a step of a long answer is not
// taken. It leaves it to the system to send files.
type writer struct {
	http.ResponseWriter
	rc     *http.ResponseController
	stall  time.Duration
	began  bool // the head has gone
	status int
}

func newWriter(w http.ResponseWriter, stall time.Duration) *writer {
	return &writer{ResponseWriter: w, rc: http.NewResponseController(w), stall: stall}
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	w.began, w.status = true, status
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	w.began = true
	w.extend()
	return w.ResponseWriter.Write(b)
}

// extend gives the client time for another step. The server's deadline began with
// the request, which may have been a long one.
func (w *writer) extend() {
	_ = w.rc.SetWriteDeadline(time.Now().Add(w.stall)) // not supported by recorders
}

// long lifts the server's deadlines, which are for short answers.
func (w *writer) long() {
	_ = w.rc.SetReadDeadline(time.Time{}) // not supported by recorders
	_ = w.rc.SetWriteDeadline(time.Time{})
}

// ReadFrom sends a file in steps, and anything else as it comes, however long the
// next byte takes.
func (w *writer) ReadFrom(src io.Reader) (total int64, err error) {
	w.began = true
	left := int64(1) << 62
	if lr, ok := src.(*io.LimitedReader); ok { // of a range: the system wants the file itself
		left = lr.N
		src = lr.R
		defer func() { lr.N -= total }()
	}
	if _, ok := src.(*os.File); !ok {
		// A struct of its own, so that io.Copy does not come back here.
		return io.Copy(struct{ io.Writer }{w}, io.LimitReader(src, left))
	}
	for left > 0 {
		w.extend()
		step := min(left, writeStep)
		n, err := io.Copy(w.ResponseWriter, &io.LimitedReader{R: src, N: step})
		total += n
		left -= n
		if err != nil || n < step {
			return total, err
		}
	}
	return total, nil
}
