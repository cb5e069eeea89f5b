package ec2

import (
	"cmp"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// A Survey is a VPC as the machine obeys it, with what people call its parts and
// what is there without effect: for an explanation, or a drawing.
type Survey struct {
	Model    *netmodel.VPC
	Internet string            // id of the internet gateway that is attached
	Names    map[string]string // of groups their names, of all else the tag Name; by id
	ACLs     map[string]string // by subnet, also where the model has none as everything passes
	Rules    []SurveyedRule    // in the order of their ids
	Leads    map[string][]Lead // by endpoint of an endpoint service, and by the address that such a service dials from
	Services map[string]string // the service, as AWS names it, of an endpoint or a dialer
	Policies map[string]bool   // endpoints with a policy that somebody put
	Idle     map[string]string // by endpoint, NAT gateway or attachment: why the model has none
}

// A SurveyedRule is one line of a security group.
type SurveyedRule struct {
	ID, Group   string
	Egress      bool
	Rule        netmodel.Rule
	Description string
}

// A Lead is where an endpoint service sends what comes to a port: to an interface
// of a VPC, or to a site that the operator approved.
type Lead struct {
	Port                 uint16
	VPC, Interface, Site string
}

// Survey describes a VPC. A missing one is ErrNoVPC.
func (s *Service) Survey(q store.Querier, vpcID string) (*Survey, error) {
	n, err := s.network(q, vpcID)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, ErrNoVPC
	}
	v := &Survey{
		Model: s.model(n), Names: map[string]string{}, ACLs: map[string]string{}, Leads: map[string][]Lead{},
		Services: map[string]string{}, Policies: map[string]bool{}, Idle: map[string]string{},
	}
	v.name(n)
	for _, o := range n.subnets {
		v.ACLs[o.ID] = n.aclOf(o).ID
	}
	if n.internet != nil {
		v.Internet = n.internet.ID
	}
	for _, r := range n.rules {
		v.Rules = append(v.Rules, SurveyedRule{r.ID, r.Group, r.Egress, r.Spec.model(), r.Description})
	}
	for _, e := range n.endpoints {
		v.Policies[e.ID] = e.Policy != ""
		v.Services[e.ID] = s.surveyedService(e.Service)
		if !n.served(e) {
			v.Idle[e.ID] = "its endpoint service serves nothing by it: it is " + cmp.Or(e.State, "without targets")
		}
		v.Leads[e.ID] = n.leadsOf(e.Service)
	}
	for _, i := range n.interfaces {
		if i.Dialer != "" {
			v.Services[i.ID] = s.surveyedService(i.Dialer)
			v.Leads[i.ID] = where(n.leadsOf(i.Dialer), func(l Lead) bool { return l.VPC == vpcID })
		}
	}
	for _, g := range n.nats {
		if _, ok := n.modelNAT(g); !ok {
			v.Idle[g.ID] = "a NAT gateway works only if it is public, and its own subnet routes 0.0.0.0/0 to the VPC's internet gateway"
		}
	}
	for _, a := range n.attachments {
		if a.State != attachmentAvailable {
			v.Idle[a.ID] = "the attachment is " + a.State
		}
	}
	return v, nil
}

// surveyedService is what AWS calls an endpoint's service.
func (s *Service) surveyedService(service string) string {
	if kindService.names(service) {
		return "com.amazonaws.vpce." + s.Region + "." + service
	}
	return s.serviceName(service)
}

// leadsOf are where an endpoint service leads; none for another service.
func (n *network) leadsOf(service string) []Lead {
	var out []Lead
	if o := n.services[service]; o != nil {
		for _, t := range o.Targets {
			out = append(out, Lead{t.Port, t.VPC, t.Interface, t.Site})
		}
	}
	return out
}

// name collects what people call things.
func (v *Survey) name(n *network) {
	for _, g := range n.groups {
		v.Names[g.ID] = g.Name
	}
	v.tag(n.vpc)
	tagAll(v, n.subnets)
	tagAll(v, n.tables)
	tagAll(v, n.acls)
	tagAll(v, n.endpoints)
	tagAll(v, n.nats)
	tagAll(v, n.interfaces)
	tagAll(v, n.lists)
}

func tagAll[T object](v *Survey, list []T) {
	for _, o := range list {
		v.tag(o)
	}
}

func (v *Survey) tag(o object) {
	if name := o.head().Tags["Name"]; name != "" {
		v.Names[o.head().ID] = name
	}
}

// ServiceNames are the names that clients look for a service under, "*." standing
// for one label; none for what is not offered here.
func (s *Service) ServiceNames(service string) []string {
	names := offered()[service]
	if names == nil {
		return nil
	}
	return names(s.Region)
}
