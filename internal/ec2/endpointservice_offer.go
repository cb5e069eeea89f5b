package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A destination is what an endpoint that a call makes is to lead to. Without a
// service there is none of that name, as far as the caller may know.
type destination struct {
	name    string
	service string           // as endpoint.Service
	own     *endpointService // nil for a service of Bawn
}

// destination finds what a ServiceName names, such as com.amazonaws.us-east-1.kms. An
// endpoint service that does not admit the caller is none. A decision depends on it.
func (s *Service) destination(c *api.Call, name string) (*destination, error) {
	d := &destination{name: name}
	if service := s.offeredAs(name); service != "" {
		d.service = service
		return d, nil
	}
	id, ok := strings.CutPrefix(name, s.serviceName(""))
	if !ok || !kindService.names(id) {
		return d, nil
	}
	if _, err := c.Snapshot.Version(kindService.key(id)); err != nil {
		return nil, err
	}
	o, err := row(c.Snapshot, id)
	if err != nil {
		return nil, err
	}
	if v, ok := o.(*endpointService); ok && v.admits(c.Caller()) {
		d.service, d.own = v.ID, v
	}
	return d, nil
}

// owner is whose a service is, as the condition key ec2:VpceServiceOwner has it.
func (d *destination) owner() []string {
	switch {
	case d.service == "":
		return nil
	case d.own == nil:
		return []string{amazon}
	}
	return []string{d.own.Account}
}

const amazon = "amazon"

func noService(name string) *api.Error {
	return fail("InvalidServiceName", "The Vpc Endpoint Service '%.128s' does not exist", name)
}

// An offer is a service that an endpoint can be made for. Its id is its name.
type offer struct {
	meta
	service string
	own     *endpointService
}

func (*offer) kind() *kind { return kindService }

// offers are the services that a caller may make endpoints for.
func (s *Service) offers(q store.Querier, c *api.Call) ([]*offer, error) {
	var all []*offer
	for service := range offered() {
		all = append(all, &offer{meta: meta{ID: s.serviceName(service)}, service: service})
	}
	found, err := objects(q, "kind = ?", kindService.name)
	if err != nil {
		return nil, err
	}
	for _, o := range found {
		v := o.(*endpointService) // by its id it is of the kind
		if !v.admits(c.Caller()) {
			continue
		}
		of := &offer{meta: meta{ID: s.serviceName(v.ID), Account: v.Account}, service: v.ID, own: v}
		if v.Account == c.Account {
			of.Tags = v.Tags
		}
		all = append(all, of)
	}
	return all, nil
}

func (o *offer) types() []ec2.ServiceTypeDetail {
	var out []ec2.ServiceTypeDetail
	if o.own == nil && supports(o.service, ec2.VpcEndpointTypeGateway) {
		out = append(out, ec2.ServiceTypeDetail{ServiceType: ec2.ServiceTypeGateway})
	}
	return append(out, ec2.ServiceTypeDetail{ServiceType: ec2.ServiceTypeInterface})
}

func (o *offer) owner() string {
	if o.own == nil {
		return amazon
	}
	return o.own.Account
}

func (s *Service) showOffer(o *offer) ec2.ServiceDetail {
	out := ec2.ServiceDetail{
		ServiceName: o.ID, ServiceRegion: s.Region, ServiceType: o.types(), Owner: o.owner(), ManagesVpcEndpoints: ptr(false),
		AvailabilityZones: []string{s.zone()}, AvailabilityZoneIds: []string{s.zoneID()}, Tags: tagList(o.Tags),
		SupportedIpAddressTypes: []ec2.ServiceConnectivityType{ec2.ServiceConnectivityTypeIpv4},
	}
	if o.own != nil {
		out.ServiceId, out.AcceptanceRequired, out.VpcEndpointPolicySupported = o.own.ID, &o.own.Acceptance, ptr(false)
		out.BaseEndpointDnsNames = []string{o.own.ID + "." + s.Region + ".vpce.amazonaws.com"}
		return out
	}
	sum := sha256.Sum256([]byte("service " + o.ID))
	out.ServiceId, out.AcceptanceRequired, out.VpcEndpointPolicySupported = kindService.prefix+hex.EncodeToString(sum[:])[:idDigits], ptr(false), ptr(true)
	out.BaseEndpointDnsNames = []string{s.ownLabel(o.service) + ".vpce.amazonaws.com"}
	out.PrivateDnsNameVerificationState = ec2.DnsNameStateVerified
	for _, name := range offered()[o.service](s.Region) {
		out.PrivateDnsNames = append(out.PrivateDnsNames, ec2.PrivateDnsDetails{PrivateDnsName: name})
	}
	out.PrivateDnsName = out.PrivateDnsNames[0].PrivateDnsName
	return out
}

func (s *Service) describeEndpointServices(_ context.Context, c *api.Call, in *ec2.DescribeVpcEndpointServicesInput, _ struct{}) (*ec2.DescribeVpcEndpointServicesOutput, error) {
	all, err := s.offers(c.Snapshot, c)
	if err != nil {
		return nil, err
	}
	for _, name := range in.ServiceNames {
		if byID(all, name) == nil {
			return nil, noService(name)
		}
	}
	list, next, err := listRegional(c, regional[*offer, ec2.ServiceDetail]{
		items: func(store.Querier, string) ([]*offer, error) { return all, nil },
		filters: map[string]func(*offer) []string{
			"owner":          func(o *offer) []string { return []string{o.owner()} },
			"service-name":   func(o *offer) []string { return []string{o.ID} },
			"service-region": func(*offer) []string { return []string{s.Region} },
			"service-type": func(o *offer) (out []string) {
				for _, t := range o.types() {
					out = append(out, string(t.ServiceType))
				}
				return out
			},
			"supported-ip-address-types": func(*offer) []string { return []string{"ipv4"} },
		},
		show: s.showOffer,
	}, ask{in.ServiceNames, in.Filters, in.MaxResults, in.NextToken})
	out := &ec2.DescribeVpcEndpointServicesOutput{ServiceDetails: list, NextToken: next}
	for _, d := range list {
		out.ServiceNames = append(out.ServiceNames, d.ServiceName)
	}
	return out, err
}
