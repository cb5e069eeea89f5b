package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/metadata"
	"bawn.dev/internal/netlimit"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/spec"
)

// ward is a VPC with two interfaces that may go wherever a route leads.
func ward(id string) *netmodel.VPC {
	everywhere := netmodel.Rule{Protocol: netmodel.AllProtocols, CIDR: netip.MustParsePrefix("0.0.0.0/0")}
	ifc := func(id, addr, mac string) netmodel.Interface {
		return netmodel.Interface{ID: id, Subnet: "subnet-a", Address: netip.MustParseAddr(addr), Groups: []string{"sg-open"}, Workload: "job", MAC: mac}
	}
	return &netmodel.VPC{
		ID: id, Account: "123456789012", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.60.0.0/16")}, FlowLogs: true,
		RouteTables:    []netmodel.RouteTable{{ID: "rtb-a"}},
		Subnets:        []netmodel.Subnet{{ID: "subnet-a", CIDR: netip.MustParsePrefix("10.60.0.0/24"), RouteTable: "rtb-a"}},
		SecurityGroups: []netmodel.SecurityGroup{{ID: "sg-open", Egress: []netmodel.Rule{everywhere}}},
		Interfaces: []netmodel.Interface{
			ifc("eni-"+id[4:]+"1", "10.60.0.10", "02:00:00:00:00:01"), ifc("eni-"+id[4:]+"2", "10.60.0.11", "02:00:00:00:00:02"),
		},
	}
}

// joined puts an order into the nth interface of a VPC.
func joined(o host.Order, v *netmodel.VPC, n int) host.Order {
	i := v.Interfaces[n]
	o.Spec.Network = spec.Network{
		Mode: spec.VPC, VPCID: v.ID, Nameserver: v.ResolverAddress(),
		Interface: spec.Interface{ID: i.ID, SubnetID: i.Subnet, SecurityGroups: i.Groups, Address: i.Address},
	}
	return o
}

// one is a directory and minter for one workload.
type one struct {
	vpc, id, token string
	at             netip.Addr
}

func (o one) At(_ context.Context, vpcID string, a netip.Addr) (metadata.Workload, error) {
	if vpcID != o.vpc || a != o.at {
		return metadata.Workload{}, metadata.ErrUnknown
	}
	return metadata.Workload{ID: o.id, Token: metadata.Hash(o.token)}, nil
}

func (o one) Mint(context.Context, string) (metadata.Credentials, error) {
	return metadata.Credentials{RoleARN: "role", AccessKeyID: "ASIA", SecretAccessKey: "x", Token: "y", Expiration: time.Now().Add(time.Hour)}, nil
}

// A job in a VPC gets its own credentials over a listener that the host passed and
// did not survive, another job in the same VPC gets nothing with the same path, and
// neither reaches an address outside, which the flow log tells.
func TestJobInAVPC(t *testing.T) {
	m := newMachine(t)
	v := ward("vpc-e2e")
	if err := m.ApplyVPC(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Listen(t.Context(), v.ID, netip.MustParseAddrPort("127.0.0.1:1")); !errors.Is(err, host.ErrInvalid) {
		t.Errorf("a listener anywhere: %v", err)
	}
	if _, err := m.Listen(t.Context(), "vpc-none", netip.MustParseAddrPort("169.254.170.2:80")); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("a listener nowhere: %v", err)
	}
	l, err := m.Listen(t.Context(), v.ID, netip.MustParseAddrPort("169.254.170.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	token := metadata.NewToken()
	first, second := joined(m.job("network", "0"), v, 0), joined(m.job("network", "0"), v, 1)
	who := one{vpc: v.ID, id: first.Spec.ID, token: token, at: v.Interfaces[0].Address}
	h, err := metadata.New(metadata.Config{VPC: v.ID, Directory: who, Minter: who, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := metadata.Server(h)
	go server.Serve(netlimit.Listen(l, metadata.Connections))
	defer server.Close()

	m.kill()
	m.start()
	if ids, err := m.VPCs(t.Context()); err != nil || !slices.Equal(ids, []string{v.ID}) {
		t.Fatalf("got %q, %v", ids, err)
	}
	refused := make(chan fabric.FlowRecord, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- m.Flows(ctx, v.ID, func(f fabric.FlowRecord) error {
			if f.Action == fabric.Reject {
				refused <- f
			}
			return nil
		})
	}()
	for o, want := range map[*host.Order]string{&first: "credentials 200 ", &second: "credentials 404 "} {
		o.Spec.Env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = metadata.Path(token)
		id := m.run(*o)
		s := m.eventually(id, exited)
		if got := m.said(id); s.Exit.Code != 0 || !strings.HasPrefix(got, want) || strings.Contains(got, "REACHED") {
			t.Errorf("%+v, it said %q, want %s", s, got, want)
		}
	}
	select {
	case f := <-refused:
		if f.Dst != netip.MustParseAddrPort("192.0.2.1:443") || f.VPC != v.ID {
			t.Errorf("got %+v", f)
		}
	case <-time.After(time.Minute):
		t.Error("the flow log tells nothing")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Who names another workload's interface gets nothing, and takes nothing away.
func TestInterfaceOfAnother(t *testing.T) {
	r := newRig(t)
	v := ward("vpc-own")
	if err := r.ApplyVPC(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	owner := r.prepare(joined(r.order("wait"), v, 0))
	if err := r.Prepare(t.Context(), joined(r.order("wait"), v, 0)); !errors.Is(err, host.ErrExists) {
		t.Errorf("an interface was given twice: %v", err)
	}
	for name, change := range map[string]func(*spec.Network){
		"another address": func(n *spec.Network) { n.Interface.Address = netip.MustParseAddr("10.60.0.99") },
		"a mismatch":      func(n *spec.Network) { n.Interface.Address = v.Interfaces[1].Address },
		"another group":   func(n *spec.Network) { n.Interface.SecurityGroups = []string{"sg-other"} },
		"another subnet":  func(n *spec.Network) { n.Interface.SubnetID = "subnet-b" },
		"no such network": func(n *spec.Network) { n.VPCID = "vpc-none" },
	} {
		o := joined(r.order("wait"), v, 0)
		change(&o.Spec.Network)
		if err := r.Prepare(t.Context(), o); !errors.Is(err, host.ErrInvalid) && !errors.Is(err, host.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := r.States(); err != nil || len(s) != 1 {
		t.Errorf("got %+v, %v", s, err)
	}
	r.restart() // which sweeps what is not named
	if err := r.Start(t.Context(), owner); err != nil {
		t.Errorf("its owner lost it: %v", err)
	}
}

// Networks that nobody applied go when the host starts.
func TestNetworksAcrossARestart(t *testing.T) {
	r := newRig(t)
	kept, lost := ward("vpc-kept"), ward("vpc-lost")
	for _, v := range []*netmodel.VPC{kept, lost} {
		if err := r.ApplyVPC(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"tgw-kept", "tgw-lost"} {
		if err := r.ApplyTransit(t.Context(), &netmodel.TransitGateway{ID: id, Account: "123456789012"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.forget("vpcs/vpc-lost.json")
	r.forget("transits/tgw-lost.json")
	r.open()
	if ids, err := r.Transits(); err != nil || !slices.Equal(ids, []string{"tgw-kept"}) {
		t.Errorf("got %q, %v", ids, err)
	}
	if ids, err := r.VPCs(); err != nil || !slices.Equal(ids, []string{"vpc-kept"}) {
		t.Errorf("got %q, %v", ids, err)
	}
	if _, err := r.Listen(t.Context(), "vpc-lost", netip.MustParseAddrPort("169.254.170.2:80")); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	f, err := r.Listen(t.Context(), "vpc-kept", netip.MustParseAddrPort("169.254.170.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := r.RemoveVPC(t.Context(), "../../etc"); !errors.Is(err, host.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
