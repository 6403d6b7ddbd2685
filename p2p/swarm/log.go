package swarm

import (
	"context"
	"log/slog"

	alog "github.com/anacrolix/log"
)

// quiet hands anacrolix's records on at debug level, whatever it thinks of their
// importance: what an operator should act on, this package logs itself.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

// librarySlog is what the client logs to.
func librarySlog(log *slog.Logger) *slog.Logger { return slog.New(quiet{log.Handler()}) }

// libraryLog is the same for the DHT server, which still wants the older kind.
func libraryLog(log *slog.Logger) alog.Logger {
	legacy := alog.NewLogger("dht")
	legacy.SetHandlers(alog.SlogHandlerAsHandler{SlogHandler: quiet{log.Handler()}})
	return legacy
}
