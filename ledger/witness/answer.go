package witness

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/dockchains/dockchain/ledger/note"
)

// Answer is what a witness says to a request, on whatever carries it.
type Answer struct {
	Status int    // as in HTTP
	Type   string // media type of Body
	Body   []byte
}

const (
	textType  = "text/plain; charset=utf-8"
	maxType   = 100                                      // bytes of a media type
	maxAnswer = note.MaxSize + len("200 ") + maxType + 1 // bytes of an encoded answer
)

func answerError(err error) Answer {
	var size *SizeError
	if errors.As(err, &size) {
		return Answer{http.StatusConflict, sizeType, encodeSize(size.Size)}
	}
	status := http.StatusInternalServerError
	for _, known := range statuses {
		if errors.Is(err, known.err) {
			status = known.status
			break
		}
	}
	return Answer{status, textType, []byte(http.StatusText(status) + "\n")}
}

// statuses are the answers but 200 and 409.
var statuses = []struct {
	err    error
	status int
}{
	{ErrMalformed, http.StatusBadRequest},
	{ErrUnknownLog, http.StatusNotFound},
	{ErrUntrusted, http.StatusForbidden},
	{ErrInconsistent, http.StatusUnprocessableEntity},
}

// Encode returns the answer for streams that have no HTTP: a line of status
// and media type, and the body.
//
//	409 text/x.tlog.size
//	20852014
func (a Answer) Encode() []byte {
	b := strconv.AppendInt(nil, int64(a.Status), 10)
	b = append(b, ' ')
	b = append(b, a.Type...)
	b = append(b, '\n')
	return append(b, a.Body...)
}

// ParseAnswer reads what Encode wrote.
func ParseAnswer(b []byte) (Answer, error) {
	line, body, ok := bytes.Cut(b, []byte("\n"))
	if !ok || len(b) > maxAnswer {
		return Answer{}, fmt.Errorf("%w: %d bytes", ErrBadAnswer, len(b))
	}
	digits, mediaType, ok := strings.Cut(string(line), " ")
	status, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil || len(digits) != 3 || status < 100 || len(mediaType) > maxType {
		return Answer{}, fmt.Errorf("%w: want a status and a media type", ErrBadAnswer)
	}
	return Answer{int(status), mediaType, bytes.Clone(body)}, nil
}

// size takes the size out of a 409.
func (a Answer) size() (uint64, error) {
	size, ok := decodeSize(a.Body)
	if mediaType, _, _ := strings.Cut(a.Type, ";"); !ok || mediaType != sizeType {
		return 0, fmt.Errorf("%w: a conflict without a size", ErrBadAnswer)
	}
	return size, nil
}

// err is what an answer other than 200 and 409 says.
func (a Answer) err() error {
	for _, known := range statuses {
		if a.Status == known.status {
			return known.err
		}
	}
	return fmt.Errorf("%w: status %d", ErrBadAnswer, a.Status)
}
