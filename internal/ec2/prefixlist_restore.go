package ec2

import (
	"context"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func (s *Service) restoredList(_ context.Context, c *api.Call, in *ec2.RestoreManagedPrefixListVersionInput) (*found[*prefixList], []api.Demand, error) {
	return s.changes(c, "RestoreManagedPrefixListVersion", in.PrefixListId)
}

func (s *Service) restoreManagedPrefixListVersion(_ context.Context, c *api.Call, in *ec2.RestoreManagedPrefixListVersionInput, f *found[*prefixList]) (api.Commit[ec2.RestoreManagedPrefixListVersionOutput], error) {
	return func(tx *store.Tx) (*ec2.RestoreManagedPrefixListVersionOutput, error) {
		l, err := owned[*prefixList](tx, c.Account, f.it.ID)
		if err != nil {
			return nil, err
		}
		if err := l.at(&in.CurrentVersion); err != nil {
			return nil, err
		}
		entries, kept, err := readEntries(tx, l.ID, in.PreviousVersion)
		switch {
		case err != nil:
			return nil, err
		case !kept || in.PreviousVersion == l.Version:
			return nil, invalidValue(in.PreviousVersion, "previousVersion", "The prefix list keeps no earlier version of this number.")
		}
		l.State = string(ec2.PrefixListStateRestoreComplete)
		if err := s.advance(tx, l, entries); err != nil {
			return nil, err
		}
		return &ec2.RestoreManagedPrefixListVersionOutput{PrefixList: ptr(s.showList(l))}, nil
	}, nil
}

func (s *Service) deletedList(_ context.Context, c *api.Call, in *ec2.DeleteManagedPrefixListInput) (*found[*prefixList], []api.Demand, error) {
	return s.changes(c, "DeleteManagedPrefixList", in.PrefixListId)
}

func (s *Service) deleteManagedPrefixList(_ context.Context, c *api.Call, _ *ec2.DeleteManagedPrefixListInput, f *found[*prefixList]) (api.Commit[ec2.DeleteManagedPrefixListOutput], error) {
	return func(tx *store.Tx) (*ec2.DeleteManagedPrefixListOutput, error) {
		l, err := owned[*prefixList](tx, c.Account, f.it.ID)
		if err != nil {
			return nil, err
		}
		networks, err := naming(tx, l)
		if err != nil {
			return nil, err
		}
		if len(networks) > 0 {
			return nil, inUse(l.ID, "rules or routes of "+networks[0]+" name it")
		}
		if _, err := tx.Exec("DELETE FROM ec2_list_versions WHERE list = ?", l.ID); err != nil {
			return nil, err
		}
		l.State = string(ec2.PrefixListStateDeleteComplete)
		return &ec2.DeleteManagedPrefixListOutput{PrefixList: ptr(s.showList(l))}, s.drop(tx, l)
	}, nil
}
