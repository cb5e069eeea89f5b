package ec2

import (
	"context"
	"fmt"

	"bawn.dev/internal/api"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// maxInterfaces is how many interfaces a VPC has.
const maxInterfaces = 4096

// Reserve makes a network interface for a workload, in the change that makes the
// workload. It answers the interface and its VPC; Ready waits until the machine
// obeys. Its refusals are for the world.
func (s *Service) Reserve(_ context.Context, tx *store.Tx, r api.Reservation) (netmodel.Interface, string, error) {
	none := netmodel.Interface{}
	if !netmodel.ValidID(r.Workload) || r.Service == "" {
		return none, "", fmt.Errorf("ec2: %.80q of %.80q is no workload", r.Workload, r.Service)
	}
	if len(r.SubnetIDs) == 0 || len(r.SecurityGroupIDs) == 0 {
		return none, "", fail("ValidationException", "Subnets and security groups are both needed.")
	}
	groups := unique(r.SecurityGroupIDs)
	if len(groups) > maxGroupsOfOne {
		return none, "", fail("SecurityGroupsPerInterfaceLimitExceeded", "An interface has at most %d security groups.", maxGroupsOfOne)
	}
	first, err := owned[*subnet](tx, r.Account, r.SubnetIDs[0])
	if err != nil {
		return none, "", err
	}
	n, err := loadUnruled(tx, first.VPC)
	if err != nil {
		return none, "", err
	}
	if n == nil {
		return none, "", kindVPC.missing(first.VPC)
	}
	for _, id := range groups {
		if byID(n.groups, id) == nil {
			return none, "", kindGroup.missing(id)
		}
	}
	for _, id := range r.SubnetIDs {
		if byID(n.subnets, id) == nil {
			return none, "", kindSubnet.missing(id)
		}
	}
	if len(n.interfaces) >= maxInterfaces {
		return none, "", fail("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached.")
	}
	taken := n.taken()
	for _, id := range r.SubnetIDs {
		a, ok := free(byID(n.subnets, id).CIDR, taken)
		if !ok {
			continue
		}
		i := &networkInterface{
			meta:   meta{ID: kindInterface.newID(), Account: r.Account, VPC: n.vpc.ID, Created: s.Now()},
			Subnet: id, Address: a, Groups: groups, MAC: newMAC(),
			Workload: r.Workload, Owner: r.Owner, Service: r.Service, Description: r.Description,
		}
		return i.model(), n.vpc.ID, s.put(tx, i)
	}
	return none, "", noAddress(r.SubnetIDs[0])
}

// owned finds a resource of an account inside a change.
func owned[T object](tx *store.Tx, account, id string) (T, error) {
	var none T
	o, err := row(tx, id)
	if err != nil {
		return none, err
	}
	it, ok := o.(T)
	if !ok || it.head().Account != account {
		return none, none.kind().missing(id)
	}
	return it, nil
}

// Release deletes a workload's interface, in the change that ends the workload. One
// that is gone already is no error; an endpoint's is refused.
func (s *Service) Release(tx *store.Tx, interfaceID string) error {
	o, err := row(tx, interfaceID)
	if err != nil || o == nil {
		return err
	}
	i, ok := o.(*networkInterface)
	if !ok || i.Workload == "" {
		return fmt.Errorf("ec2: %.64q is not a workload's interface", interfaceID)
	}
	gone := []object{i}
	n, err := loadUnruled(tx, i.VPC)
	if err != nil {
		return err
	}
	if n == nil {
		return kindVPC.missing(i.VPC)
	}
	for _, l := range n.flowLogsOf(i.ID) {
		gone = append(gone, l)
	}
	if err := s.touchTargets(tx, n, i.ID); err != nil {
		return err
	}
	s.leaves(i)
	return s.drop(tx, gone...)
}
