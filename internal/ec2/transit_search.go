package ec2

import (
	"context"
	"encoding/base64"
	"net/netip"
	"slices"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

// wayFilters are what routes can be searched by, besides their ranges.
var wayFilters = map[string]func(ec2.TransitGatewayRoute) []string{
	"attachment.resource-id":   ofLead(func(a ec2.TransitGatewayRouteAttachment) string { return a.ResourceId }),
	"attachment.resource-type": ofLead(func(a ec2.TransitGatewayRouteAttachment) string { return string(a.ResourceType) }),
	"attachment.transit-gateway-attachment-id": ofLead(func(a ec2.TransitGatewayRouteAttachment) string {
		return a.TransitGatewayAttachmentId
	}),
	"transit-gateway-attachment-id": ofLead(func(a ec2.TransitGatewayRouteAttachment) string { return a.TransitGatewayAttachmentId }),
	"state":                         func(r ec2.TransitGatewayRoute) []string { return []string{string(r.State)} },
	"type":                          func(r ec2.TransitGatewayRoute) []string { return []string{string(r.Type)} },
}

func ofLead(of func(ec2.TransitGatewayRouteAttachment) string) func(ec2.TransitGatewayRoute) []string {
	return func(r ec2.TransitGatewayRoute) (out []string) {
		for _, a := range r.TransitGatewayAttachments {
			out = append(out, of(a))
		}
		return out
	}
}

const longestMatch = "route-search.longest-prefix-match"

// matchFilters compare the range of a route with one that is asked for.
var matchFilters = map[string]func(route, asked netip.Prefix) bool{
	"route-search.exact-match":       func(route, asked netip.Prefix) bool { return route == asked },
	longestMatch:                     func(route, asked netip.Prefix) bool { return within(asked, route) }, // of these the longest
	"route-search.subnet-of-match":   func(route, asked netip.Prefix) bool { return within(route, asked) },
	"route-search.supernet-of-match": func(route, asked netip.Prefix) bool { return within(asked, route) },
}

func (s *Service) searchedRoutes(_ context.Context, c *api.Call, in *ec2.SearchTransitGatewayRoutesInput) (*found[*transitTable], []api.Demand, error) {
	return one[*transitTable](s, c, "SearchTransitGatewayRoutes", in.TransitGatewayRouteTableId)
}

// searchRoutes answers the routes in force that every filter matches, in the order
// of their ranges.
func (s *Service) searchRoutes(_ context.Context, c *api.Call, in *ec2.SearchTransitGatewayRoutesInput, f *found[*transitTable]) (*ec2.SearchTransitGatewayRoutesOutput, error) {
	if len(in.Filters) == 0 {
		return nil, missingParameter("Filters")
	}
	if len(in.Filters) > maxFilters {
		return nil, fail("FilterLimitExceeded", "A request has at most %d filters.", maxFilters)
	}
	t, err := loadTransit(c.Snapshot, f.it.VPC)
	if err != nil {
		return nil, err
	}
	all := t.ways(f.it)
	ways := all
	for _, filter := range in.Filters {
		match, err := searched(all, filter)
		if err != nil {
			return nil, err
		}
		ways = where(ways, match)
	}
	if ways, err = beyond(ways, in.NextToken); err != nil {
		return nil, err
	}
	out := &ec2.SearchTransitGatewayRoutesOutput{AdditionalRoutesAvailable: ptr(false)}
	limit := maxPage
	if in.MaxResults != nil {
		if *in.MaxResults < 1 {
			return nil, invalidValue(*in.MaxResults, "maxResults", "It must be at least 1.")
		}
		limit = min(limit, int(*in.MaxResults))
	}
	if len(ways) > limit {
		out.AdditionalRoutesAvailable = ptr(true)
		out.NextToken = base64.RawURLEncoding.EncodeToString([]byte(ways[limit-1].CIDR.String()))
		ways = ways[:limit]
	}
	for _, w := range ways {
		out.Routes = append(out.Routes, showWay(w))
	}
	return out, nil
}

// beyond are the routes after the page that a token ends, which need not be there any
// more.
func beyond(ways []transitWay, token string) ([]transitWay, error) {
	if token == "" {
		return ways, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		var last netip.Prefix
		if last, err = netip.ParsePrefix(string(text)); err == nil && last.Addr().Is4() {
			return where(ways, func(w transitWay) bool { return byRange(w.CIDR, last) > 0 }), nil
		}
	}
	return nil, fail("InvalidNextToken", "The token '%.64s' is invalid.", token)
}

// searched says which of a table's routes a filter matches, by any of its values.
func searched(all []transitWay, f ec2.Filter) (func(transitWay) bool, error) {
	if len(f.Values) == 0 {
		return nil, fail("InvalidParameterValue", "The filter '%.64s' has no value", f.Name)
	}
	if len(f.Values) > maxFilterValues {
		return nil, fail("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
	}
	if has := wayFilters[f.Name]; has != nil {
		return func(w transitWay) bool {
			return slices.ContainsFunc(has(showWay(w)), func(v string) bool {
				return slices.ContainsFunc(f.Values, func(pattern string) bool { return like(pattern, v) })
			})
		}, nil
	}
	match := matchFilters[f.Name]
	if match == nil {
		return nil, fail("InvalidParameterValue", "The filter '%.64s' is invalid", f.Name)
	}
	hit := map[netip.Prefix]bool{}
	for _, v := range f.Values {
		asked, err := askedRange(v)
		if err != nil {
			return nil, err
		}
		longest := netip.Prefix{}
		for _, w := range all {
			switch {
			case !match(w.CIDR, asked):
			case f.Name != longestMatch:
				hit[w.CIDR] = true
			case !longest.IsValid() || w.CIDR.Bits() > longest.Bits():
				longest = w.CIDR
			}
		}
		hit[longest] = true
	}
	return func(w transitWay) bool { return hit[w.CIDR] }, nil
}

// askedRange reads a range, or an address as one of its own.
func askedRange(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return parseCIDR(text, "Filters")
}
