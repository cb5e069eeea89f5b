package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/ec2"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// What leads out of VPCs is opened here, by the operator, and by no call of the AWS
// API: names for the members of a security group, and sites that an account may
// offer by its endpoint services.

// OutsideRequest is one of `bawn egress`.
type OutsideRequest struct {
	Operator string   `json:"operator"`
	Do       string   `json:"do"`            // allow, revoke, list
	ID       string   `json:"id,omitempty"`  // to revoke
	VPC      string   `json:"vpc,omitempty"` // to list; empty: all
	Group    string   `json:"group,omitempty"`
	Name     string   `json:"name,omitempty"`
	Ports    []uint16 `json:"ports,omitempty"`
	Budget   int64    `json:"budget,omitempty"` // bytes; 0: without limit
}

// OutsideRule is a rule as `bawn egress` shows it.
type OutsideRule struct {
	ID       string    `json:"id"`
	Account  string    `json:"account"`
	VPC      string    `json:"vpc"`
	Group    string    `json:"group"`
	Name     string    `json:"name"`
	Ports    []uint16  `json:"ports"`
	Budget   int64     `json:"budget,omitempty"`
	Used     int64     `json:"used"`
	Created  time.Time `json:"created"`
	Operator string    `json:"operator"`
}

func shownOutside(r *ec2.OutsideRule) OutsideRule {
	return OutsideRule{r.ID, r.Account, r.VPC, r.Group, r.Name, r.Ports, r.Budget, r.Used, r.Created.UTC(), r.Operator}
}

// Outside allows, revokes or lists what members of security groups may reach. A
// change and its record, which is in the trail of the group's account, are one.
func (s *Server) Outside(ctx context.Context, in OutsideRequest) ([]OutsideRule, error) {
	if in.Do == "list" {
		sn, err := s.store.Snapshot(ctx)
		if err != nil {
			return nil, err
		}
		defer sn.Close()
		all, err := s.ec2.ListOutside(sn, in.VPC)
		out := make([]OutsideRule, 0, len(all))
		for i := range all {
			out = append(out, shownOutside(&all[i]))
		}
		return out, errors.Join(err, s.administered(ctx, "ListEgress", in.Operator, in))
	}
	name, change := "AllowEgress", func(tx *store.Tx) (*ec2.OutsideRule, error) {
		return s.ec2.AllowOutside(tx, ec2.OutsideRule{Group: in.Group, Name: in.Name, Ports: in.Ports, Budget: in.Budget, Operator: in.Operator})
	}
	switch in.Do {
	case "allow":
	case "revoke":
		name, change = "RevokeEgress", func(tx *store.Tx) (*ec2.OutsideRule, error) { return s.ec2.RevokeOutside(tx, in.ID) }
	default:
		return nil, fmt.Errorf("egress: there is no %.40q", in.Do)
	}
	var out OutsideRule
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		r, err := change(tx)
		if err != nil {
			return err
		}
		out = shownOutside(r)
		group := trail.Resource{ARN: "arn:aws:ec2:" + s.cfg.Region + ":" + r.Account + ":security-group/" + r.Group, Account: r.Account, Type: "AWS::EC2::SecurityGroup"}
		return s.opened(ctx, tx, name, in.Operator, r.Account, out, group)
	})
	if err == nil && in.Do == "revoke" && s.places != nil {
		s.places.recheck(out.VPC) // without waiting for the machine
	}
	return []OutsideRule{out}, err
}

// SiteRequest is one of `bawn site`.
type SiteRequest struct {
	Operator string `json:"operator"`
	Do       string `json:"do"` // allow, revoke, list
	Account  string `json:"account,omitempty"`
	Name     string `json:"name,omitempty"`
	Host     string `json:"host,omitempty"`
	Port     uint16 `json:"port,omitempty"`
}

// Site is a site as `bawn site` shows it.
type Site struct {
	Account  string    `json:"account"`
	Name     string    `json:"name"`
	Host     string    `json:"host"`
	Port     uint16    `json:"port"`
	Target   string    `json:"target"` // as a NetworkLoadBalancerArn
	Created  time.Time `json:"created"`
	Operator string    `json:"operator"`
}

// Sites allows, revokes or lists what accounts may offer by endpoint services. A
// change and its record, which is in the trail of the account, are one.
func (s *Server) Sites(ctx context.Context, in SiteRequest) ([]Site, error) {
	var name string
	var change func(*store.Tx) error
	switch in.Do {
	case "list":
	case "allow":
		name, change = "AllowSite", func(tx *store.Tx) error {
			accounts, err := s.organizations.Accounts(tx)
			if err == nil && !slices.Contains(accounts, in.Account) {
				err = fmt.Errorf("there is no account %.40q", in.Account)
			}
			if err != nil {
				return err
			}
			return s.ec2.AllowSite(tx, ec2.Site{Account: in.Account, Name: in.Name, Host: in.Host, Port: in.Port, Operator: in.Operator})
		}
	case "revoke":
		name, change = "RevokeSite", func(tx *store.Tx) error { return s.ec2.RevokeSite(tx, in.Account, in.Name) }
	default:
		return nil, fmt.Errorf("site: there is no %.40q", in.Do)
	}
	if change != nil {
		if err := s.store.Update(ctx, func(tx *store.Tx) error {
			if err := change(tx); err != nil {
				return err
			}
			return s.opened(ctx, tx, name, in.Operator, in.Account, in)
		}); err != nil {
			return nil, err
		}
	} else if err := s.administered(ctx, "ListSites", in.Operator, in); err != nil {
		return nil, err
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	all, err := s.ec2.ListSites(sn, in.Account)
	out := make([]Site, 0, len(all))
	for _, site := range all {
		out = append(out, Site{
			site.Account, site.Name, site.Host, site.Port, "arn:aws:elasticloadbalancing:" + s.cfg.Region + ":" + site.Account + ":loadbalancer/net/site/" + site.Name,
			site.Created.UTC(), site.Operator,
		})
	}
	return out, err
}

// opened records, in the change itself, what the operator opened or closed for an account.
func (s *Server) opened(ctx context.Context, tx *store.Tx, name, operator, account string, what any, resources ...trail.Resource) error {
	parameters, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return s.trail.Append(tx, &trail.Record{
		EventTime: s.now(), EventSource: "bawn", EventName: name, Region: s.cfg.Region, Account: account,
		UserIdentity: trail.UserIdentity{Type: "Operator", PrincipalID: peerOf(ctx), UserName: operator, AccountID: s.cfg.AccountID},
		EventType:    "BawnAdministration", ManagementEvent: true, RequestParameters: parameters, Resources: resources,
	})
}
