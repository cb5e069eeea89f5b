package studio

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bawn.dev/internal/api"
	sign "bawn.dev/internal/shape/signin"
)

// A visit is one request on its way.
type visit struct {
	*api.Visit
	s   *Studio
	ctx context.Context
	w   http.ResponseWriter
	r   *http.Request
	own *sign.DescribeOwnOutput // who is signed in, once that was asked
}

func (s *Studio) visit(w http.ResponseWriter, r *http.Request) *visit {
	// Who goes away must not lose the record.
	return &visit{Visit: s.Door.Visit(r), s: s, ctx: context.WithoutCancel(r.Context()), w: w, r: r}
}

// page makes a handler of what a page does.
func (s *Studio) page(do func(*visit) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := s.visit(w, r)
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				v.problem(http.StatusBadRequest, problem{Title: "The form did not arrive", Text: "What was sent is too large or is not a form. Go back and try again."})
				return
			}
		}
		if err := do(v); err != nil {
			v.fail(err)
		}
	})
}

// form is a field of the form that was sent.
func (v *visit) form(name string) string { return v.r.PostFormValue(name) }

// secret is what stands for the sign-in of this browser. What the API could not take
// for one stands for none.
func (v *visit) secret() string {
	if text := cookie(v.r, SessionCookie); len(text) >= 16 && len(text) <= 256 {
		return text
	}
	return ""
}

// errSignIn leads to the sign-in and then back.
var errSignIn = errors.New("studio: nobody is signed in")

// in finds who is signed in; errSignIn if nobody is.
func (v *visit) in() error {
	if v.secret() == "" {
		return errSignIn
	}
	var err error
	v.own, err = call[sign.DescribeOwnOutput](v, "DescribeOwn", &sign.DescribeOwnInput{Session: v.secret()})
	return err
}

// call calls the sign-in API.
func call[Out any](v *visit, operation string, in any) (*Out, error) {
	return api.Visited[Out](v.ctx, v.Visit, "signin:"+operation, in)
}

// to leads the browser on, with a GET.
func (v *visit) to(address string) error {
	http.Redirect(v.w, v.r, address, http.StatusSeeOther)
	return nil
}

// away leads the browser on to where it may leave this server. It does so by a page: a
// browser whose form has led here may follow no redirect to elsewhere, neither this one
// nor those that follow it.
func (v *visit) away(address string) error { return v.shown("onward", "One moment", address) }

// back is where a sign-in that this request needs leads to: here, if this is a page,
// and else to the page that has its form.
func (v *visit) back() string {
	if v.r.Method == http.MethodGet {
		return Next(v.r.URL.RequestURI())
	}
	for _, page := range destinations {
		if page != home && strings.HasPrefix(v.r.URL.Path, page+"/") {
			return page
		}
	}
	return Next(v.r.URL.Path)
}

// A problem is what a person reads who cannot be given what she asked for.
type problem struct {
	Title, Text string
	Link, Label string // what to do; empty leads to the beginning
}

func (v *visit) problem(status int, p problem) {
	if p.Link == "" {
		p.Link, p.Label = home, "Go to the beginning"
	}
	v.show(status, "problem", p.Title, p)
}

// fail answers an error in a person's words.
func (v *visit) fail(err error) {
	var e *api.Error
	switch {
	case errors.Is(err, errSignIn):
		v.must(v.to(SignIn(v.back())))
	case !errors.As(err, &e):
		v.s.Log.Error("a page failed", "path", v.r.URL.Path, "err", err)
		v.problem(http.StatusInternalServerError, problem{Title: "Something went wrong here", Text: "It is not your fault. Try again in a moment; if it stays so, tell your administrator."})
	case e.Code == "UnauthorizedException":
		unset(v.w, SessionCookie)
		v.must(v.to(SignIn(v.back())))
	case e.Code == "ReauthenticationRequiredException":
		v.problem(e.Status, problem{Title: "Please sign in again", Text: e.Message, Link: SignIn(v.back()), Label: "Sign in again"})
	case e.Server:
		v.problem(e.Status, problem{Title: "Something went wrong here", Text: e.Message})
	case e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable:
		v.w.Header().Set("Retry-After", strconv.Itoa(5))
		v.problem(http.StatusTooManyRequests, problem{Title: "Please wait", Text: e.Message})
	case v.r.URL.Path == "/start/signin/proof" && e.Code == "AccessDeniedException":
		v.problem(e.Status, problem{Title: "This sign-in is over", Text: e.Message, Link: SignIn(Next(v.form("next"))), Label: "Begin again"})
	default:
		v.problem(max(e.Status, 400), problem{Title: "This could not be done", Text: e.Message})
	}
}

// must is for answers that cannot fail but by the browser's going away.
func (v *visit) must(err error) {
	if err != nil {
		v.s.Log.Error("a page failed", "path", v.r.URL.Path, "err", err)
	}
}

// A view is what the layout shows.
type view struct {
	Title string
	Name  string // who is signed in
	Here  string // path, for the navigation
	Body  any
}

// show renders a page, whole or not at all.
func (v *visit) show(status int, page, title string, body any) {
	w := view{Title: title, Here: v.r.URL.Path, Body: body}
	if v.own != nil {
		w.Name = v.own.DisplayName
		if w.Name == "" {
			w.Name = v.own.UserName
		}
	}
	var b bytes.Buffer
	if err := v.s.pages[page].ExecuteTemplate(&b, "layout", w); err != nil {
		v.s.Log.Error("a page failed", "page", page, "err", err)
		http.Error(v.w, "Something went wrong here.", http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes())
}

// shown is show for a page that is an answer like any.
func (v *visit) shown(page, title string, body any) error {
	v.show(http.StatusOK, page, title, body)
	return nil
}

// nowhere answers for addresses that are none.
func (s *Studio) nowhere(v *visit) error {
	v.problem(http.StatusNotFound, problem{Title: "There is no such page", Text: "The address may be wrong, or the page was moved."})
	return nil
}

// isCode says whether an error is one of the API's.
func isCode(err error, codes ...string) bool {
	var e *api.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}
