package job

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An outsider is another machine of the operator's: a site that the server can
// connect to, and no VPC.
const (
	siteNear = "192.0.2.1/24"
	siteHost = "192.0.2.10"
	sitePort = 11112
)

// newOutsider makes it, with a host that says who it is to whoever connects.
func newOutsider(t *testing.T) {
	t.Helper()
	made, end, ended := make(chan error, 1), make(chan struct{}), make(chan struct{})
	var space int
	var l net.Listener
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			space, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		made <- err
		<-end
		if err == nil {
			if err = raise("site1", siteHost+"/24"); err == nil {
				l, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", siteHost, sitePort))
			}
		}
		made <- err
	}()
	err := <-made
	if err == nil {
		err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "site0"}, PeerName: "site1", PeerNamespace: netlink.NsFd(space)})
	}
	if err == nil {
		err = raise("site0", siteNear)
	}
	close(end)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	<-ended
	t.Cleanup(func() {
		l.Close()
		if link, err := netlink.LinkByName("site0"); err == nil {
			netlink.LinkDel(link)
		}
		unix.Close(space)
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "this is the site\n")
				for tick := time.NewTicker(100 * time.Millisecond); ; <-tick.C {
					c.SetWriteDeadline(time.Now().Add(3 * time.Second))
					if _, err := fmt.Fprintln(c, "and on"); err != nil {
						tick.Stop()
						return
					}
				}
			}()
		}
	}()
}

// newAccount makes an account and lets somebody in it act, as its administrator.
func (h *house) newAccount(t testing.TB, who string) (id string) {
	t.Helper()
	var made struct {
		CreateAccountStatus struct{ Id, AccountId, State, FailureReason string }
	}
	h.must(t, "admin", "organizations", "create_account", args{"AccountName": who, "Email": who + "@example.org"}, &made)
	eventually(t, "the account is made", func() bool {
		h.must(t, "admin", "organizations", "describe_create_account_status", args{"CreateAccountRequestId": made.CreateAccountStatus.Id}, &made)
		return made.CreateAccountStatus.State != "IN_PROGRESS"
	})
	id = made.CreateAccountStatus.AccountId
	h.do(t, "assume", args{"who": who, "role": "arn:aws:iam::" + id + ":role/OrganizationAccountAccessRole"}, nil)
	return id
}

// lend starts a wire of another account's, with what that account has of its own.
func (h *house) lend(t testing.TB, who string, place *network, w wire) (job, address string) {
	t.Helper()
	var key struct{ KeyMetadata struct{ Arn string } }
	h.must(t, who, "kms", "create_key", args{}, &key)
	own := who + "-data"
	h.must(t, who, "s3", "create_bucket", args{"Bucket": own}, nil)
	h.must(t, who, "s3", "put_object", args{"Bucket": own, "Key": "code/wire.py", "Body": read(t, "testdata/wire.py")}, nil)
	role := h.newRoleOf(t, who)
	h.must(t, who, "iam", "put_role_policy", args{"RoleName": "job-execution", "PolicyName": "all", "PolicyDocument": document(allow([]string{"s3:*", "kms:*"}, "*"))}, nil)
	job = who + "-job"
	in := h.request(job, order{program: "wire.py", place: place, group: place.jobs, hyper: w.hyper(), seconds: 1800, role: role, key: key.KeyMetadata.Arn})
	in["OutputDataConfig"] = args{"S3OutputPath": "s3://" + own + "/models", "KmsKeyId": key.KeyMetadata.Arn}
	in["InputDataConfig"].([]args)[0]["DataSource"].(args)["S3DataSource"].(args)["S3Uri"] = "s3://" + own + "/code/"
	h.must(t, who, "sagemaker", "create_training_job", in, nil)
	describe := func() (s status) {
		h.must(t, who, "sagemaker", "describe_training_job", args{"TrainingJobName": job}, &s)
		return s
	}
	t.Cleanup(func() {
		h.call(t, who, "sagemaker", "stop_training_job", args{"TrainingJobName": job}, nil)
		eventually(t, job+" ends", func() bool { s := describe(); return s.over() })
	})
	eventually(t, job+" says where it is", func() bool {
		if s := describe(); s.over() {
			t.Fatalf("%s: %s", job, s.FailureReason)
		}
		var out struct{ Events []line }
		if r := h.call(t, who, "logs", "filter_log_events", args{"logGroupName": "/aws/sagemaker/TrainingJobs", "filterPattern": "OWN"}, &out); r != nil {
			return false
		}
		for _, e := range out.Events {
			address, _ = strings.CutPrefix(e.Message, "OWN ")
		}
		return address != ""
	})
	return job, address
}

// An offer is an endpoint service, and an endpoint that leads to it.
type offer struct{ id, name, behind, endpoint, dns, state string }

// An account offers a job of its own and a site of the operator's to another account,
// whose job reaches them, and nothing else, for as long as all agree: the provider,
// its groups, the operator and the consumer's groups.
func TestPrivateLink(t *testing.T) {
	h := open(t)
	t.Parallel()
	newOutsider(t)
	const who = "provider"
	other := h.newAccount(t, who)
	theirs, ours := h.newPlain(t, who, "10.80.0.0/16", "10.80.1.0/24"), h.newPlain(t, "admin", "10.81.0.0/16", "10.81.1.0/24")
	_, there := h.lend(t, who, &theirs.network, wire{name: "provider", listen: []int{5432, 5433}})
	interfaceID := h.interfaceAt(t, who, theirs.vpc, there)

	// What is offered.
	balancers := "arn:aws:elasticloadbalancing:" + region + ":" + other + ":loadbalancer/net/"
	offered := func(target, behind string) (o offer) {
		var made struct {
			ServiceConfiguration struct{ ServiceId, ServiceName string }
		}
		h.must(t, who, "ec2", "create_vpc_endpoint_service_configuration", args{"AcceptanceRequired": true, "NetworkLoadBalancerArns": []string{balancers + target}}, &made)
		return offer{id: made.ServiceConfiguration.ServiceId, name: made.ServiceConfiguration.ServiceName, behind: behind}
	}
	site := args{"AcceptanceRequired": true, "NetworkLoadBalancerArns": []string{balancers + "site/archive"}}
	if r := h.call(t, who, "ec2", "create_vpc_endpoint_service_configuration", site, nil); r == nil || !strings.Contains(r.Message, "does not exist") {
		t.Errorf("a site that nobody approved: %v", r)
	}
	h.bawn(t, "site", "allow", "archive", fmt.Sprintf("%s:%d", siteHost, sitePort), "--account", other)
	data, archive := offered(interfaceID+"/5432", ":training-job/provider-job"), offered("site/archive", "archive")
	var list struct {
		NetworkInterfaces []struct{ PrivateIpAddress, Description string }
	}
	h.must(t, who, "ec2", "describe_network_interfaces", args{"Filters": []args{{"Name": "description", "Values": []string{"ELB net/" + data.id}}}}, &list)
	if len(list.NetworkInterfaces) != 1 {
		t.Fatalf("the service stands at %+v", list)
	}
	dialer := list.NetworkInterfaces[0].PrivateIpAddress

	// Who may ask for it.
	connect := func(o *offer) *refusal {
		var made struct {
			VpcEndpoint struct {
				VpcEndpointId, State string
				DnsEntries           []struct{ DnsName string }
			}
		}
		r := h.call(t, "admin", "ec2", "create_vpc_endpoint", args{"VpcEndpointType": "Interface", "VpcId": ours.vpc, "ServiceName": o.name,
			"SubnetIds": []string{ours.subnet}, "SecurityGroupIds": []string{ours.jobs}}, &made)
		if r == nil {
			o.endpoint, o.state, o.dns = made.VpcEndpoint.VpcEndpointId, made.VpcEndpoint.State, made.VpcEndpoint.DnsEntries[0].DnsName
		}
		return r
	}
	if r := connect(&data); r == nil || r.Code != "InvalidServiceName" {
		t.Errorf("an endpoint without permission: %v", r)
	}
	for _, o := range []*offer{&data, &archive} {
		h.must(t, who, "ec2", "modify_vpc_endpoint_service_permissions", args{"ServiceId": o.id, "AddAllowedPrincipals": []string{"arn:aws:iam::" + account + ":root"}}, nil)
		if r := connect(o); r != nil {
			t.Fatal(r)
		}
		if o.state != "pendingAcceptance" {
			t.Errorf("%s is %s", o.endpoint, o.state)
		}
	}
	h.admits(t, "admin", ours.jobs, 5432, "10.81.0.0/16")
	h.admits(t, "admin", ours.jobs, 5433, "10.81.0.0/16")
	h.admits(t, "admin", ours.jobs, sitePort, "10.81.0.0/16")
	forbidden := map[string]string{
		"other port": data.dns + ":5433", "provider": there + ":5432", "dialer": dialer + ":5432", "site's address": fmt.Sprintf("%s:%d", siteHost, sitePort),
		"other service": fmt.Sprintf("%s:%d", data.dns, sitePort), "other way": archive.dns + ":5432",
	}
	door, far := data.dns+":5432", fmt.Sprintf("%s:%d", archive.dns, sitePort)
	job, _ := h.wire(t, &ours.network, wire{name: "consumer", targets: both(forbidden, map[string]string{"door": door, "site": far}), streams: map[string]string{"door": door, "site": far}})
	here := h.interfaceAt(t, "admin", ours.vpc, h.says(t, job, "OWN "))

	nothing := map[string]string{}
	h.settled(t, job, "nobody has accepted", nothing)
	accept := func(o offer) {
		h.must(t, who, "ec2", "accept_vpc_endpoint_connections", args{"ServiceId": o.id, "VpcEndpointIds": []string{o.endpoint}}, nil)
	}
	reject := func(o offer) {
		h.must(t, who, "ec2", "reject_vpc_endpoint_connections", args{"ServiceId": o.id, "VpcEndpointIds": []string{o.endpoint}}, nil)
	}
	accept(data)
	h.settled(t, job, "the provider's group admits nobody", nothing)
	h.admits(t, who, theirs.jobs, 5432, "10.81.0.0/16") // whose addresses it never sees
	h.settled(t, job, "the provider's group admits the consumer's addresses", nothing)
	h.admits(t, who, theirs.jobs, 5432, dialer+"/32")
	reached := map[string]string{"door": "this is provider to " + dialer}
	h.settled(t, job, "all agree", reached)

	// Each of them can take it back, and what is open ends.
	for _, c := range []struct {
		what          string
		stop, restore func()
	}{
		{"the provider's group shuts", func() { h.shuts(t, who, theirs.jobs, 5432, dialer+"/32") }, func() { h.admits(t, who, theirs.jobs, 5432, dialer+"/32") }},
		{"the consumer's group shuts", func() { h.shuts(t, "admin", ours.jobs, 5432, "10.81.0.0/16") }, func() { h.admits(t, "admin", ours.jobs, 5432, "10.81.0.0/16") }},
		{"the provider rejects", func() { reject(data) }, func() { accept(data) }},
	} {
		h.opens(t, job, "door")
		c.stop()
		h.cuts(t, job, "door")
		h.settled(t, job, c.what, nothing)
		c.restore()
		h.settled(t, job, c.what+" no more", reached)
	}

	// The site, until the operator withdraws it.
	accept(archive)
	h.settled(t, job, "the site is accepted", both(reached, map[string]string{"site": "this is the site"}))
	h.opens(t, job, "site")
	h.bawn(t, "site", "revoke", "archive", "--account", other)
	h.cuts(t, job, "site")
	h.settled(t, job, "the site was withdrawn", reached)
	h.linkRecorded(t, job, here, other, map[string]offer{data.endpoint: data, archive.endpoint: archive})
}

// linkRecorded looks for connections in both accounts' records: in the consumer's with
// the person, in the provider's with what was reached, and in neither what is the
// other's.
func (h *house) linkRecorded(t testing.TB, job, from, other string, to map[string]offer) {
	t.Helper()
	for _, name := range []string{"ConnectionOpened", "ConnectionClosed"} {
		// Connections come and go meanwhile: whose ends are among these have theirs in what is read next.
		own := h.audit(t, "--event", name, "--account", account, "--person", "ada")
		theirs := map[string]event{}
		for _, e := range h.audit(t, "--event", name, "--account", other) {
			theirs[e.SharedEventID] = e
		}
		seen, cut := map[string]bool{}, map[string]bool{}
		for _, e := range own {
			o, ok := to[e.VPCEndpointID]
			if !ok {
				continue
			}
			d, there := e.AdditionalEventData, theirs[e.SharedEventID].AdditionalEventData
			if d["serviceId"] != o.id || d["networkInterfaceId"] != from || !strings.HasSuffix(fmt.Sprint(d["workload"]), "/"+job) || e.UserIdentity.OnBehalfOf.UserID != h.ada {
				t.Fatalf("%s at %s: %v", name, o.endpoint, d)
			}
			if there["serviceId"] != o.id || there["consumerAccountId"] != account || !strings.Contains(text(there), o.behind) {
				t.Fatalf("%s at %s, as the provider has it: %v", name, o.endpoint, there)
			}
			if strings.Contains(text(d), o.behind) || strings.Contains(text(theirs[e.SharedEventID]), h.ada) || strings.Contains(text(there), job) {
				t.Fatalf("%s at %s: one account learns of the other's: %v, %v", name, o.endpoint, d, there)
			}
			received, _ := d["bytesReceived"].(float64)
			seen[o.endpoint] = seen[o.endpoint] || name == "ConnectionOpened" || received > 0 && received == there["bytesReceived"]
			cut[o.endpoint] = cut[o.endpoint] || d["cut"] != nil
		}
		for endpoint := range to {
			if !seen[endpoint] || name == "ConnectionClosed" && !cut[endpoint] {
				t.Errorf("%s at %s: seen %v, cut %v", name, endpoint, seen, cut)
			}
		}
	}
}
