package fabric

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/netmodel"
)

// probe tries everything that the fabric needs, once, in a namespace that nobody else sees and that ends with the probe,
// and notes what does not work.
func (f *Fabric) probe() {
	if os.Geteuid() != 0 {
		f.missing = []string{"Isolating networks needs root: run `bawn host` as root."}
		return
	}
	f.nft = findNFT()
	if f.nft == "" {
		f.missing = []string{"The program nft is missing: install the package nftables."}
		return
	}
	// The thread ends with the function, and the namespace with the thread.
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			f.lack("Network namespaces cannot be made: the kernel needs CONFIG_NET_NS, and the process CAP_SYS_ADMIN.", err)
			return nil
		}
		f.probeHere()
		return nil
	})
	if err != nil {
		f.lack("A test of the network failed.", err)
	}
}

func (f *Fabric) probeHere() {
	if _, err := set(noIPv6[:]); err != nil {
		f.lack("IPv6 cannot be turned off in a namespace: /proc/sys must be writable.", err)
	}
	if err := (&network{kind: kindVPC}).prepare(); err != nil {
		f.lack("A namespace cannot be made to route: /proc/sys must be writable, and the kernel needs CONFIG_NF_CONNTRACK (module nf_conntrack) with events and timestamps.", err)
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "probe0"}, PeerName: "probe1"}
	if err := netlink.LinkAdd(veth); err != nil {
		f.lack("Links between namespaces cannot be made: the kernel needs CONFIG_VETH (module veth).", err)
	}
	if err := runNFT(context.Background(), f.nft, netmodel.Compile(sample()).Script()); err != nil {
		f.lack("The packet filter's rules do not load: the kernel needs nf_tables with the inet family, maps and concatenations, ct, limit, log, reject and connlimit (modules nf_tables, nft_ct, nft_limit, nft_log, nft_reject_inet, nft_connlimit), and nft must be version 1.0 or later.", err)
	}
	if err := probeRouting(); err != nil {
		f.lack("Routes cannot depend on where a packet comes from: the kernel needs CONFIG_IP_MULTIPLE_TABLES.", err)
	}
	if _, err := flows(ctGetAndZero); err != nil {
		f.lack("The flow table cannot be read: the kernel needs CONFIG_NF_CT_NETLINK (module nf_conntrack_netlink).", err)
	}
	w := flowWatch{stop: make(chan struct{})}
	if err := w.open(); err != nil {
		f.lack("Refused packets cannot be logged: the kernel needs CONFIG_NETFILTER_NETLINK_LOG (module nfnetlink_log).", err)
	}
	if err := w.close(); err != nil {
		f.lack("The packet log does not close.", err)
	}
}

// probeRouting tries a table, a rule and a route of the kinds that transit gateways need.
func probeRouting() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	s := space{Handle: h}
	defer h.Close()
	if _, err := s.settleRules(sample().Routing()); err != nil {
		return err
	}
	_, err = s.settleRoutes(map[hop]bool{{table: netmodel.FirstTable, kind: unix.RTN_BLACKHOLE, dst: netip.MustParsePrefix("10.1.0.0/16")}: true},
		func(h hop) bool { return h.table == unix.RT_TABLE_LOCAL })
	return err
}

func (f *Fabric) lack(sentence string, err error) {
	f.missing = append(f.missing, fmt.Sprintf("%s (%v)", sentence, err))
}

// findNFT looks for nft where distributions put it; PATH is not asked, as it may not be root's.
func findNFT() string {
	for _, p := range []string{"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"} {
		if found, err := exec.LookPath(p); err == nil {
			return found
		}
	}
	return ""
}

// sample is a VPC whose rules use everything that rules can use.
func sample() *netmodel.VPC {
	own, everywhere := netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("0.0.0.0/0")
	entries := []netmodel.ACLEntry{{Number: 1, Allow: true, Protocol: netmodel.UDP, FromPort: 1, ToPort: 2, CIDR: own}}
	return &netmodel.VPC{
		ID: "vpc-probe", Account: "000000000000", CIDRs: []netip.Prefix{own}, FlowLogs: true,
		RouteTables: []netmodel.RouteTable{{ID: "rtb-probe", Routes: []netmodel.Route{{CIDR: everywhere, Target: "tgw-attach-probe"}}}},
		Subnets:     []netmodel.Subnet{{ID: "subnet-probe", CIDR: own, RouteTable: "rtb-probe", NetworkACL: "acl-probe"}},
		NetworkACLs: []netmodel.NetworkACL{{ID: "acl-probe", Ingress: entries, Egress: entries}},
		Attachments: []netmodel.Attachment{{ID: "tgw-attach-probe", Gateway: "tgw-probe"}},
		Dialers:     []netmodel.Dialer{{ID: "eni-dialer", Subnet: "subnet-probe", Address: netip.MustParseAddr("10.0.0.5")}},
		PrefixLists: []netmodel.PrefixList{{ID: "pl-probe", CIDRs: []netip.Prefix{own}}},
		SecurityGroups: []netmodel.SecurityGroup{{ID: "sg-probe",
			Ingress: []netmodel.Rule{
				{Protocol: netmodel.TCP, FromPort: 1, ToPort: 2, Group: "sg-probe"},
				{Protocol: netmodel.ICMP, FromPort: 8, ToPort: 0, PrefixList: "pl-probe"},
			},
			Egress: []netmodel.Rule{{Protocol: netmodel.AllProtocols, CIDR: everywhere}},
		}},
		Interfaces: []netmodel.Interface{{ID: "eni-probe", Subnet: "subnet-probe", Address: netip.MustParseAddr("10.0.0.4"),
			Groups: []string{"sg-probe"}, Workload: "probe", MAC: "02:00:00:00:00:01"}},
	}
}
