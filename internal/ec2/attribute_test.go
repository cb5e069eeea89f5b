package ec2

import (
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// Who may not change one thing of a resource is refused that, and nothing else of it.
func TestWhatIsChangedIsAConditionKey(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	yes := &ec2.AttributeBooleanValue{Value: ptr(true)}
	calls := map[string]func(who *apitest.Caller) *api.Error{
		"EnableDnsSupport": func(who *apitest.Caller) *api.Error {
			_, err := apitest.Call[ec2.ModifyVpcAttributeOutput](t, who, "ec2:ModifyVpcAttribute", &ec2.ModifyVpcAttributeInput{VpcId: id["vpc"], EnableDnsSupport: yes})
			return err
		},
		"EnableDnsHostnames": func(who *apitest.Caller) *api.Error {
			_, err := apitest.Call[ec2.ModifyVpcAttributeOutput](t, who, "ec2:ModifyVpcAttribute", &ec2.ModifyVpcAttributeInput{VpcId: id["vpc"], EnableDnsHostnames: yes})
			return err
		},
	}
	endpoint := apitest.Must[ec2.CreateVpcEndpointOutput](t, b.admin, "ec2:CreateVpcEndpoint",
		&ec2.CreateVpcEndpointInput{VpcId: id["vpc"], ServiceName: "com.amazonaws." + apitest.Region + ".s3"}).VpcEndpoint.VpcEndpointId
	calls["ResetPolicy"] = func(who *apitest.Caller) *api.Error {
		_, err := apitest.Call[ec2.ModifyVpcEndpointOutput](t, who, "ec2:ModifyVpcEndpoint", &ec2.ModifyVpcEndpointInput{VpcEndpointId: endpoint, ResetPolicy: ptr(true)})
		return err
	}
	gateway := apitest.Must[ec2.CreateTransitGatewayOutput](t, b.admin, "ec2:CreateTransitGateway", &ec2.CreateTransitGatewayInput{}).TransitGateway.TransitGatewayId
	calls["Options"] = func(who *apitest.Caller) *api.Error {
		_, err := apitest.Call[ec2.ModifyTransitGatewayOutput](t, who, "ec2:ModifyTransitGateway",
			&ec2.ModifyTransitGatewayInput{TransitGatewayId: gateway, Options: &ec2.ModifyTransitGatewayOptions{AutoAcceptSharedAttachments: "enable"}})
		return err
	}
	eni := reservation(t, b, id)
	off := b.User(t, apitest.Account, "off", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
		{"Effect":"Deny","Action":"ec2:Modify*","Resource":"*","Condition":{"ArnLike":{"ec2:Subnet":"arn:aws:ec2:*:*:subnet/`+id["a"]+`"}}}]}`)
	if _, err := apitest.Call[ec2.ModifyNetworkInterfaceAttributeOutput](t, off, "ec2:ModifyNetworkInterfaceAttribute",
		&ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: eni, Description: &ec2.AttributeValue{Value: "x"}}); err == nil || err.Code != "AccessDenied" {
		t.Errorf("who may change nothing in a subnet changes an interface there: %v", err)
	}
	for name := range calls {
		who := b.User(t, apitest.Account, "not-"+name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:Modify*","Resource":"*","Condition":{"StringEquals":{"ec2:Attribute":"`+name+`"}}}]}`)
		for other, call := range calls {
			err := call(who)
			if denied := err != nil && err.Code == "AccessDenied"; denied != (other == name) || err != nil && !denied {
				t.Errorf("who may not change %s changes %s: %v", name, other, err)
			}
		}
	}
}

// reservation is the interface of a workload in the first subnet.
func reservation(t *testing.T, b *bench, id map[string]string) (eni string) {
	t.Helper()
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		n, err := load(tx, id["vpc"])
		if err != nil {
			return err
		}
		i, _, err := b.service.Reserve(t.Context(), tx, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{id["a"]}, SecurityGroupIDs: []string{n.defaultGroup().ID}, Workload: "job", Owner: "arn:job", Service: "sagemaker",
		})
		eni = i.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return eni
}
