package ec2

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// crowded makes a VPC with that many workloads in one group, and another group.
func (b *bench) crowded(t testing.TB, count int) (vpc, group, other string) {
	vpc = apitest.Must[ec2.CreateVpcOutput](t, b.admin, "ec2:CreateVpc", &ec2.CreateVpcInput{CidrBlock: "10.0.0.0/16"}).Vpc.VpcId
	sub := apitest.Must[ec2.CreateSubnetOutput](t, b.admin, "ec2:CreateSubnet", &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: "10.0.0.0/16"}).Subnet.SubnetId
	made := func(name string) string {
		return apitest.Must[ec2.CreateSecurityGroupOutput](t, b.admin, "ec2:CreateSecurityGroup", &ec2.CreateSecurityGroupInput{VpcId: vpc, GroupName: name, Description: "d"}).GroupId
	}
	group, other = made("members"), made("others")
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		var all []object
		for i := range count {
			all = append(all, &networkInterface{
				meta:   meta{ID: kindInterface.newID(), Account: apitest.Account, VPC: vpc, Created: b.Now()},
				Subnet: sub, Address: nth(everywhere, 10<<24+uint32(i)+16), Groups: []string{group}, MAC: newMAC(),
				Workload: fmt.Sprintf("w-%d", i), Owner: "arn:aws:sagemaker:us-east-1:123456789012:training-job/w", Service: "sagemaker", Description: "a training job",
			})
		}
		return b.service.put(tx, all...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return vpc, group, other
}

// handed is a machine that says when it was handed a network.
type handed struct {
	*machine
	at chan time.Time
}

func (h handed) ApplyVPC(_ context.Context, _ *netmodel.VPC) error {
	h.at <- time.Now()
	return nil
}

// A change of a rule of a group with 1,000 members, to the moment in which the machine
// is handed the network: the call, and from its answer on ("ms-behind").
func BenchmarkRuleChange(b *testing.B) {
	bench := newBench(b)
	vpc, group, _ := bench.crowded(b, 1000)
	m := handed{&machine{vpcs: map[string]*netmodel.VPC{vpc: {}}}, make(chan time.Time, 8)}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- bench.service.Run(ctx, bench.Store, m, nil) }()
	<-m.at
	permission := []ec2.IpPermission{{IpProtocol: "tcp", FromPort: ptr(int32(22)), ToPort: ptr(int32(22)), IpRanges: []ec2.IpRange{{CidrIp: "10.0.0.0/8"}}}}
	var behind time.Duration
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			apitest.Must[ec2.AuthorizeSecurityGroupIngressOutput](b, bench.admin, "ec2:AuthorizeSecurityGroupIngress", &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: permission})
		} else {
			apitest.Must[ec2.RevokeSecurityGroupIngressOutput](b, bench.admin, "ec2:RevokeSecurityGroupIngress", &ec2.RevokeSecurityGroupIngressInput{GroupId: group, IpPermissions: permission})
		}
		answered := time.Now()
		behind += (<-m.at).Sub(answered)
	}
	b.ReportMetric(float64(behind.Microseconds())/1000/float64(b.N), "ms-behind")
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// The model alone, of a network that was read.
func BenchmarkModel(b *testing.B) {
	bench := newBench(b)
	vpc, _, _ := bench.crowded(b, 1000)
	n := bench.network(b, vpc)
	b.ReportAllocs()
	for b.Loop() {
		bench.service.model(n)
	}
}

// Reading a network with 1,000 interfaces.
func BenchmarkLoad(b *testing.B) {
	bench := newBench(b)
	vpc, _, _ := bench.crowded(b, 1000)
	bench.read(b, func(sn *store.Snapshot) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := load(sn, vpc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
