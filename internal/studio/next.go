package studio

import (
	"net/url"
	"slices"
	"strings"
)

// home is where a sign-in leads to that was led from nowhere.
const home = "/start"

// destinations are the only places to which a sign-in leads.
var destinations = []string{home, "/start/security", "/start/password", "/start/sessions", "/device", "/authorize", forApplications}

// forApplications answers by sending the browser to an application.
const forApplications = "/oidc/authorize"

// leadsOut says whether a destination leads on from this server.
func leadsOut(next string) bool {
	path, _, _ := strings.Cut(next, "?")
	return path == forApplications
}

// maxNext bounds how long such a place's address may be.
const maxNext = 4 << 10

// Next is a place on this server that a sign-in may lead to, by what a request says of
// it; the beginning if it is no such place.
func Next(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxNext || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.RawPath != "" ||
		!slices.Contains(destinations, u.Path) {
		return home
	}
	if q := u.Query().Encode(); q != "" {
		return u.Path + "?" + q
	}
	return u.Path
}

// SignIn is the address at which a person signs in and is then led to next.
func SignIn(next string) string {
	if next = Next(next); next == home {
		return "/start/signin"
	}
	return "/start/signin?" + url.Values{"next": {next}}.Encode()
}
