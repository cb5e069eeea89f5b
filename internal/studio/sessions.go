package studio

import sign "bawn.dev/internal/shape/signin"

// sessions lists where a person is signed in.
func (s *Studio) sessions(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	out, err := call[sign.ListOwnSessionsOutput](v, "ListOwnSessions", &sign.ListOwnSessionsInput{Session: v.secret()})
	if err != nil {
		return err
	}
	return v.shown("sessions", "Sessions", out.Sessions)
}

func (s *Studio) endSession(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	if v.form("id") == "" { // which the API takes for this one
		return s.nowhere(v)
	}
	_, err := call[sign.EndSessionOutput](v, "EndSession", &sign.EndSessionInput{Session: v.secret(), Id: v.form("id")})
	return v.done(err, "/start/sessions")
}

// endAll signs her out everywhere, here too.
func (s *Studio) endAll(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	if _, err := call[sign.EndAllSessionsOutput](v, "EndAllSessions", &sign.EndAllSessionsInput{Session: v.secret()}); err != nil {
		return err
	}
	unset(v.w, SessionCookie)
	v.own = nil
	v.problem(200, problem{Title: "You are signed out everywhere", Text: "Browsers and programs that had signed in with your name must sign in again.", Link: "/start/signin", Label: "Sign in again"})
	return nil
}
