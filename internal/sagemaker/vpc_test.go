package sagemaker

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/driver/drivertest"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/spec"
)

// inVPC is a request for a job in the house's VPC.
func (h *house) inVPC(name string) *shape.CreateTrainingJobInput {
	in := h.request(name)
	in.VpcConfig = &shape.VpcConfig{Subnets: []string{h.subnet}, SecurityGroupIds: []string{h.group}}
	return in
}

const openPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

// A job in a VPC reads and writes as if from its interface: what names the endpoint
// in a condition lets it in.
func TestThroughItsEndpoint(t *testing.T) {
	h := newHouse(t, only(train))
	h.private()
	id := h.endpoint(openPolicy)
	call[iamshape.PutRolePolicyOutput](h, h.admin, "iam:PutRolePolicy", &iamshape.PutRolePolicyInput{RoleName: "execution", PolicyName: "endpoint",
		PolicyDocument: document(`{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"` + id + `"}}}`)})
	h.finish(h.create(h.inVPC("inside")))
	h.ended("inside", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	for _, r := range h.Records(t, apitest.Account, "GetObject") {
		if strings.HasSuffix(r.UserIdentity.ARN, "/SageMaker") && r.VpcEndpointID != id {
			t.Errorf("an object was read through %q", r.VpcEndpointID)
		}
	}
	n := h.machine.lastOrder.Spec.Network
	if n.Mode != spec.VPC || n.VPCID != h.vpc || n.Interface.SubnetID != h.subnet || n.Interface.SecurityGroups[0] != h.group {
		t.Errorf("network %+v", n)
	}
	if h.released(n.Interface.ID) == false {
		t.Error("the interface was not given back")
	}

	h.finish(h.create(h.request("outside")))
	h.ended("outside", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "AccessDenied")
}

func (h *house) released(networkInterface string) bool {
	h.t.Helper()
	sn, err := h.Store.Snapshot(h.t.Context())
	h.must(err)
	defer sn.Close()
	_, verdict, err := h.ec2.Reach(sn, h.vpc, networkInterface, "s3")
	h.must(err)
	return strings.Contains(verdict.Why, "has no interface")
}

func TestEndpointPolicyRefuses(t *testing.T) {
	h := newHouse(t, only(train))
	h.private()
	h.endpoint(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::other/*"}]}`)
	h.finish(h.create(h.inVPC("walled")))
	h.ended("walled", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "AccessDenied")
}

func TestNoWayToS3(t *testing.T) {
	h := newHouse(t, only(train))
	h.private()
	id := h.create(h.inVPC("nowhere"))
	h.finish(id)
	h.ended("nowhere", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "ClientError: The job's VPC does not reach S3")
	if h.machine.starts["nowhere"] != 0 {
		t.Error("it ran")
	}
	if !h.released(h.job("nowhere").network.Interface.ID) {
		t.Error("its interface was not given back")
	}
}

func TestPlacesThatAreNot(t *testing.T) {
	h := newHouse(t, only(train))
	h.private()
	in := h.inVPC("wrong")
	in.VpcConfig.Subnets = []string{"subnet-00000000000000000"}
	refused(h, h.admin, in, "ValidationException", "subnet-00000000000000000")
	in = h.inVPC("wrong")
	group := h.group
	h.private() // another VPC
	in.VpcConfig.Subnets, in.VpcConfig.SecurityGroupIds = []string{h.subnet}, []string{group}
	h.finish(h.create(in))
	h.ended("wrong", shape.TrainingJobStatusFailed, shape.SecondaryStatusFailed, "The network interface could not be made")
}

// Only the workload that was told the path, at its own address, gets credentials, and
// only while all that they rest on is there.
func TestCredentials(t *testing.T) {
	told := make(chan string, 1)
	h := newHouse(t, only(func(p drivertest.Process, volume string) int {
		told <- variable(p, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") + " " + variable(p, "AWS_CA_BUNDLE")
		return untilTold(p, volume)
	}))
	h.private()
	h.endpoint(openPolicy)
	id := h.create(h.inVPC("minting"))
	if _, err := h.service.Mint(t.Context(), id); !errors.Is(err, api.ErrGone) {
		t.Errorf("before it runs: %v", err)
	}
	h.settle(id)
	path, bundle, _ := strings.Cut(<-told, " ")
	if bundle != "/opt/bawn/ca.pem" {
		t.Errorf("the CA bundle is %q", bundle)
	}
	address := h.job("minting").network.Interface.Address
	if path != h.service.CredentialsPath(id) || path == h.service.CredentialsPath(id+"x") || len(path) < 64 {
		t.Errorf("the path is %q", path)
	}
	if got, err := h.service.At(t.Context(), h.vpc, address); err != nil || got != id {
		t.Errorf("%s: %v", got, err)
	}
	for name, ask := range map[string]func() (string, error){
		"another address": func() (string, error) { return h.service.At(t.Context(), h.vpc, netip.MustParseAddr("10.0.0.77")) },
		"another VPC":     func() (string, error) { return h.service.At(t.Context(), "vpc-2", address) },
		"no address":      func() (string, error) { return h.service.At(t.Context(), h.vpc, netip.Addr{}) },
	} {
		if got, err := ask(); !errors.Is(err, api.ErrGone) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	c, err := h.service.Mint(t.Context(), id)
	if err != nil || c.RoleARN != h.role || c.Expiration.After(h.Now().Add(time.Hour+time.Second)) || c.SessionToken != "SageMaker for ada" {
		t.Errorf("%+v: %v", c, err)
	}
	h.RemovePerson("ada")
	h.admin.Person = nil
	if _, err := h.service.Mint(t.Context(), id); !errors.Is(err, api.ErrGone) {
		t.Errorf("credentials for a person who was removed: %v", err)
	}
	h.finish(id)
	if _, err := h.service.At(t.Context(), h.vpc, address); !errors.Is(err, api.ErrGone) {
		t.Errorf("after its end: %v", err)
	}
}

// With network isolation a job has no interface, whatever VpcConfig says.
func TestNetworkIsolation(t *testing.T) {
	h := newHouse(t, only(train))
	h.private()
	in := h.inVPC("alone")
	in.EnableNetworkIsolation = ptr(true)
	h.finish(h.create(in))
	h.ended("alone", shape.TrainingJobStatusCompleted, shape.SecondaryStatusCompleted, "")
	if n := h.machine.lastOrder.Spec.Network; n.Mode != spec.None {
		t.Errorf("network %+v", n)
	}
}
