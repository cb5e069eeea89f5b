// Package ec2 is the part of the EC2 API that makes private networks: VPCs,
// subnets, route tables, network ACLs, security groups, prefix lists, VPC endpoints
// and services for them, gateways, network interfaces and flow logs.
//
// What people create here is rows; Model turns a VPC's rows into a netmodel, Run
// has the host obey it, and authz asks EndpointPolicy what a call that came through
// an endpoint may do. Nothing is stored that the machine would not enforce: what
// AWS knows and Bawn does not is refused by name.
//
// It trusts package api to have decided every demand that a resolver states, and
// the store. Whoever controls requests changes the networks that his policies let
// him, and of his own account only: another account's id looks the same as one that
// does not exist, unless its owner shares what it names. He cannot name a host
// address. A link to another account's network takes both owners; a way out, and a
// site outside of all networks, is opened by the operator and by no call.
package ec2

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/cache"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// Config is what the service is made of.
type Config struct {
	Region string
	// Logs takes the lines of flow logs. Without it none can be created.
	Logs LogSink
	// Now is the clock for what no call makes; nil is the machine's.
	Now func() time.Time
	// Accounts lists those that are given a default VPC, and Happened, the door's, makes
	// and records it. Without both none is made unless somebody asks.
	Accounts func(context.Context, store.Querier) ([]string, error)
	Happened func(context.Context, api.Event, func(*store.Tx) error) error
	// Catalogue knows the actions and condition keys that an endpoint policy may
	// name; nil judges none.
	Catalogue policy.Catalogue
	// SameOrganization says whether two accounts are of one organization, and notes on
	// q what it read: a transit gateway is for its owner's organization. Without it
	// every account is alone.
	SameOrganization func(ctx context.Context, q store.Querier, a, b string) (bool, error)
}

// Service is the VPC part of EC2. It implements authz.Endpoints.
type Service struct {
	Config
	networks *cache.Cache[string, *network]        // by VPC id
	policies *cache.Cache[string, []policy.Doc]    // by endpoint id
	judges   *cache.Cache[string, *netmodel.Judge] // by VPC id
	applied  *applied                              // of VPCs
	transits *applied
	wake     chan struct{}

	mu     sync.Mutex
	failed map[string]string // flow log id to why its last delivery failed
	left   map[string]leaver // by interface id
}

// How many entries the caches hold.
const (
	cachedNetworks = 256
	cachedPolicies = 1024
)

// New makes the service. It needs a region.
func New(cfg Config) (*Service, error) {
	if cfg.Region == "" {
		return nil, errors.New("ec2: a region is needed")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{
		Config:   cfg,
		networks: cache.New[string, *network](cachedNetworks, nil),
		policies: cache.New[string, []policy.Doc](cachedPolicies, nil),
		judges:   cache.New[string, *netmodel.Judge](cachedNetworks, nil),
		applied:  newApplied(),
		transits: newApplied(),
		wake:     make(chan struct{}, 1),
		failed:   map[string]string{},
		left:     map[string]leaver{},
	}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	all := s.operations()
	for i := range all {
		all[i] = all[i].Rehearses(dryRun, rehearsed)
	}
	return &api.Service{Model: ec2.Model(), Prefix: "ec2", Operations: all, Resolver: s.Resolve}
}

// rehearsed is what a request with DryRun hears that would have been granted.
var rehearsed = &api.Error{Code: "DryRunOperation", Status: 412, Message: "Request would have succeeded, but DryRun flag is set."}

// dryRun says whether a request has its parameter of that name set.
func dryRun(in any) bool {
	field := reflect.ValueOf(in).Elem().FieldByName("DryRun")
	if !field.IsValid() {
		return false
	}
	set, _ := field.Interface().(*bool)
	return set != nil && *set
}

func (s *Service) operations() []api.Operation {
	return append([]api.Operation{
		makes(api.Write("CreateVpc", s.newVPC, s.createVPC)),
		api.Read("DescribeVpcs", listed[ec2.DescribeVpcsInput]("DescribeVpcs"), s.describeVPCs),
		api.Read("DescribeVpcAttribute", s.readAttribute, s.describeVPCAttribute),
		api.Write("ModifyVpcAttribute", s.changedAttribute, s.modifyVPCAttribute),
		api.Write("DeleteVpc", s.deletedVPC, s.deleteVPC),
		api.Write("AssociateVpcCidrBlock", s.widenedVPC, s.associateVPCCidrBlock),
		api.Write("DisassociateVpcCidrBlock", s.narrowedVPC, s.disassociateVPCCidrBlock),
		api.Write("CreateDefaultVpc", listed[ec2.CreateDefaultVpcInput]("CreateDefaultVpc"), s.createDefaultVPC),
		api.Write("CreateDefaultSubnet", listed[ec2.CreateDefaultSubnetInput]("CreateDefaultSubnet"), s.createDefaultSubnet),
		api.Read("DescribeAvailabilityZones", listed[ec2.DescribeAvailabilityZonesInput]("DescribeAvailabilityZones"), s.describeAvailabilityZones),
		api.Read("DescribeRegions", listed[ec2.DescribeRegionsInput]("DescribeRegions"), s.describeRegions),
		api.Read("DescribeAccountAttributes", listed[ec2.DescribeAccountAttributesInput]("DescribeAccountAttributes"), s.describeAccountAttributes),
		api.Read("DescribeDhcpOptions", listed[ec2.DescribeDhcpOptionsInput]("DescribeDhcpOptions"), s.describeDHCPOptions),

		makes(api.Write("CreateSubnet", s.newSubnet, s.createSubnet)),
		api.Read("DescribeSubnets", listed[ec2.DescribeSubnetsInput]("DescribeSubnets"), s.describeSubnets),
		api.Write("DeleteSubnet", s.deletedSubnet, s.deleteSubnet),

		makes(api.Write("CreateNetworkAcl", s.newACL, s.createNetworkACL)),
		api.Read("DescribeNetworkAcls", listed[ec2.DescribeNetworkAclsInput]("DescribeNetworkAcls"), s.describeNetworkACLs),
		api.Write("DeleteNetworkAcl", s.deletedACL, s.deleteNetworkACL),
		api.Write("CreateNetworkAclEntry", s.newEntry, s.createNetworkACLEntry),
		api.Write("ReplaceNetworkAclEntry", s.changedEntry, s.replaceNetworkACLEntry),
		api.Write("DeleteNetworkAclEntry", s.deletedEntry, s.deleteNetworkACLEntry),
		api.Write("ReplaceNetworkAclAssociation", s.replacedJoint, s.replaceNetworkACLAssociation),

		makes(api.Write("CreateRouteTable", s.newTable, s.createRouteTable)),
		api.Read("DescribeRouteTables", listed[ec2.DescribeRouteTablesInput]("DescribeRouteTables"), s.describeRouteTables),
		api.Write("AssociateRouteTable", s.newAssociation, s.associateRouteTable),
		api.Write("DisassociateRouteTable", s.endedAssociation, s.disassociateRouteTable),
		api.Write("ReplaceRouteTableAssociation", s.replacedAssociation, s.replaceRouteTableAssociation),
		api.Write("CreateRoute", s.newRoute, s.createRoute),
		api.Write("ReplaceRoute", s.changedRoute, s.replaceRoute),
		api.Write("DeleteRoute", s.deletedRoute, s.deleteRoute),
		api.Write("DeleteRouteTable", s.deletedTable, s.deleteRouteTable),

		makes(api.Write("CreateSecurityGroup", s.newGroup, s.createSecurityGroup)),
		api.Read("DescribeSecurityGroups", listed[ec2.DescribeSecurityGroupsInput]("DescribeSecurityGroups"), s.describeSecurityGroups),
		api.Write("DeleteSecurityGroup", s.deletedGroup, s.deleteSecurityGroup),
		makes(api.Write("AuthorizeSecurityGroupIngress", s.newIngress, s.authorizeIngress)),
		makes(api.Write("AuthorizeSecurityGroupEgress", s.newEgress, s.authorizeEgress)),
		api.Write("RevokeSecurityGroupIngress", s.oldIngress, s.revokeIngress),
		api.Write("RevokeSecurityGroupEgress", s.oldEgress, s.revokeEgress),
		api.Write("ModifySecurityGroupRules", s.changedRules, s.modifySecurityGroupRules),
		api.Write("UpdateSecurityGroupRuleDescriptionsIngress", s.describedIngress, s.describeIngress),
		api.Write("UpdateSecurityGroupRuleDescriptionsEgress", s.describedEgress, s.describeEgress),
		api.Read("DescribeSecurityGroupRules", listed[ec2.DescribeSecurityGroupRulesInput]("DescribeSecurityGroupRules"), s.describeSecurityGroupRules),

		makes(api.Write("CreateVpcEndpoint", s.newEndpoint, s.createVPCEndpoint)),
		api.Read("DescribeVpcEndpoints", listed[ec2.DescribeVpcEndpointsInput]("DescribeVpcEndpoints"), s.describeVPCEndpoints),
		api.Write("ModifyVpcEndpoint", s.changedEndpoint, s.modifyVPCEndpoint),
		api.Write("DeleteVpcEndpoints", s.deletedEndpoints, s.deleteVPCEndpoints),

		makes(api.Write("CreateInternetGateway", s.newInternetGateway, s.createInternetGateway)),
		api.Read("DescribeInternetGateways", listed[ec2.DescribeInternetGatewaysInput]("DescribeInternetGateways"), s.describeInternetGateways),
		api.Write("AttachInternetGateway", s.attachedGateway, s.attachInternetGateway),
		api.Write("DetachInternetGateway", s.detachedGateway, s.detachInternetGateway),
		api.Write("DeleteInternetGateway", s.deletedInternetGateway, s.deleteInternetGateway),
		makes(api.Write("CreateNatGateway", s.newNAT, s.createNATGateway)),
		api.Read("DescribeNatGateways", listed[ec2.DescribeNatGatewaysInput]("DescribeNatGateways"), s.describeNATGateways),
		api.Write("DeleteNatGateway", s.deletedNAT, s.deleteNATGateway),

		api.Read("DescribeVpcEndpointServices", listed[ec2.DescribeVpcEndpointServicesInput]("DescribeVpcEndpointServices"), s.describeEndpointServices),
		makes(api.Write("CreateVpcEndpointServiceConfiguration", s.newEndpointService, s.createEndpointService)),
		api.Read("DescribeVpcEndpointServiceConfigurations", listed[ec2.DescribeVpcEndpointServiceConfigurationsInput]("DescribeVpcEndpointServiceConfigurations"), s.describeEndpointServiceConfigurations),
		api.Write("ModifyVpcEndpointServiceConfiguration", s.changedEndpointService, s.modifyEndpointService),
		api.Write("DeleteVpcEndpointServiceConfigurations", s.deletedEndpointServices, s.deleteEndpointServices),
		api.Read("DescribeVpcEndpointServicePermissions", s.permissionsOf, s.describePermissions),
		api.Write("ModifyVpcEndpointServicePermissions", s.changedPermissions, s.modifyPermissions),
		api.Read("DescribeVpcEndpointConnections", listed[ec2.DescribeVpcEndpointConnectionsInput]("DescribeVpcEndpointConnections"), s.describeConnections),
		api.Write("AcceptVpcEndpointConnections", s.acceptedConnections, s.acceptConnections),
		api.Write("RejectVpcEndpointConnections", s.rejectedConnections, s.rejectConnections),

		api.Write("CreateFlowLogs", s.newFlowLogs, s.createFlowLogs).Demands("ec2:CreateFlowLogs", "ec2:CreateTags", "iam:PassRole"),
		api.Read("DescribeFlowLogs", listed[ec2.DescribeFlowLogsInput]("DescribeFlowLogs"), s.describeFlowLogs),
		api.Write("DeleteFlowLogs", s.deletedFlowLogs, s.deleteFlowLogs),

		api.Read("DescribeNetworkInterfaces", listed[ec2.DescribeNetworkInterfacesInput]("DescribeNetworkInterfaces"), s.describeNetworkInterfaces),
		api.Read("DescribeNetworkInterfaceAttribute", s.readInterface, s.describeNetworkInterfaceAttribute),
		api.Write("ModifyNetworkInterfaceAttribute", s.changedInterface, s.modifyNetworkInterfaceAttribute),
		makes(api.Write("CreateManagedPrefixList", s.newList, s.createManagedPrefixList)),
		api.Read("DescribeManagedPrefixLists", listed[ec2.DescribeManagedPrefixListsInput]("DescribeManagedPrefixLists"), s.describeManagedPrefixLists),
		api.Read("DescribePrefixLists", listed[ec2.DescribePrefixListsInput]("DescribePrefixLists"), s.describePrefixLists),
		api.Read("GetManagedPrefixListEntries", s.entriesOf, s.getManagedPrefixListEntries),
		api.Read("GetManagedPrefixListAssociations", s.associationsOf, s.getManagedPrefixListAssociations),
		api.Write("ModifyManagedPrefixList", s.changedList, s.modifyManagedPrefixList),
		api.Write("RestoreManagedPrefixListVersion", s.restoredList, s.restoreManagedPrefixListVersion),
		api.Write("DeleteManagedPrefixList", s.deletedList, s.deleteManagedPrefixList),

		api.Write("CreateTags", s.tagged, s.createTags),
		api.Write("DeleteTags", s.untagged, s.deleteTags),
		api.Read("DescribeTags", listed[ec2.DescribeTagsInput]("DescribeTags"), s.describeTags),
	}, s.transitOperations()...)
}

// makes marks an operation that can tag what it makes.
func makes(o api.Operation) api.Operation { return o.Demands("ec2:"+o.Name, "ec2:CreateTags") }
