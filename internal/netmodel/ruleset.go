package netmodel

import "net/netip"

// Ruleset is a packet filter as data: what one VPC's namespace needs, and all of it. Every base chain drops what no step
// accepts. [Ruleset.Script] writes it in nft's language.
type Ruleset struct {
	Sets   []Set
	Chains []Chain
}

// Set is a named set of disjoint ranges.
type Set struct {
	Name     string
	Prefixes []netip.Prefix
}

// Hook is where the kernel enters a base chain. The empty hook is that of a chain entered from other chains only.
type Hook string

// The hooks in use. Prerouting runs before connection tracking and before routing.
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
	Jump     Do = "jump" // come back when the chain ends
	Goto     Do = "goto" // do not come back
)

// Key is what a dispatching step looks up.
type Key string

// The keys of a dispatch.
const (
	ByDevice      Key = "device"
	ByDestination Key = "destination"
)

// Branch is one entry of a dispatch: where packets with this key go to, without coming back.
type Branch struct {
	Key   string
	Chain string
}

// Log asks for a copy of a packet's head, at most [LogRate] a second, with the gate that refused it and whose gate it is.
// Interface is empty where the packet's source says it.
type Log struct {
	Gate      Gate
	Interface string
}

// Rates and quotas that keep one workload from using up what all share.
const (
	LogGroup   = 17    // netlink log group of refused packets
	LogRate    = 50    // copies per second and log step
	LogBurst   = 200   // copies before the rate counts
	FloodRate  = 256   // name server packets per second and source
	FloodBurst = 512   // name server packets before the rate counts
	MaxFlows   = 16384 // tracked flows per sending interface
)

// Step matches when all its conditions do; a zero condition matches everything.
type Step struct {
	State    State
	Src, Dst netip.Prefix
	SrcSet   string
	DstSet   string
	NotOut   string // the packet leaves by another device than this
	Ports    *Rule  // only its protocol and ports
	Flood    bool   // the source is over FloodRate
	Crowd    bool   // this step has seen over MaxFlows flows that still live

	Dispatch Key
	Branches []Branch

	Log *Log
	Do  Do
	To  string // the chain of Jump and Goto
}
