package ec2

import (
	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/ec2"
)

func (s *Service) transitOperations() []api.Operation {
	return []api.Operation{
		makes(api.Write("CreateTransitGateway", s.newTransit, s.createTransit)),
		api.Read("DescribeTransitGateways", listed[ec2.DescribeTransitGatewaysInput]("DescribeTransitGateways"), s.describeTransits),
		api.Write("ModifyTransitGateway", s.changedTransit, s.modifyTransit),
		api.Write("DeleteTransitGateway", s.deletedTransit, s.deleteTransit),

		makes(api.Write("CreateTransitGatewayVpcAttachment", s.newAttachment, s.createAttachment)),
		api.Read("DescribeTransitGatewayVpcAttachments", listed[ec2.DescribeTransitGatewayVpcAttachmentsInput]("DescribeTransitGatewayVpcAttachments"), s.describeVPCAttachments),
		api.Read("DescribeTransitGatewayAttachments", listed[ec2.DescribeTransitGatewayAttachmentsInput]("DescribeTransitGatewayAttachments"), s.describeAttachments),
		api.Write("ModifyTransitGatewayVpcAttachment", s.changedAttachment, s.modifyAttachment),
		api.Write("AcceptTransitGatewayVpcAttachment", s.acceptedAttachment, s.acceptAttachment),
		api.Write("RejectTransitGatewayVpcAttachment", s.rejectedAttachment, s.rejectAttachment),
		api.Write("DeleteTransitGatewayVpcAttachment", s.deletedAttachment, s.deleteAttachment),

		makes(api.Write("CreateTransitGatewayRouteTable", s.newTransitTable, s.createTransitTable)),
		api.Read("DescribeTransitGatewayRouteTables", listed[ec2.DescribeTransitGatewayRouteTablesInput]("DescribeTransitGatewayRouteTables"), s.describeTransitTables),
		api.Write("DeleteTransitGatewayRouteTable", s.deletedTransitTable, s.deleteTransitTable),
		api.Write("AssociateTransitGatewayRouteTable", s.newTransitAssociation, s.associateTransitTable),
		api.Write("DisassociateTransitGatewayRouteTable", s.endedTransitAssociation, s.disassociateTransitTable),
		api.Write("EnableTransitGatewayRouteTablePropagation", s.newPropagation, s.enablePropagation),
		api.Write("DisableTransitGatewayRouteTablePropagation", s.endedPropagation, s.disablePropagation),
		api.Read("GetTransitGatewayRouteTableAssociations",
			listed[ec2.GetTransitGatewayRouteTableAssociationsInput]("GetTransitGatewayRouteTableAssociations"), s.transitTableAssociations),
		api.Read("GetTransitGatewayRouteTablePropagations",
			listed[ec2.GetTransitGatewayRouteTablePropagationsInput]("GetTransitGatewayRouteTablePropagations"), s.transitTablePropagations),
		api.Read("GetTransitGatewayAttachmentPropagations",
			listed[ec2.GetTransitGatewayAttachmentPropagationsInput]("GetTransitGatewayAttachmentPropagations"), s.attachmentPropagations),

		api.Write("CreateTransitGatewayRoute", s.newTransitRoute, s.createTransitRoute),
		api.Write("ReplaceTransitGatewayRoute", s.replacedTransitRoute, s.replaceTransitRoute),
		api.Write("DeleteTransitGatewayRoute", s.deletedTransitRoute, s.deleteTransitRoute),
		api.Read("SearchTransitGatewayRoutes", s.searchedRoutes, s.searchRoutes),
	}
}
