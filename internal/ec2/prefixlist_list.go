package ec2

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// awsAccount owns what AWS manages, in ARNs and answers.
const awsAccount = "aws"

// ownList is the one list that AWS manages: S3's, which stands for the addresses of
// gateway endpoints. Only those that the VPC has are meant where a rule names it.
func (s *Service) ownList() *prefixList {
	return &prefixList{
		meta: meta{ID: s.prefixList("s3"), Account: awsAccount}, Name: s.serviceName("s3"), State: string(ec2.PrefixListStateCreateComplete),
		entries: []prefixEntry{{CIDR: netmodel.GatewayEndpoints}},
	}
}

func (s *Service) showList(l *prefixList) ec2.ManagedPrefixList {
	out := ec2.ManagedPrefixList{
		PrefixListId: l.ID, PrefixListName: l.Name, PrefixListArn: s.arn(l.Account, kindList, l.ID), AddressFamily: "IPv4",
		State: ec2.PrefixListState(l.State), OwnerId: l.owner(), Tags: tagList(l.Tags),
	}
	if l.Account != awsAccount {
		out.MaxEntries, out.Version = &l.Max, &l.Version
	}
	return out
}

func (l *prefixList) owner() string {
	if l.Account == awsAccount {
		return "AWS"
	}
	return l.Account
}

func (s *Service) describeManagedPrefixLists(_ context.Context, c *api.Call, in *ec2.DescribeManagedPrefixListsInput, _ struct{}) (*ec2.DescribeManagedPrefixListsOutput, error) {
	list, next, err := listRegional(c, regional[*prefixList, ec2.ManagedPrefixList]{
		items: func(q store.Querier, account string) ([]*prefixList, error) {
			all, err := ofKind[*prefixList](q, account)
			return append(all, s.ownList()), err
		},
		filters: map[string]func(*prefixList) []string{
			"owner-id":         func(l *prefixList) []string { return []string{l.owner()} },
			"prefix-list-id":   func(l *prefixList) []string { return []string{l.ID} },
			"prefix-list-name": func(l *prefixList) []string { return []string{l.Name} },
		},
		show: s.showList,
	}, ask{in.PrefixListIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribeManagedPrefixListsOutput{PrefixLists: list, NextToken: next}, err
}

// describePrefixLists lists those of AWS's services alone.
func (s *Service) describePrefixLists(_ context.Context, c *api.Call, in *ec2.DescribePrefixListsInput, _ struct{}) (*ec2.DescribePrefixListsOutput, error) {
	list, next, err := listRegional(c, regional[*prefixList, ec2.PrefixList]{
		items: func(store.Querier, string) ([]*prefixList, error) { return []*prefixList{s.ownList()}, nil },
		filters: map[string]func(*prefixList) []string{
			"prefix-list-id":   func(l *prefixList) []string { return []string{l.ID} },
			"prefix-list-name": func(l *prefixList) []string { return []string{l.Name} },
		},
		show: func(l *prefixList) ec2.PrefixList {
			out := ec2.PrefixList{PrefixListId: l.ID, PrefixListName: l.Name}
			for _, p := range l.prefixes() {
				out.Cidrs = append(out.Cidrs, p.String())
			}
			return out
		},
	}, ask{in.PrefixListIds, in.Filters, in.MaxResults, in.NextToken})
	return &ec2.DescribePrefixListsOutput{PrefixLists: list, NextToken: next}, err
}

func (s *Service) readList(c *api.Call, action, id string) (*found[*prefixList], []api.Demand, error) {
	f, err := s.findList(c, id)
	if err != nil {
		return nil, nil, err
	}
	return f, []api.Demand{f.demand(action)}, nil
}

func (s *Service) entriesOf(_ context.Context, c *api.Call, in *ec2.GetManagedPrefixListEntriesInput) (*found[*prefixList], []api.Demand, error) {
	return s.readList(c, "GetManagedPrefixListEntries", in.PrefixListId)
}

// getManagedPrefixListEntries answers pages of one version, though the list should
// change between them.
func (s *Service) getManagedPrefixListEntries(_ context.Context, c *api.Call, in *ec2.GetManagedPrefixListEntriesInput, f *found[*prefixList]) (*ec2.GetManagedPrefixListEntriesOutput, error) {
	l, version, from := f.it, f.it.Version, 0
	if in.TargetVersion != nil {
		version = *in.TargetVersion
	}
	if in.NextToken != "" {
		text, err := base64.RawURLEncoding.DecodeString(in.NextToken)
		if err == nil {
			_, err = fmt.Sscanf(string(text), "%d %d", &version, &from)
		}
		if err != nil || from < 0 || len(in.NextToken) > 128 || in.TargetVersion != nil && *in.TargetVersion != version {
			return nil, fail("InvalidNextToken", "The token '%.64s' is invalid.", in.NextToken)
		}
	}
	entries, kept := l.entries, version == 0
	if l.Account != awsAccount {
		var err error
		if entries, kept, err = readEntries(c.Snapshot, l.ID, version); err != nil {
			return nil, err
		}
	}
	if !kept {
		return nil, invalidValue(version, "targetVersion", "The prefix list keeps no version of this number.")
	}
	out := &ec2.GetManagedPrefixListEntriesOutput{}
	to := min(len(entries), from+limited(in.MaxResults, maxListPage))
	for _, e := range entries[min(from, to):to] {
		out.Entries = append(out.Entries, ec2.PrefixListEntry{Cidr: e.CIDR.String(), Description: e.Description})
	}
	if to < len(entries) {
		out.NextToken = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d", version, to))
	}
	return out, nil
}

// maxListPage is how many entries or associations a page has at most.
const maxListPage = 100

func limited(asked *int32, most int) int {
	if asked == nil {
		return most
	}
	return int(*asked) // the shape bounds it
}

func (s *Service) associationsOf(_ context.Context, c *api.Call, in *ec2.GetManagedPrefixListAssociationsInput) (*found[*prefixList], []api.Demand, error) {
	return s.readList(c, "GetManagedPrefixListAssociations", in.PrefixListId)
}

// getManagedPrefixListAssociations lists the caller's groups and route tables that
// name a list.
func (s *Service) getManagedPrefixListAssociations(_ context.Context, c *api.Call, in *ec2.GetManagedPrefixListAssociationsInput, f *found[*prefixList]) (*ec2.GetManagedPrefixListAssociationsOutput, error) {
	after, err := base64.RawURLEncoding.DecodeString(in.NextToken)
	if err != nil || len(in.NextToken) > 128 {
		return nil, fail("InvalidNextToken", "The token '%.64s' is invalid.", in.NextToken)
	}
	networks, err := s.ofAccount(c.Snapshot, c.Account)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, n := range networks {
		for _, r := range n.rules {
			if r.Spec.PrefixList == f.it.ID {
				ids = append(ids, r.Group)
			}
		}
		for _, t := range n.tables {
			if slices.ContainsFunc(t.Routes, func(r route) bool { return r.List == f.it.ID }) {
				ids = append(ids, t.ID)
			}
		}
		for _, e := range n.endpoints {
			if e.Gateway && s.prefixList(e.Service) == f.it.ID {
				ids = append(ids, e.RouteTables...)
			}
		}
	}
	out := &ec2.GetManagedPrefixListAssociationsOutput{}
	for _, id := range unique(ids) {
		if id <= string(after) {
			continue
		}
		if n := len(out.PrefixListAssociations); n == limited(in.MaxResults, maxListPage) {
			out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(out.PrefixListAssociations[n-1].ResourceId))
			break
		}
		out.PrefixListAssociations = append(out.PrefixListAssociations, ec2.PrefixListAssociation{ResourceId: id, ResourceOwner: c.Account})
	}
	return out, nil
}
