package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

const (
	maxChallenge = 4 << 10
	maxToken     = 64 << 10 // bytes of a token server's answer
	maxTokens    = 1000     // remembered for each registry
	// tokenLives is how long a token counts whose server does not say.
	tokenLives = time.Minute
)

// DockerCredentials gives the user and password that docker login left for a
// registry, in its config.json or a credential helper.
func DockerCredentials(host string) (user, password string) {
	if host == "registry-1.docker.io" {
		host = "index.docker.io"
	}
	reg, err := name.NewRegistry(host)
	if err != nil {
		return "", ""
	}
	a, err := authn.DefaultKeychain.Resolve(reg)
	if err != nil {
		return "", ""
	}
	c, err := a.Authorization()
	if err != nil {
		return "", ""
	}
	return c.Username, c.Password
}

// token is what a registry wants to be shown for a scope.
type token struct {
	header string
	until  time.Time
}

func (s *site) known(scope string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tokens[scope]; ok && s.c.cfg.Now().Before(t.until) {
		return t.header
	}
	return ""
}

func (s *site) remember(scope string, t token) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) >= maxTokens {
		clear(s.tokens)
	}
	s.tokens[scope] = t
	return t.header
}

// authorize does what a registry asks for: it shows the password, or a token that
// its server gives.
func (s *site) authorize(ctx context.Context, challenges []string, scope string) (string, error) {
	user, password := "", ""
	if s.c.cfg.Credentials != nil {
		user, password = s.c.cfg.Credentials(s.host)
	}
	basic := ""
	if user != "" {
		basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, c := range challenges {
		scheme, params, err := parseChallenge(c)
		switch {
		case err != nil:
			continue
		case scheme == "basic" && basic != "":
			return s.remember(scope, token{basic, s.c.cfg.Now().Add(time.Hour)}), nil
		case scheme == "bearer" && params["realm"] != "":
			t, err := s.fetchToken(ctx, params, basic, scope)
			if err != nil {
				return "", err
			}
			return s.remember(scope, t), nil
		}
	}
	return "", fmt.Errorf("%w: it wants credentials that docker login did not leave", ErrDenied)
}

// fetchToken asks the registry's token server, which gets the registry's password
// and leads nowhere else.
func (s *site) fetchToken(ctx context.Context, params map[string]string, basic, scope string) (token, error) {
	u, err := url.Parse(params["realm"])
	if err != nil || u.Host == "" {
		return token{}, fmt.Errorf("%w: its token server is no URL", ErrDenied)
	}
	q := u.Query()
	if params["service"] != "" {
		q.Set("service", params["service"])
	}
	q.Set("scope", scope)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return token{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if basic != "" {
		req.Header.Set("Authorization", basic)
	}
	res, err := s.roundTrip(req)
	if err != nil {
		return token{}, fmt.Errorf("asking its token server: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		if err := s.refusal(res); err != nil && !errors.Is(err, ErrNotFound) {
			return token{}, fmt.Errorf("asking its token server: %w", err)
		}
		return token{}, fmt.Errorf("%w: its token server answers %s", ErrDenied, res.Status)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxToken+1))
	if err != nil {
		return token{}, fmt.Errorf("asking its token server: %w", err)
	}
	text, lives, err := decodeToken(b)
	if err != nil {
		return token{}, err
	}
	return token{"Bearer " + text, s.c.cfg.Now().Add(lives)}, nil
}

// decodeToken reads a token server's answer: the token, and how long it counts.
func decodeToken(b []byte) (string, time.Duration, error) {
	var a struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if len(b) > maxToken {
		return "", 0, fmt.Errorf("%w: a token of more than %d bytes", ErrDenied, maxToken)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return "", 0, fmt.Errorf("%w: its token server gives no token: %w", ErrDenied, err)
	}
	text := a.Token
	if text == "" {
		text = a.AccessToken
	}
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, fmt.Errorf("%w: its token server gives no token", ErrDenied)
	}
	lives := tokenLives
	if a.ExpiresIn > 0 {
		lives = time.Duration(min(a.ExpiresIn, 3600)) * time.Second
	}
	return text, lives * 9 / 10, nil // clocks and ways take some of it
}

// parseChallenge reads a WWW-Authenticate header (RFC 9110, section 11.6.1) of one
// scheme with quoted or bare parameters.
func parseChallenge(s string) (scheme string, params map[string]string, err error) {
	if len(s) > maxChallenge {
		return "", nil, fmt.Errorf("a challenge of more than %d bytes", maxChallenge)
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	params = map[string]string{}
	for rest = strings.TrimLeft(rest, " ,"); rest != ""; rest = strings.TrimLeft(rest, " ,") {
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			return "", nil, errors.New("a challenge without a value")
		}
		value := ""
		if quoted, is := strings.CutPrefix(after, `"`); is {
			value, rest, ok = strings.Cut(quoted, `"`)
			if !ok {
				return "", nil, errors.New("a challenge without an end")
			}
		} else {
			value, rest, _ = strings.Cut(after, ",")
		}
		params[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	return strings.ToLower(scheme), params, nil
}
