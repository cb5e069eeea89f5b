package server

import (
	"context"

	"bawn.dev/internal/export"
)

// openExport prepares the export of the record. What it has not handed on is not pruned.
func (s *Server) openExport(ctx context.Context) (err error) {
	if s.cfg.Export == "" {
		return nil
	}
	s.export, err = export.New(ctx, export.Config{To: s.cfg.Export, Store: s.store, Trail: s.trail, Log: s.log})
	return err
}

// exported says how far the export is; nil stands for none.
func (s *Server) exported(ctx context.Context) (*export.Status, error) {
	if s.export == nil {
		return nil, nil
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	status, err := s.export.Status(sn)
	return &status, err
}
