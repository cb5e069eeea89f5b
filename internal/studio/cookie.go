package studio

import (
	"crypto/rand"
	"net/http"
	"time"
)

// Cookies of this server. A name that begins so can be set by this host alone, over
// TLS alone, for all of its paths.
const (
	// SessionCookie holds the secret that stands for a person's sign-in.
	SessionCookie = "__Host-bawn"
	// bindingCookie ties a sign-in on its way to the browser in which it began.
	bindingCookie = "__Host-bawn-flow"
	// rememberedCookie tells a person's own browser from one that guesses at her.
	rememberedCookie = "__Host-bawn-known"

	rememberedLife = 180 * 24 * time.Hour
)

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// set gives the browser a cookie. Without an end it goes with the browser.
func set(w http.ResponseWriter, name, value string, end time.Time) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", Expires: end, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func unset(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// binding is what a flow of this browser is bound to; a new one where there is none.
func (v *visit) binding() string {
	if have := cookie(v.r, bindingCookie); len(have) == 2*len(rand.Text()) {
		return have
	}
	made := rand.Text() + rand.Text()
	set(v.w, bindingCookie, made, time.Time{})
	return made
}

// Binding is what the flows of a browser are bound to.
func (s *Studio) Binding(w http.ResponseWriter, r *http.Request) string {
	return s.visit(w, r).binding()
}

// Secret is the secret of a browser's session; empty where it has none.
func (s *Studio) Secret(r *http.Request) string { return cookie(r, SessionCookie) }

// SignedOut tells a browser that its session has ended.
func (s *Studio) SignedOut(w http.ResponseWriter) { unset(w, SessionCookie) }
