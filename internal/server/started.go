package server

import (
	"context"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// A settings is what the record says of a start: what the server does otherwise for
// it. Nothing of it is a secret.
type settings struct {
	Listen      string   `json:"listen"`
	PlainHTTP   bool     `json:"plainHttp"`
	Database    string   `json:"database"`
	Blobs       string   `json:"blobs"`
	Hosts       []string `json:"hosts,omitempty"`
	AllowEgress []string `json:"allowEgress,omitempty"`
	AllowFetch  []string `json:"allowFetch,omitempty"`
	TrailPeriod string   `json:"trailPeriod,omitempty"`
	Pins        []string `json:"pins,omitempty"`
	Witnesses   []string `json:"witnesses,omitempty"`
	Export      string   `json:"export,omitempty"`
	Retain      int      `json:"retainDays,omitempty"`
}

// settings are the configuration that the server runs with.
func (s *Server) settings() settings {
	c := s.cfg
	out := settings{
		Listen: c.Listen, PlainHTTP: c.PlainHTTP, Database: location(c.Database), Blobs: location(c.Blobs), Hosts: c.Hosts,
		AllowEgress: c.AllowEgress, AllowFetch: c.AllowFetch,
		Pins: c.Pins, Witnesses: c.Witnesses,
		Export: c.Export, Retain: c.Retain,
	}
	if c.TrailPeriod > 0 {
		out.TrailPeriod = c.TrailPeriod.String()
	}
	return out
}

// location is a URL without what may be secret in it.
func location(text string) string {
	if text == "" {
		return "data directory"
	}
	u, err := url.Parse(text)
	if err != nil {
		return "not a URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// lifeTime bounds how long the record of a stop may take.
const lifeTime = 10 * time.Second

// life records that the server begins to serve, or ends. Nothing is served before the
// former.
func (s *Server) life(ctx context.Context, name string, parameters any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lifeTime)
	defer cancel()
	r, err := s.own(name, parameters)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error { return s.trail.Append(tx, r) })
}

// end records that the server stops and, if nothing is wrong with it, seals the record and
// shows the head to what remembers it: nobody could tell what is changed until the next
// start.
func (s *Server) end(ctx context.Context, failed error) {
	err := s.life(ctx, "StopServer", nil)
	if err == nil && failed == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lifeTime)
		defer cancel()
		if err = s.trail.Seal(ctx); err == nil {
			err = s.recall(ctx)
		}
	}
	if err != nil {
		s.log.Error("the end is not in the record, or not sealed", "err", err)
	}
}

// Settle seals what an administration command recorded while no server runs: nobody could
// tell what is changed until the next start.
func (s *Server) Settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lifeTime)
	defer cancel()
	if err := s.trail.Seal(ctx); err != nil {
		s.log.Error("what was recorded is not sealed", "err", err)
	}
}

// own is the record of what the server does by itself, for who started it.
func (s *Server) own(name string, parameters any) (*trail.Record, error) {
	r := &trail.Record{
		EventTime: s.now(), EventSource: "bawn", EventName: name, Region: s.cfg.Region, Account: s.cfg.AccountID,
		UserIdentity: trail.UserIdentity{Type: "Operator", UserName: Operator(), AccountID: s.cfg.AccountID},
		EventType:    "BawnAdministration", ManagementEvent: true,
	}
	if parameters != nil {
		raw, err := json.Marshal(parameters)
		if err != nil {
			return nil, err
		}
		r.RequestParameters = raw
	}
	return r, nil
}
