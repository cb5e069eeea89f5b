package ec2

import (
	"cmp"
	"slices"

	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// A Survey is a VPC as the machine obeys it, with what people call its parts and
// what is there without effect: for an explanation, or a drawing.
type Survey struct {
	Model    *netmodel.VPC
	Internet string              // id of the internet gateway that is attached
	Names    map[string]string   // of groups their names, of all else the tag Name; by id
	ACLs     map[string]string   // by subnet, also where the model has none as everything passes
	Rules    []SurveyedRule      // in the order of their ids
	Leads    map[string][]Lead   // by endpoint: where one of an endpoint service leads
	Services map[string]string   // by endpoint, the service that it is for, as AWS names it
	Policies map[string]bool     // endpoints with a policy that somebody put
	Idle     map[string]string   // by endpoint, NAT gateway or attachment: why the model has none
	Offers   map[string][]string // by interface: endpoint services of which it is a target
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
		Services: map[string]string{}, Policies: map[string]bool{}, Idle: map[string]string{}, Offers: map[string][]string{},
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
		v.Services[e.ID] = s.surveyedService(e)
		if !n.served(e) {
			v.Idle[e.ID] = "its endpoint service serves nothing by it: it is " + cmp.Or(e.State, "without targets")
		}
		if service := n.services[e.Service]; service != nil {
			for _, t := range service.Targets {
				v.Leads[e.ID] = append(v.Leads[e.ID], Lead{t.Port, t.VPC, t.Interface, t.Site})
			}
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
	for id, service := range n.services {
		for _, t := range service.Targets {
			if t.VPC == vpcID && !slices.Contains(v.Offers[t.Interface], id) {
				v.Offers[t.Interface] = append(v.Offers[t.Interface], id)
			}
		}
	}
	for _, offers := range v.Offers {
		slices.Sort(offers)
	}
	return v, nil
}

func (s *Service) surveyedService(e *endpoint) string {
	if kindService.names(e.Service) {
		return "com.amazonaws.vpce." + s.Region + "." + e.Service
	}
	return s.serviceName(e.Service)
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
