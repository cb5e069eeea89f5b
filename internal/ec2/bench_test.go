package ec2

import (
	"fmt"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// Every call through an endpoint asks for its policy.
func BenchmarkEndpointPolicy(b *testing.B) {
	bench := newBench(b)
	id := bench.typical(b)
	bench.read(b, func(sn *store.Snapshot) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bench.service.EndpointPolicy(b.Context(), sn, id["kms"]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Reserve reads the whole VPC: here one with 500 workloads.
func BenchmarkReserve(b *testing.B) {
	bench := newBench(b)
	vpc := apitest.Must[ec2.CreateVpcOutput](b, bench.admin, "ec2:CreateVpc", &ec2.CreateVpcInput{CidrBlock: "10.0.0.0/16"}).Vpc.VpcId
	sub := apitest.Must[ec2.CreateSubnetOutput](b, bench.admin, "ec2:CreateSubnet", &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: "10.0.0.0/16"}).Subnet.SubnetId
	sg := apitest.Must[ec2.CreateSecurityGroupOutput](b, bench.admin, "ec2:CreateSecurityGroup", &ec2.CreateSecurityGroupInput{VpcId: vpc, GroupName: "g", Description: "d"}).GroupId
	r := api.Reservation{Account: apitest.Account, SubnetIDs: []string{sub}, SecurityGroupIDs: []string{sg}, Service: "sagemaker"}
	for i := range 500 {
		r.Workload = fmt.Sprintf("w-%d", i)
		if _, err := bench.reserve(b, r); err != nil {
			b.Fatal(err)
		}
	}
	r.Workload = "again"
	b.ReportAllocs()
	for b.Loop() {
		eni, err := bench.reserve(b, r)
		if err != nil {
			b.Fatal(err)
		}
		if err := bench.Store.Update(b.Context(), func(tx *store.Tx) error { return bench.service.Release(tx, eni) }); err != nil {
			b.Fatal(err)
		}
	}
}
