package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Tokens are what a sign-in gives a program.
type Tokens struct {
	ClientID     string    `json:"clientId"`
	ClientSecret string    `json:"clientSecret"`
	AccessToken  string    `json:"accessToken"`
	RefreshToken string    `json:"refreshToken"`
	Expires      time.Time `json:"expires"` // of the access token
}

type client struct {
	ID     string `json:"clientId"`
	Secret string `json:"clientSecret"`
}

func (s *Server) register(ctx context.Context) (*client, error) {
	c := &client{}
	return c, s.call(ctx, http.MethodPost, "/client/register", "", map[string]any{
		"clientName": clientName, "clientType": "public", "scopes": []string{scope}, "issuerUrl": s.URL + "/start",
		"grantTypes": []string{"authorization_code", deviceGrant, "refresh_token"}, "redirectUris": []string{"http://127.0.0.1" + callback},
	}, c)
}

// token asks for tokens by a grant.
func (s *Server) token(ctx context.Context, c *client, grant map[string]string) (*Tokens, error) {
	grant["clientId"], grant["clientSecret"] = c.ID, c.Secret
	var out struct {
		AccessToken, RefreshToken string
		ExpiresIn                 int64
	}
	asked := time.Now()
	if err := s.call(ctx, http.MethodPost, "/token", "", grant, &out); err != nil {
		return nil, err
	}
	return &Tokens{
		ClientID: c.ID, ClientSecret: c.Secret, AccessToken: out.AccessToken, RefreshToken: out.RefreshToken,
		Expires: asked.Add(time.Duration(out.ExpiresIn) * time.Second),
	}, nil
}

// refresh gets the next tokens. ErrOver means that there are none.
func (s *Server) refresh(ctx context.Context, t *Tokens) (*Tokens, error) {
	next, err := s.token(ctx, &client{t.ClientID, t.ClientSecret}, map[string]string{"grantType": "refresh_token", "refreshToken": t.RefreshToken})
	if is(err, "InvalidGrantException", "InvalidClientException") {
		return nil, ErrOver
	}
	return next, err
}

// ByDevice signs in by a code that the person types in any browser. tell shows her
// where, and the code.
func (s *Server) ByDevice(ctx context.Context, tell func(address, code string)) (*Tokens, error) {
	c, err := s.register(ctx)
	if err != nil {
		return nil, err
	}
	var device struct {
		DeviceCode, UserCode string
		ExpiresIn, Interval  int64
	}
	in := map[string]string{"clientId": c.ID, "clientSecret": c.Secret, "startUrl": s.URL + "/start"}
	if err := s.call(ctx, http.MethodPost, "/device_authorization", "", in, &device); err != nil {
		return nil, err
	}
	tell(s.URL+"/device", device.UserCode)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(device.ExpiresIn)*time.Second)
	defer cancel()
	wait := max(1, time.Duration(device.Interval)) * time.Second
	for {
		t, err := s.token(ctx, c, map[string]string{"grantType": deviceGrant, "deviceCode": device.DeviceCode})
		switch {
		case is(err, "SlowDownException"):
			wait += 5 * time.Second
		case !is(err, "AuthorizationPendingException"):
			return t, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(errors.New("nobody approved this in time"), ctx.Err())
		case <-time.After(wait):
		}
	}
}

// ByBrowser signs in by a browser on this computer, which open opens at an address.
func (s *Server) ByBrowser(ctx context.Context, open func(address string) error) (*Tokens, error) {
	c, err := s.register(ctx)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	redirect := "http://" + l.Addr().String() + callback
	answers := make(chan url.Values, 1)
	srv := &http.Server{Handler: listener(l.Addr().String(), state, answers), ReadHeaderTimeout: patience, MaxHeaderBytes: 16 << 10}
	go srv.Serve(l)
	defer srv.Close()
	if err := open(s.URL + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {redirect}, "state": {state},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "scopes": {scope},
	}.Encode()); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case answer := <-answers:
		// Let the browser have its page before the listener goes.
		stop, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = srv.Shutdown(stop) // Close follows
		if answer.Get("code") == "" {
			return nil, errors.New("it was not approved")
		}
		return s.token(ctx, c, map[string]string{
			"grantType": "authorization_code", "code": answer.Get("code"), "codeVerifier": verifier, "redirectUri": redirect,
		})
	}
}

// listener takes the browser's one answer. Other pages, and other users of this
// computer, do not know the state.
func listener(host, state string, answers chan<- url.Values) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		answer := r.URL.Query()
		if r.Method != http.MethodGet || r.URL.Path != callback || r.Host != host || subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not what is waited for.", http.StatusBadRequest)
			return
		}
		select {
		case answers <- answer:
			_, _ = w.Write([]byte("You can close this page and go back to the command line.\n"))
		default:
			http.Error(w, "An answer came already.", http.StatusBadRequest)
		}
	})
}
