package netmodel

import "net/netip"

// Ruleset is a packet filter as data: what one namespace needs, and all of it. Every base chain drops what no step
// accepts. [Ruleset.Script] writes it in nft's language, [Ruleset.Changes] what turns another one into it.
type Ruleset struct {
	Sets   []Set
	Chains []Chain
}

// Key is what the elements of a set are.
type Key string

// The keys, as nft's types.
const (
	KeyAddress       Key = "ipv4_addr"
	KeyDevice        Key = "ifname"
	KeyDeviceAddress Key = "ifname . ipv4_addr"
	KeyAddressDevice Key = "ipv4_addr . ifname"
	KeyMarkDevice    Key = "mark . ifname"
)

// Value is what a set holds for each element. One that holds something is what nft calls a map.
type Value string

// The values: nothing, a chain to go to, a number.
const (
	NoValue   Value = ""
	ToChain   Value = "verdict"
	MarkValue Value = "mark"
)

// Set is a named set or map. The ranges of an Interval set are disjoint; those of others are single addresses.
type Set struct {
	Name     string
	Key      Key
	Value    Value
	Interval bool
	Elements []Element
}

// Element is one entry. Which fields mean something is the set's Key and Value.
type Element struct {
	Range  Range
	Device string
	Mark   uint32
	Do     Do
	To     string
}

// Hook is where the kernel enters a base chain. The empty hook is that of a chain entered from other chains only.
type Hook string

// The hooks in use. Prerouting runs before fragments are put together, connection tracking and routing.
const (
	Prerouting Hook = "prerouting"
	Input      Hook = "input"
	Forward    Hook = "forward"
	Output     Hook = "output"
)

// Chain is a list of steps.
type Chain struct {
	Name  string
	Hook  Hook
	Steps []Step
}

// State is what connection tracking thinks of a packet.
type State string

// The states that steps ask for: part of a known flow; that, or an error about one; part of none although not its
// beginning.
const (
	Known   State = "established"
	Related State = "established,related"
	Invalid State = "invalid"
)

// Do is what a step does with a packet that it matches. The zero value goes on to the next step.
type Do string

// What steps do. Reset and Refuse are the two rejections: a TCP reset, and an ICMP error.
const (
	Continue Do = ""
	AcceptIt Do = "accept"
	Drop     Do = "drop"
	Reset    Do = "reset"
	Refuse   Do = "refuse"
	Return   Do = "return"
	Jump     Do = "jump" // come back when the chain ends
	Goto     Do = "goto" // do not come back
)

// Field is what a step looks up in a set, as nft's expression.
type Field string

// The fields.
const (
	BySource      Field = "ip saddr"
	ByDestination Field = "ip daddr"
	ByDevice      Field = "iifname"
	ByOrigin      Field = "iifname . ip saddr"
	ByOutlet      Field = "ip daddr . oifname"
	ByExit        Field = "meta mark . oifname"
)

// Log asks for a copy of a packet's head, with the gate that refused it and, where an endpoint did, the endpoint's id.
type Log struct {
	Gate     Gate
	Endpoint string
}

// Rates and quotas that keep one workload from using up what all share.
const (
	LogGroup   = 17    // netlink log group of refused packets
	LogRate    = 2000  // copies per second of one gate's refusals; the counter [CounterOver] says what went over
	LogBurst   = 4000  // copies before the rate counts
	FloodRate  = 256   // name server packets per second and source
	FloodBurst = 512   // name server packets before the rate counts
	MaxFlows   = 16384 // tracked flows per sender
	FlowRate   = 2000  // flows that one sender begins per second
	FlowBurst  = 16384 // flows begun before the rate counts
)

// CounterOver is the name of the counter of refused packets that were not copied because there were too many.
const CounterOver = "over_rate"

// Step matches when all its conditions do; a zero condition matches everything.
type Step struct {
	OtherFamily bool // not IPv4
	State       State
	Src, Dst    netip.Prefix
	Field       Field // is in Set
	Set         string
	Out         string // the packet leaves by this device
	Ports       Ports
	Flood       bool // the source is over FloodRate
	Fragment    bool // it is a part of a packet
	Large       bool // it is larger than MTU, for somebody to cut into segments, and from here on nobody may make fragments of it
	Rush        bool // it begins a flow, and its source is over FlowRate
	Crowd       bool // it begins a flow, and its source has over MaxFlows that still live
	Busy        bool // this step is over LogRate

	Mark     string // map of destinations; sets the packet's mark if it has the destination
	Dispatch Field  // look up in the map Map, and go to the chain found
	Map      string

	Count bool // count under CounterOver
	Log   Log
	Do    Do
	To    string // the chain of Jump and Goto
}
