package studio

import sign "bawn.dev/internal/shape/signin"

// passwordPage asks for the old password and a new one.
type passwordPage struct {
	UserName, Failure string
	Wait              int32
}

func (s *Studio) password(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	return v.shown("password", "Change your password", passwordPage{UserName: v.own.UserName})
}

func (s *Studio) changePassword(v *visit) error {
	if err := v.in(); err != nil {
		return err
	}
	p := passwordPage{UserName: v.own.UserName}
	if v.form("newpassword") != v.form("repeated") {
		p.Failure = "The two are not the same. Please type the new password twice."
		return v.shown("password", "Error: Change your password", p)
	}
	out, err := call[sign.ChangePasswordOutput](v, "ChangePassword", &sign.ChangePasswordInput{
		Session: v.secret(), OldPassword: v.form("password"), NewPassword: v.form("newpassword"),
	})
	if err != nil {
		return err
	}
	if out.Failure != "" {
		p.Failure = out.Message
		if out.RetryAfter != nil {
			p.Wait = *out.RetryAfter
		}
		return v.shown("password", "Error: Change your password", p)
	}
	v.problem(200, problem{Title: "Your password is changed", Text: "Wherever else you were signed in, you are not any more.", Link: "/start/security", Label: "Go on"})
	return nil
}
