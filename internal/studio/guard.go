package studio

import (
	"net/http"
	"strings"
)

// guard sets what every page tells the browser. Script and style come from one folder
// and not from all of this origin: objects in buckets may have the same.
func guard(h http.Header, r *http.Request) {
	folder := r.Host + assets // one of our names: Wants saw to that
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "script-src " + folder, "style-src " + folder, "img-src data:",
		"form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'",
	}, "; "))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

// foreign refuses a form that a page elsewhere sent.
func (s *Studio) foreign(w http.ResponseWriter, r *http.Request) {
	v := s.visit(w, r)
	recorded, err := v.TurnedAway(v.ctx, "signin.amazonaws.com", "CrossOriginRequest", r.Method+" "+r.URL.Path+" came from a page of another origin")
	if err != nil {
		v.fail(err)
		return
	}
	if !recorded {
		v.problem(http.StatusTooManyRequests, problem{Title: "Please wait", Text: "There were too many requests from where you are. Wait a moment, then try again."})
		return
	}
	v.problem(http.StatusForbidden, problem{
		Title: "This came from somewhere else",
		Text:  "Another site tried to do something here in your name. Nothing was done. If it was you, open this page by yourself and try again.",
	})
}
