package ec2

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"bawn.dev/internal/api"
)

// A kind is a sort of resource, with what AWS calls it in its places.
type kind struct {
	prefix string // of ids, with the hyphen
	name   string // in version keys
	arn    string // in ARNs
	record string // in records
	noun   string // in messages
	code   string // of the errors about its ids
	idKey  string // condition key that holds the id, if there is one
	empty  func() object
}

var (
	kindVPC         = &kind{"vpc-", "vpc", "vpc", "AWS::EC2::VPC", "vpc ID", "InvalidVpcID", "ec2:VpcID", func() object { return &vpc{} }}
	kindSubnet      = &kind{"subnet-", "subnet", "subnet", "AWS::EC2::Subnet", "subnet ID", "InvalidSubnetID", "ec2:SubnetID", func() object { return &subnet{} }}
	kindTable       = &kind{"rtb-", "route-table", "route-table", "AWS::EC2::RouteTable", "routeTable ID", "InvalidRouteTableID", "ec2:RouteTableID", func() object { return &table{} }}
	kindAssociation = &kind{"rtbassoc-", "association", "route-table-association", "AWS::EC2::SubnetRouteTableAssociation", "association ID", "InvalidAssociationID", "", func() object { return &association{} }}
	kindGroup       = &kind{"sg-", "security-group", "security-group", "AWS::EC2::SecurityGroup", "security group", "InvalidGroup", "ec2:SecurityGroupID", func() object { return &group{} }}
	kindRule        = &kind{"sgr-", "security-group-rule", "security-group-rule", "AWS::EC2::SecurityGroupRule", "security group rule ID", "InvalidSecurityGroupRuleId", "", func() object { return &rule{} }}
	kindEndpoint    = &kind{"vpce-", "endpoint", "vpc-endpoint", "AWS::EC2::VPCEndpoint", "Vpc Endpoint Id", "InvalidVpcEndpointId", "", func() object { return &endpoint{} }}
	kindInterface   = &kind{"eni-", "network-interface", "network-interface", "AWS::EC2::NetworkInterface", "networkInterface ID", "InvalidNetworkInterfaceID", "ec2:NetworkInterfaceID", func() object { return &networkInterface{} }}
	kindACL         = &kind{"acl-", "network-acl", "network-acl", "AWS::EC2::NetworkAcl", "networkAcl ID", "InvalidNetworkAclID", "ec2:NetworkAclID", func() object { return &acl{} }}
	kindList        = &kind{"pl-", "prefix-list", "prefix-list", "AWS::EC2::PrefixList", "prefix list ID", "InvalidPrefixListID", "", func() object { return &prefixList{} }}
	kindInternet    = &kind{"igw-", "internet-gateway", "internet-gateway", "AWS::EC2::InternetGateway", "internetGateway ID", "InvalidInternetGatewayID", "ec2:InternetGatewayID", func() object { return &internetGateway{} }}
	kindNAT         = &kind{"nat-", "natgateway", "natgateway", "AWS::EC2::NatGateway", "NAT gateway", "InvalidNatGatewayID", "", func() object { return &natGateway{} }}
	kindService     = &kind{"vpce-svc-", "endpoint-service", "vpc-endpoint-service", "AWS::EC2::VPCEndpointService", "VpcEndpointService Id", "InvalidVpcEndpointServiceId", "", func() object { return &endpointService{} }}
	kindTransit     = &kind{"tgw-", "transit-gateway", "transit-gateway", "AWS::EC2::TransitGateway", "Transit Gateway", "InvalidTransitGatewayID", "ec2:transitGatewayId", func() object { return &transitGateway{} }}
	kindAttachment  = &kind{"tgw-attach-", "transit-gateway-attachment", "transit-gateway-attachment", "AWS::EC2::TransitGatewayAttachment", "Transit Gateway Attachment", "InvalidTransitGatewayAttachmentID", "ec2:transitGatewayAttachmentId", func() object { return &attachment{} }}
	kindTransitTab  = &kind{"tgw-rtb-", "transit-gateway-route-table", "transit-gateway-route-table", "AWS::EC2::TransitGatewayRouteTable", "Transit Gateway Route Table", "InvalidRouteTableID", "ec2:transitGatewayRouteTableId", func() object { return &transitTable{} }}
	kindFlowLog     = &kind{"fl-", "flow-log", "vpc-flow-log", "AWS::EC2::FlowLog", "flow log ID", "InvalidFlowLogId", "", func() object { return &flowLog{} }}
)

func kinds() []*kind {
	return []*kind{
		kindVPC, kindSubnet, kindTable, kindAssociation, kindGroup, kindRule, kindEndpoint, kindInterface, kindFlowLog,
		kindACL, kindList, kindInternet, kindNAT, kindService, kindTransit, kindAttachment, kindTransitTab,
	}
}

// kindOf tells what an id would name; nil for none of these.
func kindOf(id string) *kind {
	for _, k := range kinds() {
		if k.names(id) {
			return k
		}
	}
	return nil
}

// names says whether id has the form of this kind's.
func (k *kind) names(id string) bool {
	digits, ok := strings.CutPrefix(id, k.prefix)
	return ok && len(digits) == idDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

const idDigits = 17

// newID is a fresh id, as long and as random as AWS's.
func (k *kind) newID() string {
	var b [(idDigits + 1) / 2]byte
	rand.Read(b[:])
	return k.prefix + hex.EncodeToString(b[:])[:idDigits]
}

// key is the version key of one resource.
func (k *kind) key(id string) string { return "ec2:" + k.name + "/" + id }

func (k *kind) missing(id string) *api.Error {
	return fail(k.code+".NotFound", "The %s '%s' does not exist", k.noun, id)
}

func (k *kind) malformed(id string) *api.Error {
	code := k.code
	switch {
	case id == "" && k == kindGroup:
		return missingParameter("groupId")
	case id == "" && k == kindSubnet:
		return missingParameter("subnetId")
	case k == kindGroup:
		code = "InvalidGroupId" // the one whose two errors AWS names differently
	}
	return fail(code+".Malformed", "Invalid id: \"%.64s\" (expecting \"%s...\")", id, k.prefix)
}

func (s *Service) arn(account string, k *kind, id string) string {
	return "arn:aws:ec2:" + s.Region + ":" + account + ":" + k.arn + "/" + id
}
