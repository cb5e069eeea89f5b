package server

import (
	"net/http"

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
	pages, err := studio.New(studio.Config{
		Door: s.door, Hosts: append([]string{"localhost", "127.0.0.1", "::1"}, s.cfg.Hosts...), Region: s.cfg.Region, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	return []entrance{pages}, nil
}
