package server

import (
	"net/http"

	"bawn.dev/internal/federation"
	"bawn.dev/internal/signin"
	"bawn.dev/internal/studio"
)

// An entrance is what browsers see at the front listener beside the AWS APIs.
type entrance interface {
	http.Handler
	// Wants says whether a request is for it. One that was signed as AWS's clients sign
	// never is.
	Wants(r *http.Request) bool
}

// web lists the entrances.
func (s *Server) web() ([]entrance, error) {
	elsewhere := &federation.Web{Door: s.door, Origins: s.origins, SignIn: studio.SignIn, Metadata: signin.SAMLMetadata, Log: s.log}
	pages, err := studio.New(studio.Config{
		Door: s.door, Hosts: append([]string{"localhost", "127.0.0.1", "::1"}, s.cfg.Hosts...), Region: s.cfg.Region, Log: s.log,
		Leave: func(w http.ResponseWriter, r *http.Request, to studio.Departure) {
			elsewhere.Leave(w, r, to.Flow, to.Binding, to.Next)
		},
	})
	if err != nil {
		return nil, err
	}
	elsewhere.Session, elsewhere.Binding, elsewhere.Entered, elsewhere.SignedOut = pages.Secret, pages.Binding, pages.Entered, pages.SignedOut
	return []entrance{startURL{s}, pages, elsewhere}, nil
}
