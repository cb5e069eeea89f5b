package ec2

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A prefixList is a customer's managed prefix list: a named set of ranges that
// rules and routes name. It belongs to no VPC. Its entries are rows of their own, one
// for each version.
type prefixList struct {
	meta
	Name    string `json:"name"`
	Max     int32  `json:"max"`
	Version int64  `json:"version"`
	State   string `json:"state"` // that the last change left, as EC2 calls it

	entries []prefixEntry // of the current version, where a network names the list
}

func (*prefixList) kind() *kind { return kindList }

type prefixEntry struct {
	CIDR        netip.Prefix `json:"cidr"`
	Description string       `json:"description,omitzero"`
}

// prefixes are the ranges of the current version.
func (l *prefixList) prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, e := range l.entries {
		out = append(out, e.CIDR)
	}
	return out
}

// Limits on prefix lists. AWS keeps 1,000 versions; here each is kept whole.
const (
	maxLists       = 100 // of an account
	maxListEntries = 1000
	maxVersions    = 20 // of a list
)

// readEntries reads the entries of one version of a list, by range; there are none
// of a version that is not kept.
func readEntries(q store.Querier, id string, version int64) (entries []prefixEntry, kept bool, err error) {
	texts, err := store.Collect(q, func(r *store.Rows) (text string, err error) { return text, r.Scan(&text) },
		"SELECT entries FROM ec2_list_versions WHERE list = ? AND version = ?", id, version)
	if err != nil || len(texts) == 0 {
		return nil, false, err
	}
	return entries, true, json.Unmarshal([]byte(texts[0]), &entries, json.RejectUnknownMembers(true))
}

// fill reads the entries of the current version.
func (l *prefixList) fill(q store.Querier) (err error) {
	l.entries, _, err = readEntries(q, l.ID, l.Version)
	return err
}

// keep writes entries as the current version of a list, and forgets the oldest.
func (l *prefixList) keep(tx *store.Tx, entries []prefixEntry) error {
	slices.SortFunc(entries, func(a, b prefixEntry) int {
		return cmp.Or(a.CIDR.Addr().Compare(b.CIDR.Addr()), cmp.Compare(a.CIDR.Bits(), b.CIDR.Bits()))
	})
	text, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM ec2_list_versions WHERE list = ? AND version <= ?", l.ID, l.Version-maxVersions); err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO ec2_list_versions (list, version, entries) VALUES (?, ?, ?)", l.ID, l.Version, string(text))
	return err
}

// extended adds entries, none of which may be there already.
func extended(there []prefixEntry, more []ec2.AddPrefixListEntry) ([]prefixEntry, error) {
	has := map[netip.Prefix]bool{}
	for _, e := range there {
		has[e.CIDR] = true
	}
	for _, e := range more {
		cidr, err := parseCIDR(e.Cidr, "cidr")
		switch {
		case err != nil:
			return nil, err
		case has[cidr]:
			return nil, invalidValue(e.Cidr, "cidr", "The prefix list has this entry already.")
		case utf8.RuneCountInString(e.Description) > maxText:
			return nil, invalidValue(e.Description, "description", "A description has at most 255 characters.")
		}
		has[cidr] = true
		there = append(there, prefixEntry{cidr, e.Description})
	}
	return there, nil
}

func checkList(name string, entries int32) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxText:
		return invalidValue(name, "prefixListName", "A name has 1 to 255 characters.")
	case strings.HasPrefix(strings.ToLower(name), "com.amazonaws"):
		return invalidValue(name, "prefixListName", "The name can't begin with com.amazonaws.")
	case entries < 1 || entries > maxListEntries:
		return invalidValue(entries, "maxEntries", "A prefix list has 1 to 1000 entries.")
	}
	return nil
}

func tooMany(l *prefixList, entries int) error {
	return fail("PrefixListMaxEntriesExceeded", "The prefix list %s would have %d entries; its maximum is %d.", l.ID, entries, l.Max)
}

func (s *Service) newList(_ context.Context, c *api.Call, in *ec2.CreateManagedPrefixListInput) (meta, []api.Demand, error) {
	m, demands := s.creation(c, "CreateManagedPrefixList", kindList, "", in.TagSpecifications)
	return m, demands, nil
}

func (s *Service) createManagedPrefixList(_ context.Context, c *api.Call, in *ec2.CreateManagedPrefixListInput, m meta) (api.Commit[ec2.CreateManagedPrefixListOutput], error) {
	if in.AddressFamily != "IPv4" {
		return nil, invalidValue(in.AddressFamily, "addressFamily", "Networks here are IPv4.")
	}
	if err := checkList(in.PrefixListName, in.MaxEntries); err != nil {
		return nil, err
	}
	l := &prefixList{meta: m, Name: in.PrefixListName, Max: in.MaxEntries, Version: 1, State: string(ec2.PrefixListStateCreateComplete)}
	entries, err := extended(nil, in.Entries)
	if err != nil {
		return nil, err
	}
	if len(entries) > int(l.Max) {
		return nil, tooMany(l, len(entries))
	}
	return func(tx *store.Tx) (*ec2.CreateManagedPrefixListOutput, error) {
		made, err := once(tx, c, "CreateManagedPrefixList", in.ClientToken, in, func() ([]string, error) {
			var count int
			if err := tx.QueryRow("SELECT count(*) FROM ec2_resources WHERE account = ? AND kind = ?", c.Account, kindList.name).Scan(&count); err != nil {
				return nil, err
			}
			if count >= maxLists {
				return nil, fail("PrefixListLimitExceeded", "The maximum number of prefix lists has been reached.")
			}
			if err := l.keep(tx, entries); err != nil {
				return nil, err
			}
			return []string{l.ID}, s.put(tx, l)
		})
		if err != nil {
			return nil, err
		}
		it, err := owned[*prefixList](tx, c.Account, made[0])
		if err != nil {
			return nil, err
		}
		return &ec2.CreateManagedPrefixListOutput{PrefixList: ptr(s.showList(it))}, nil
	}, nil
}
