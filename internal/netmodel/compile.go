package netmodel

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// Device is the name of the link, on the VPC's side, of the interface with this id: 15 characters, the most that Linux
// takes.
func Device(interfaceID string) string {
	sum := sha256.Sum256([]byte(interfaceID))
	return "w" + hex.EncodeToString(sum[:7])
}

// Names of the chains that are not some group's or endpoint's.
const (
	chainSent     = "sent"     // from an interface, and the source is its own
	chainCame     = "came"     // by an attachment
	chainCrossing = "crossing" // source and destination are right
	chainBorder   = "border"   // the network ACLs
	chainServices = "services"
	chainLanded   = "landed" // a new flow by an attachment
	chainArrive   = "arrive" // let out: the receiver's gate is next
)

// Names of the sets and maps that are not some group's, list's or endpoint's.
const (
	setPorts     = "origins"         // device and address of each interface
	setPlaces    = "places"          // destinations that every subnet has a route to
	setRemote    = "remote_places"   // destinations of packets that come by an attachment
	setOwn       = "own_ranges"      // sources that none of those has
	setReserved  = "reserved_places" // addresses that no network ACL is asked about
	setResolvers = "resolvers"       // addresses of the name server
	setDialers   = "dialers"
	setHere      = "own_places"   // the namespace's own addresses
	setExits     = "exits"        // mark and device of each attachment
	mapWays      = "ways"         // endpoints that need a route, to the chain that asks for it
	mapTables    = "route_tables" // subnets, to the chain of their route table
	mapSenders   = "senders"      // devices, to the chain of the sender's groups
	mapReceivers = "receivers"    // addresses with their devices, to the chain of the receiver's groups
	mapDoors     = "doors"        // addresses of endpoints, to the endpoint's chain
	mapLeave     = "leaving"      // subnets that have a network ACL, to its egress
	mapEnter     = "entering"     // and to its ingress
	mapWires     = "wires"        // devices of attachments
)

// Compile turns a valid VPC into the packet filter of its namespace.
//
// A packet meets the gates in series, and each can only pass it to the next. What knows no flows stands before connection
// tracking and sees every packet: the source is that of the device, the destination exists and the sender's subnet has a
// route to it, the network ACLs let it cross. New flows meet the groups after routing. In the sender's "from" chain,
// which interfaces in the same groups share, each group may send the packet on to "arrive"; falling off the end is a
// refusal. "arrive" finds the receiver's "to" chain, where each of its groups may accept; falling off the end is a
// refusal. No chain of the sender's can accept, so no rule of one gate can stand in for the other's. Replies are accepted
// by connection tracking alone; ICMP errors between workloads are not, as anybody may write one about somebody else's
// flow: they meet the gates.
//
// Interfaces are elements of sets and maps only: one that comes or goes changes no chain.
func Compile(v *VPC) Ruleset {
	c := compiler{vpc: v, sets: map[string]*Set{}, chained: map[string]bool{}, hashes: map[string]string{}}
	c.refusals()
	c.before()
	c.border()
	c.services()
	for i := range v.SecurityGroups {
		c.group(&v.SecurityGroups[i])
	}
	for i := range v.Endpoints {
		c.endpoint(&v.Endpoints[i])
	}
	c.networkInterfaces()
	c.gates()
	return c.ruleset()
}

type compiler struct {
	vpc     *VPC
	chains  []Chain
	sets    map[string]*Set
	chained map[string]bool   // "from" and "to" chains that are there
	hashes  map[string]string // see hash
}

func (c *compiler) chain(name string, steps ...Step) {
	c.chains = append(c.chains, Chain{Name: name, Steps: steps})
}

func (c *compiler) base(name string, h Hook, steps ...Step) {
	c.chains = append(c.chains, Chain{name, h, steps})
}

// set returns the set of this name, new if there is none.
func (c *compiler) set(name string, k Key, v Value, interval bool) *Set {
	s := c.sets[name]
	if s == nil {
		s = &Set{Name: name, Key: k, Value: v, Interval: interval}
		c.sets[name] = s
	}
	return s
}

// addresses returns the set of single addresses of this name, new if there is none.
func (c *compiler) addresses(name string) *Set { return c.set(name, KeyAddress, NoValue, false) }

func (s *Set) put(e Element) { s.Elements = append(s.Elements, e) }

func (s *Set) putAddress(a netip.Addr) { s.put(Element{Range: one(a)}) }

// ranges makes a set of ranges.
func (c *compiler) ranges(name string, list []netip.Prefix) string {
	s := c.set(name, KeyAddress, NoValue, true)
	s.Elements = s.Elements[:0]
	ways := make([]way, len(list))
	for i, p := range list {
		ways[i] = way{p, name}
	}
	s.putSpans(flatten(ways), func(string) uint32 { return 0 })
	return name
}

// putSpans adds runs of addresses with the marks of their targets. What would be everything is two halves: an interval has
// an end.
func (s *Set) putSpans(spans []span, mark func(string) uint32) {
	for _, x := range spans {
		m := mark(x.target)
		if x.from == 0 && x.to == math.MaxUint32 {
			s.put(Element{Range: Range{toAddr(0), toAddr(math.MaxInt32)}, Mark: m})
			x.from = math.MaxInt32 + 1
		}
		s.put(Element{Range: Range{toAddr(x.from), toAddr(x.to)}, Mark: m})
	}
}

func (c *compiler) ruleset() Ruleset {
	out := Ruleset{Chains: c.chains, Sets: make([]Set, 0, len(c.sets))}
	for _, s := range c.sets {
		out.Sets = append(out.Sets, *s)
	}
	slices.SortFunc(out.Sets, func(a, b Set) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// ident makes an nft identifier of a prefix and an id. Ids have no underscore, so different ids stay different, and the
// prefix keeps every name from being a keyword.
func ident(prefix, id string) string { return prefix + "_" + strings.ReplaceAll(id, "-", "_") }
