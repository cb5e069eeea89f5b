package ec2

import (
	"context"
	"fmt"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// At AWS the owner shares a gateway by Resource Access Manager, which gives the
// gateway a policy for other accounts. Here every gateway is shared with its
// owner's organization, and to all other accounts does not exist. An attachment is
// the VPC owner's, and the gateway's owner may do with it what is hers to do.

// mayJoin are the actions that the organization may take on a gateway.
var mayJoin = []string{"ec2:CreateTransitGatewayVpcAttachment"}

// mayRule are the actions that a gateway's owner may take on attachments of others.
var mayRule = []string{
	"ec2:AcceptTransitGatewayVpcAttachment", "ec2:RejectTransitGatewayVpcAttachment", "ec2:DeleteTransitGatewayVpcAttachment",
	"ec2:AssociateTransitGatewayRouteTable", "ec2:DisassociateTransitGatewayRouteTable",
	"ec2:EnableTransitGatewayRouteTablePropagation", "ec2:DisableTransitGatewayRouteTablePropagation",
	"ec2:CreateTransitGatewayRoute", "ec2:ReplaceTransitGatewayRoute",
}

// sharing is the policy that a share stands for. It leaves to an account's own
// policies which of its people may act.
func sharing(account string, actions []string) (*policy.Doc, error) {
	p, err := policy.Parse(fmt.Appendf(nil,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":["%s"],"Resource":"*"}]}`,
		account, strings.Join(actions, `","`)), policy.Resource)
	return &policy.Doc{Name: "transit gateway share", Policy: p}, err
}

// together says whether two accounts are one or of one organization.
func (s *Service) together(ctx context.Context, q store.Querier, a, b string) (bool, error) {
	if a == b || s.SameOrganization == nil {
		return a == b, nil
	}
	return s.SameOrganization(ctx, q, a, b)
}

// ofOther makes a found of what another account has and shares. Its tags are the
// owner's own affair.
func ofOther[T object](s *Service, c *api.Call, it T, actions []string) (*found[T], error) {
	m, k := it.head(), it.kind()
	shared, err := sharing(c.Account, actions)
	return &found[T]{
		it: it, keys: s.keys(m.Account, k, m.ID, "", nil),
		resource: api.Resource{ARN: s.arn(m.Account, k, m.ID), Account: m.Account, Type: k.record, Policy: shared},
	}, err
}

// findTransit is find for a gateway that the caller may attach VPCs to: of her
// account or of its organization.
func (s *Service) findTransit(ctx context.Context, c *api.Call, id string) (*found[*transitGateway], error) {
	f, err := find[*transitGateway](s, c, id)
	if err != nil || !f.missing() || f.malformed {
		return f, err
	}
	o, err := row(c.Snapshot, id)
	if err != nil {
		return nil, err
	}
	g, ok := o.(*transitGateway)
	if !ok {
		return f, nil
	}
	if ok, err = s.together(ctx, c.Snapshot, g.Account, c.Account); err != nil || !ok {
		return f, err
	}
	return ofOther(s, c, g, mayJoin)
}

// findAttachment is find for an attachment of the caller's VPC or to her gateway. It
// answers the gateway too.
func (s *Service) findAttachment(c *api.Call, id string) (*found[*attachment], *transitGateway, error) {
	f, err := find[*attachment](s, c, id)
	if err != nil || f.malformed {
		return f, nil, err
	}
	o, err := row(c.Snapshot, id)
	if err != nil {
		return nil, nil, err
	}
	a, ok := o.(*attachment)
	if !ok {
		return f, nil, nil
	}
	if o, err = row(c.Snapshot, a.VPC); err != nil {
		return nil, nil, err
	}
	g, ok := o.(*transitGateway)
	if !ok {
		return nil, nil, fmt.Errorf("ec2: %s is attached to no gateway", id)
	}
	if f.missing() && g.Account == c.Account {
		f, err = ofOther(s, c, a, mayRule)
	}
	return f, g, err
}

// visibleTransits are the gateways that an account sees.
func (s *Service) visibleTransits(ctx context.Context, q store.Querier, account string) ([]*transitGateway, error) {
	found, err := objects(q, "kind = ?", kindTransit.name)
	if err != nil {
		return nil, err
	}
	near := map[string]bool{account: true}
	var all []*transitGateway
	for _, o := range found {
		g := o.(*transitGateway)
		if _, known := near[g.Account]; !known {
			if near[g.Account], err = s.together(ctx, q, g.Account, account); err != nil {
				return nil, err
			}
		}
		if !near[g.Account] {
			continue
		}
		if g.Account != account {
			g.Tags = nil
		}
		all = append(all, g)
	}
	return all, nil
}

// An attached is an attachment as one of its two sides sees it.
type attached struct {
	*attachment
	gateway *transitGateway
	rules   bool // the side is the gateway's owner
}

// visibleAttachments are those of an account's VPCs and those to its gateways.
func (s *Service) visibleAttachments(q store.Querier, account string) ([]attached, error) {
	found, err := objects(q, "kind = ? AND (account = ? OR vpc IN (SELECT id FROM ec2_resources WHERE account = ? AND kind = ?))",
		kindAttachment.name, account, account, kindTransit.name)
	if err != nil {
		return nil, err
	}
	gateways := map[string]*transitGateway{}
	var all []attached
	for _, o := range found {
		a := o.(*attachment)
		if gateways[a.VPC] == nil {
			o, err := row(q, a.VPC)
			if err != nil {
				return nil, err
			}
			g, ok := o.(*transitGateway)
			if !ok {
				return nil, fmt.Errorf("ec2: %s is attached to no gateway", a.ID)
			}
			gateways[a.VPC] = g
		}
		g := gateways[a.VPC]
		if a.Account != account {
			a.Tags = nil
		}
		all = append(all, attached{a, g, g.Account == account})
	}
	return all, nil
}
