package server

import (
	"context"
	"fmt"

	"bawn.dev/internal/identity"
	"bawn.dev/internal/store"
)

// DirectoryRequest asks for one change of which directories people come from, or has
// one read.
type DirectoryRequest struct {
	Operator string `json:"operator"`
	// Do is one of add, list, remove, sync and test.
	Do       string           `json:"do"`
	Name     string           `json:"name,omitempty"`
	Source   *identity.Source `json:"source,omitempty"`   // of add
	Password string           `json:"password,omitempty"` // of add; never recorded
	Force    bool             `json:"force,omitempty"`    // of sync: believe it though most are gone
}

// DirectoryAnswer is what came of it.
type DirectoryAnswer struct {
	Sources []*identity.Source     `json:"sources,omitempty"`
	Report  *identity.SourceReport `json:"report,omitempty"` // of sync and test; its Error says how far sync came
}

// directoryEvents are what the record calls the commands.
var directoryEvents = map[string]string{
	"add": "AddDirectory", "list": "ListDirectories", "remove": "RemoveDirectory", "sync": "SynchronizeDirectory", "test": "TestDirectory",
}

// Directory does one command. A change and its record are one; that a directory is
// read is recorded first.
func (s *Server) Directory(ctx context.Context, in DirectoryRequest) (*DirectoryAnswer, error) {
	name := directoryEvents[in.Do]
	if name == "" || in.Do == "add" && in.Source == nil {
		return nil, fmt.Errorf("directory: there is no %q, or it lacks what it is about", in.Do)
	}
	password := in.Password
	in.Password = ""
	out := &DirectoryAnswer{}
	switch in.Do {
	case "add":
		src := *in.Source
		return out, s.changed(ctx, name, in.Operator, in, func(tx *store.Tx) error { return s.identity.AddSource(tx, src, password) })
	case "remove":
		change, err := s.identity.RemoveSource(ctx, s.door, in.Name)
		if err != nil {
			return nil, err
		}
		return out, s.changed(ctx, name, in.Operator, in, change)
	}
	if in.Do == "sync" {
		if err := s.changed(ctx, name, in.Operator, in, func(*store.Tx) error { return nil }); err != nil {
			return nil, err
		}
		report, err := s.identity.Synchronize(ctx, s.door, in.Name, in.Force)
		if report == nil {
			return nil, err
		}
		out.Report = report
		if err != nil && report.Error == "" {
			report.Error = err.Error()
		}
		return out, nil
	}
	if err := s.administered(ctx, name, in.Operator, in); err != nil {
		return nil, err
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	if in.Do == "list" {
		out.Sources, err = s.identity.ListSources(sn)
		return out, err
	}
	out.Report, err = s.identity.TestSource(ctx, sn, in.Name)
	return out, err
}
