package studio

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"bawn.dev/internal/api"
	sign "bawn.dev/internal/shape/signin"
)

// devicePage asks a person what a program on another machine may do in her name.
type devicePage struct {
	Code    string
	Failure string
	Asks    *sign.DescribeDeviceOutput // nil while she has given no code that is one
}

// device shows who asks, once there is a code. Somebody else's code in a link is what a
// thief would send: the page says where the request came from, and to leave it if it
// was not hers.
func (s *Studio) device(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	p := devicePage{Code: strings.TrimSpace(v.r.URL.Query().Get("user_code"))}
	if p.Code == "" {
		return v.shown("device", "Approve a device", p)
	}
	out, err := call[sign.DescribeDeviceOutput](v, "DescribeDevice", &sign.DescribeDeviceInput{Session: v.secret(), UserCode: p.Code})
	switch {
	case isCode(err, "ResourceNotFoundException", "ValidationException"):
		p.Failure = "There is no such code, or not any more. Check what your device shows, or start again there."
		return v.shown("device", "Error: Approve a device", p)
	case err != nil:
		return err
	}
	p.Asks = out
	return v.shown("device", "Approve a device", p)
}

func (s *Studio) decideDevice(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	code := v.form("user_code")
	switch v.form("decision") {
	case "approve":
		out, err := call[sign.ApproveDeviceOutput](v, "ApproveDevice", &sign.ApproveDeviceInput{Session: v.secret(), UserCode: code})
		if err != nil {
			return err
		}
		v.problem(http.StatusOK, problem{Title: "Approved", Text: "“" + out.ClientName + "” is signed in. You can close this page and go back to it.", Link: "/start/sessions", Label: "See where you are signed in"})
	case "deny":
		if _, err := call[sign.DenyDeviceOutput](v, "DenyDevice", &sign.DenyDeviceInput{Session: v.secret(), UserCode: code}); err != nil {
			return err
		}
		v.problem(http.StatusOK, problem{Title: "Refused", Text: "The program was told that you refused. If it was not you who started it, tell your administrator: somebody may have tried to use your name."})
	default:
		return s.nowhere(v)
	}
	return nil
}

// authorizePage asks a person whether a program on her machine may sign in as her.
type authorizePage struct {
	Asks   *sign.DescribeAuthorizationOutput
	Host   string // to which the answer goes
	Fields []field
}

type field struct{ Name, Value string }

// An asked authorization is what a program sent the browser with, as OAuth names it.
var askedFields = []string{"response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "scope", "scopes"}

// once is the value of a parameter that must not be given twice: who reads the first
// and who reads the last would not agree.
func once(q url.Values, name string) (string, error) {
	if len(q[name]) > 1 {
		return "", &api.Error{Code: "ValidationException", Status: http.StatusBadRequest, Message: "The program that sent you here said " + name + " twice."}
	}
	return q.Get(name), nil
}

// asked reads it, and refuses what is said twice.
func asked(q url.Values) (*sign.AuthorizeInput, []field, error) {
	got, fields := map[string]string{}, []field{}
	for _, name := range askedFields {
		value, err := once(q, name)
		if err != nil {
			return nil, nil, err
		}
		if got[name] = value; value != "" {
			fields = append(fields, field{name, value})
		}
	}
	scopes := got["scope"]
	if scopes == "" {
		scopes = got["scopes"] // as the AWS CLI says it
	}
	return &sign.AuthorizeInput{
		ResponseType: sign.ResponseType(got["response_type"]), ClientId: got["client_id"], RedirectUri: got["redirect_uri"], State: got["state"],
		CodeChallenge: got["code_challenge"], CodeChallengeMethod: sign.ChallengeMethod(got["code_challenge_method"]), Scopes: strings.Fields(scopes),
	}, fields, nil
}

// authorize asks for her consent.
func (s *Studio) authorize(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	in, fields, err := asked(v.r.URL.Query())
	if err != nil {
		return err
	}
	out, err := v.describe(in)
	if err != nil {
		return err
	}
	host, err := lands(out.DenyTo)
	if err != nil {
		return err
	}
	return v.shown("authorize", "Sign in to a program", authorizePage{out, host, fields})
}

func (v *visit) describe(in *sign.AuthorizeInput) (*sign.DescribeAuthorizationOutput, error) {
	return call[sign.DescribeAuthorizationOutput](v, "DescribeAuthorization", &sign.DescribeAuthorizationInput{
		Session: v.secret(), ResponseType: in.ResponseType, ClientId: in.ClientId, RedirectUri: in.RedirectUri, State: in.State,
		CodeChallenge: in.CodeChallenge, CodeChallengeMethod: in.CodeChallengeMethod, Scopes: in.Scopes,
	})
}

// decideAuthorize sends the browser where the API says, and nowhere else.
func (s *Studio) decideAuthorize(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	in, _, err := asked(v.r.PostForm)
	if err != nil {
		return err
	}
	in.Session = v.secret()
	if v.form("decision") != "approve" {
		out, err := v.describe(in)
		if err != nil {
			return err
		}
		return v.away(out.DenyTo)
	}
	out, err := call[sign.AuthorizeOutput](v, "Authorize", in)
	if err != nil {
		return err
	}
	return v.away(out.RedirectTo)
}

// hostForm is what a person can read and judge.
var hostForm = regexp.MustCompile(`\A[A-Za-z0-9.:\[\]-]+\z`)

// lands is the host of an address to which a browser will be sent.
func lands(text string) (host string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !hostForm.MatchString(u.Host) {
		return "", &api.Error{Code: "ValidationException", Status: http.StatusBadRequest, Message: "The program that sent you here gave no address to go back to."}
	}
	return u.Host, nil
}
