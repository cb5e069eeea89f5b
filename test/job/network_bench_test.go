package job

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listening says whether somebody listens on an address in a VPC's namespace.
func (h *house) listening(t testing.TB, vpc string, at netip.AddrPort) bool {
	t.Helper()
	var table []byte
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := unix.Open(filepath.Join(h.dir, "state", "net", "bawn.vpc."+vpc), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			if err = unix.Setns(fd, unix.CLONE_NEWNET); err == nil {
				table, err = os.ReadFile("/proc/thread-self/net/tcp")
			}
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return false // it is not there yet
	}
	a := at.Addr().As4()
	var little [4]byte
	binary.LittleEndian.PutUint32(little[:], binary.BigEndian.Uint32(a[:]))
	want := fmt.Sprintf(": %s:%04X 00000000:0000 0A", strings.ToUpper(hex.EncodeToString(little[:])), at.Port())
	return strings.Contains(string(table), want)
}

// From the first call to an endpoint that listens: a VPC with two subnets and one
// interface endpoint, made with boto3.
func BenchmarkNetwork(b *testing.B) {
	h := open(b)
	ec2 := func(operation string, in args, out any) { b.Helper(); h.must(b, "admin", "ec2", operation, in, out) }
	for b.Loop() {
		var vpc struct{ Vpc struct{ VpcId string } }
		ec2("create_vpc", args{"CidrBlock": "10.70.0.0/16"}, &vpc)
		var subnets []string
		for i := range 2 {
			var sub struct{ Subnet struct{ SubnetId string } }
			ec2("create_subnet", args{"VpcId": vpc.Vpc.VpcId, "CidrBlock": fmt.Sprintf("10.70.%d.0/24", i)}, &sub)
			subnets = append(subnets, sub.Subnet.SubnetId)
		}
		var end struct {
			VpcEndpoint struct{ VpcEndpointId, State string }
		}
		ec2("create_vpc_endpoint", args{"VpcEndpointType": "Interface", "VpcId": vpc.Vpc.VpcId, "ServiceName": "com.amazonaws." + region + ".sts", "SubnetIds": subnets[:1], "PrivateDnsEnabled": false}, &end)
		called := time.Now()
		b.StopTimer()
		var found struct {
			NetworkInterfaces []struct{ PrivateIpAddress string }
		}
		ec2("describe_network_interfaces", args{"Filters": []args{{"Name": "vpc-id", "Values": []string{vpc.Vpc.VpcId}}}}, &found)
		at := netip.AddrPortFrom(netip.MustParseAddr(found.NetworkInterfaces[0].PrivateIpAddress), 443)
		b.StartTimer()
		for tick := time.NewTicker(2 * time.Millisecond); !h.listening(b, vpc.Vpc.VpcId, at); {
			if <-tick.C; time.Since(called) > time.Minute {
				b.Fatal("the endpoint does not listen")
			}
		}
		b.StopTimer()
		b.ReportMetric(float64(time.Since(called).Milliseconds()), "ms/after-last-answer")
		ec2("delete_vpc_endpoints", args{"VpcEndpointIds": []string{end.VpcEndpoint.VpcEndpointId}}, nil)
		for _, id := range subnets {
			ec2("delete_subnet", args{"SubnetId": id}, nil)
		}
		ec2("delete_vpc", args{"VpcId": vpc.Vpc.VpcId}, nil)
		b.StartTimer()
	}
}
