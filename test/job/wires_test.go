package job

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A wire is a job of wire.py: what it listens on, and whom it tries to reach.
type wire struct {
	name             string
	listen           []int
	targets, streams map[string]string // name to host:port
}

func (w wire) hyper() map[string]string {
	in := map[string]string{"name": text(w.name)}
	if len(w.listen) > 0 {
		in["listen"] = text(w.listen)
	}
	if len(w.targets) > 0 {
		in["targets"] = text(w.targets)
	}
	if len(w.streams) > 0 {
		in["streams"] = text(w.streams)
	}
	return in
}

// wire starts the job in a place, and stops it with the test. It answers its name and
// its address.
func (h *house) wire(t testing.TB, place *network, w wire) (job, address string) {
	t.Helper()
	job = h.start(t, order{program: "wire.py", place: place, group: place.jobs, hyper: w.hyper(), seconds: 1800})
	t.Cleanup(func() {
		h.call(t, "ada", "sagemaker", "stop_training_job", args{"TrainingJobName": job}, nil) // it may have ended
		h.end(t, job)
	})
	return job, h.says(t, job, "OWN ")
}

// wired is what a job last said of one of its long connections.
func (h *house) wired(t testing.TB, job, name string) (s streaming) {
	t.Helper()
	all := h.rounds(t, job)
	if len(all) == 0 {
		return s
	}
	streams, _ := all[len(all)-1]["streams"].(map[string]any)
	if err := json.Unmarshal([]byte(text(streams[name])), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (h *house) opens(t testing.TB, job, name string) {
	t.Helper()
	eventually(t, name+" is open", func() bool { return h.wired(t, job, name).State == "open" })
}

func (h *house) cuts(t testing.TB, job, name string) {
	t.Helper()
	eventually(t, name+" is cut", func() bool { return h.wired(t, job, name).State == "cut" })
}

// A plain network is a VPC with one subnet, an S3 gateway endpoint and one group that
// admits nothing, as somebody's calls make it.
type plain struct {
	network
	table string // its main route table
	acl   string // its default network ACL
}

func (h *house) newPlain(t testing.TB, who, vpcRange, subnet string) (p plain) {
	t.Helper()
	ec2 := func(operation string, in args, out any) { t.Helper(); h.must(t, who, "ec2", operation, in, out) }
	var vpc struct{ Vpc struct{ VpcId string } }
	ec2("create_vpc", args{"CidrBlock": vpcRange}, &vpc)
	p.vpc = vpc.Vpc.VpcId
	var sub struct{ Subnet struct{ SubnetId string } }
	ec2("create_subnet", args{"VpcId": p.vpc, "CidrBlock": subnet}, &sub)
	p.subnet = sub.Subnet.SubnetId
	var made struct{ GroupId string }
	ec2("create_security_group", args{"GroupName": "jobs", "Description": "jobs", "VpcId": p.vpc}, &made)
	p.jobs = made.GroupId
	of := []args{{"Name": "vpc-id", "Values": []string{p.vpc}}}
	var tables struct {
		RouteTables []struct{ RouteTableId string }
	}
	ec2("describe_route_tables", args{"Filters": of}, &tables)
	p.table = tables.RouteTables[0].RouteTableId
	ec2("create_vpc_endpoint", args{"VpcEndpointType": "Gateway", "VpcId": p.vpc, "ServiceName": "com.amazonaws." + region + ".s3", "RouteTableIds": []string{p.table}}, nil)
	var acls struct {
		NetworkAcls []struct{ NetworkAclId string }
	}
	ec2("describe_network_acls", args{"Filters": of}, &acls)
	p.acl = acls.NetworkAcls[0].NetworkAclId
	return p
}

// interfaceAt is the network interface of a VPC with an address.
func (h *house) interfaceAt(t testing.TB, who, vpc, address string) string {
	t.Helper()
	var list struct {
		NetworkInterfaces []struct{ NetworkInterfaceId, PrivateIpAddress string }
	}
	h.must(t, who, "ec2", "describe_network_interfaces", args{"Filters": []args{{"Name": "vpc-id", "Values": []string{vpc}}}}, &list)
	for _, i := range list.NetworkInterfaces {
		if i.PrivateIpAddress == address {
			return i.NetworkInterfaceId
		}
	}
	t.Fatalf("nothing in %s has the address %s: %+v", vpc, address, list)
	return ""
}

// tcp is a rule about one port and a range.
func tcp(port int, from string) []args {
	return []args{{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": []args{{"CidrIp": from}}}}
}

func (h *house) admits(t testing.TB, who, group string, port int, from string) {
	t.Helper()
	h.must(t, who, "ec2", "authorize_security_group_ingress", args{"GroupId": group, "IpPermissions": tcp(port, from)}, nil)
}

func (h *house) shuts(t testing.TB, who, group string, port int, from string) {
	t.Helper()
	h.must(t, who, "ec2", "revoke_security_group_ingress", args{"GroupId": group, "IpPermissions": tcp(port, from)}, nil)
}

// insideOf runs fn in the namespace of a network, as root of the machine can.
func (h *house) insideOf(t testing.TB, network string, fn func() error) error {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(h.dir, "state", "net", "*."+network))
	if err != nil || len(paths) != 1 {
		t.Fatalf("the namespace of %s: %v, %v", network, paths, err)
	}
	space, err := os.Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

// never fails if a job has ever reached one of these.
func (h *house) never(t testing.TB, job string, targets ...string) {
	t.Helper()
	for _, r := range h.rounds(t, job) {
		for _, what := range targets {
			if said := fmt.Sprint(r[what]); strings.Contains(said, "this is ") || strings.Contains(said, "refused") {
				t.Errorf("%s reached %s: %s", job, what, said)
				return
			}
		}
	}
}

func both(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
