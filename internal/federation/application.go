package federation

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/signin"
	"bawn.dev/internal/wire"
)

func (a *asking) json(status int, v any) error {
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return err
	}
	a.w.Header().Set("Content-Type", "application/json")
	a.w.WriteHeader(status)
	_, _ = a.w.Write(raw) // who went away has no use for the rest
	return nil
}

func (h *Web) discovery(a *asking) error {
	issuer := a.origin + issuerPath
	a.w.Header().Set("Cache-Control", "public, max-age=3600")
	return a.json(http.StatusOK, map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token", "userinfo_endpoint": issuer + "/userinfo",
		"jwks_uri": issuer + "/keys", "end_session_endpoint": issuer + "/logout", "revocation_endpoint": issuer + "/revoke",
		"scopes_supported": []string{"openid", "profile", "email", "groups", "offline_access"}, "response_types_supported": []string{"code"}, "response_modes_supported": []string{"query"},
		"grant_types_supported": []string{"authorization_code", "refresh_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
		"authorization_response_iss_parameter_supported": true, "request_parameter_supported": false, "request_uri_parameter_supported": false,
		"prompt_values_supported": []string{"none", "login"},
		"claims_supported": []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "amr", "sid", "name", "preferred_username", "email",
			"email_verified", "groups"},
	})
}

func (h *Web) keys(a *asking) error {
	out, err := api.Visited[shape.ListSigningKeysOutput](a.ctx, a.visit, "signin:ListSigningKeys", &shape.ListSigningKeysInput{})
	if err != nil {
		return err
	}
	a.w.Header().Set("Content-Type", "application/json")
	a.w.Header().Set("Cache-Control", "public, max-age=600")
	_, err = a.w.Write([]byte(out.Keys))
	return err
}

// authorize gives a code for the person who is signed in in this browser.
func (h *Web) authorize(a *asking) error {
	for _, name := range []string{"request", "request_uri", "response_mode"} {
		if v := a.form.Get(name); v != "" && (name != "response_mode" || v != "query") {
			h.page(a, http.StatusBadRequest, "The application asks in a way that is not served ("+name+").")
			return nil
		}
	}
	in := &shape.AuthorizeApplicationInput{
		Issuer: a.origin + issuerPath, Session: h.Session(a.r), ClientId: a.form.Get("client_id"), RedirectUri: a.form.Get("redirect_uri"),
		ResponseType: a.form.Get("response_type"), Scope: a.form.Get("scope"), State: a.form.Get("state"), Nonce: a.form.Get("nonce"),
		CodeChallenge: a.form.Get("code_challenge"), CodeChallengeMethod: a.form.Get("code_challenge_method"), Prompt: a.form.Get("prompt"),
	}
	if text := a.form.Get("max_age"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			h.page(a, http.StatusBadRequest, "max_age is no number of seconds.")
			return nil
		}
		age := int32(n)
		in.MaxAge = &age
	}
	out, err := api.Visited[shape.AuthorizeApplicationOutput](a.ctx, a.visit, "signin:AuthorizeApplication", in)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Fields["RedirectTo"] != "" {
		return a.to(e.Fields["RedirectTo"])
	}
	if err != nil {
		return err
	}
	if out.SignIn != nil && *out.SignIn {
		return a.to(h.SignIn(issuerPath + "/authorize?" + a.form.Encode()))
	}
	return a.to(out.RedirectTo)
}

// secret is how an application proves itself: in a header or in the form, not in both.
func (a *asking) secret() (id, secret string, err error) {
	id, secret, basic := a.r.BasicAuth()
	if !basic {
		return a.form.Get("client_id"), a.form.Get("client_secret"), nil
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	if err1 != nil || err2 != nil || a.form.Has("client_secret") || a.form.Has("client_id") && a.form.Get("client_id") != id {
		return "", "", &api.Error{Code: "ValidationException", Status: http.StatusBadRequest, Message: "The application proves itself in two ways."}
	}
	return id, secret, nil
}

// oauth tells an application what went wrong (RFC 6749, 5.2).
func (h *Web) oauth(a *asking, err error) error {
	e, ok := errors.AsType[*api.Error](err)
	switch {
	case ok && e.Code == wire.CodeThrottling:
		return a.json(http.StatusTooManyRequests, map[string]string{"error": "temporarily_unavailable"})
	case !ok, statusOf(e) >= http.StatusInternalServerError:
		h.Log.Error("an application's request failed", "err", err)
		return a.json(http.StatusInternalServerError, map[string]string{"error": "server_error"})
	case e.Code == "UnauthorizedException":
		a.w.Header().Set("WWW-Authenticate", `Basic realm="applications"`)
		return a.json(http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	}
	code := e.Fields["error"]
	if code == "" {
		code = "invalid_request"
	}
	return a.json(http.StatusBadRequest, map[string]string{"error": code, "error_description": e.Message})
}

func (h *Web) token(a *asking) error {
	id, secret, err := a.secret()
	if err != nil {
		return h.oauth(a, err)
	}
	out, err := api.Visited[shape.CreateApplicationTokenOutput](a.ctx, a.visit, "signin:CreateApplicationToken", &shape.CreateApplicationTokenInput{
		Issuer: a.origin + issuerPath, ClientId: id, ClientSecret: secret, GrantType: a.form.Get("grant_type"), Code: a.form.Get("code"),
		RedirectUri: a.form.Get("redirect_uri"), CodeVerifier: a.form.Get("code_verifier"), RefreshToken: a.form.Get("refresh_token"), Scope: a.form.Get("scope"),
	})
	if err != nil {
		return h.oauth(a, err)
	}
	if out.Error != "" {
		return a.json(http.StatusBadRequest, map[string]string{"error": out.Error, "error_description": out.ErrorDescription})
	}
	answer := map[string]any{
		"access_token": out.AccessToken, "token_type": out.TokenType, "expires_in": *out.ExpiresIn, "id_token": out.IdToken, "scope": out.Scope,
	}
	if out.RefreshToken != "" {
		answer["refresh_token"] = out.RefreshToken
	}
	return a.json(http.StatusOK, answer)
}

func (h *Web) revoke(a *asking) error {
	id, secret, err := a.secret()
	if err == nil {
		_, err = api.Visited[shape.RevokeApplicationTokenOutput](a.ctx, a.visit, "signin:RevokeApplicationToken",
			&shape.RevokeApplicationTokenInput{ClientId: id, ClientSecret: secret, Token: a.form.Get("token")})
	}
	if err != nil {
		return h.oauth(a, err)
	}
	return nil
}

func (h *Web) userinfo(a *asking) error {
	token, ok := strings.CutPrefix(a.r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		a.w.Header().Set("WWW-Authenticate", `Bearer realm="applications"`)
		return a.json(http.StatusUnauthorized, map[string]string{"error": "invalid_request"})
	}
	out, err := api.Visited[shape.DescribeBearerOutput](a.ctx, a.visit, "signin:DescribeBearer", &shape.DescribeBearerInput{AccessToken: token})
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "UnauthorizedException" {
		a.w.Header().Set("WWW-Authenticate", `Bearer realm="applications", error="invalid_token"`)
		return a.json(http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
	}
	if err != nil {
		return h.oauth(a, err)
	}
	a.w.Header().Set("Content-Type", "application/json")
	_, err = a.w.Write([]byte(out.Claims))
	return err
}

// logout ends the browser's sign-in where the application shows that it was made for
// it. Else the person is asked, on a page that no other site can press a button of.
func (h *Web) logout(a *asking) error {
	out, err := api.Visited[shape.EndApplicationSessionOutput](a.ctx, a.visit, "signin:EndApplicationSession", &shape.EndApplicationSessionInput{
		Issuer: a.origin + issuerPath, Session: h.Session(a.r), ClientId: a.form.Get("client_id"), IdTokenHint: a.form.Get("id_token_hint"),
		PostLogoutRedirectUri: a.form.Get("post_logout_redirect_uri"), State: a.form.Get("state"),
	})
	if err != nil {
		return err
	}
	if out.Ended != nil && *out.Ended {
		h.SignedOut(a.w)
	} else if h.Session(a.r) != "" {
		return a.to("/start/sessions")
	}
	if out.RedirectTo != "" {
		return a.to(out.RedirectTo)
	}
	h.page(a, http.StatusOK, "You are signed out.")
	return nil
}
