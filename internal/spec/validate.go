package spec

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
)

// The bounds of a workload. They are generous for jobs and small for a host:
// an attacker who fills all of them costs a megabyte.
const (
	maxArgs       = 1024
	maxArgBytes   = 64 << 10
	maxArgvBytes  = 256 << 10
	maxEnv        = 1024
	maxEnvBytes   = 512 << 10
	maxPath       = 1024
	maxMounts     = 128
	maxHosts      = 1024
	maxGroups     = 16
	maxRef        = 512
	maxUID        = 1<<31 - 1
	minMemory     = 96 << 20
	maxMemory     = 64 << 40
	minMilliCPUs  = 10
	maxMilliCPUs  = 10_000 * 1000
	maxPIDs       = 1 << 20
	minDisk       = 16 << 20
	maxDisk       = 64 << 40
	maxRuntime    = 28 * 24 * 3600 // seconds, as SageMaker has it
	maxGrace      = 3600           // seconds
	idLength      = 26
	accountLength = 12
)

// Validate reports every reason for which w may not run, joined into one
// error, or nil. The messages name fields and limits, never values of Env.
func (w Workload) Validate() error {
	var bad problems
	bad.check(validID(w.ID), "id: want %d characters of a-z and 2-7", idLength)
	bad.check(isAll(w.Account, accountLength, "0123456789"), "account: want %d digits", accountLength)
	bad.check(w.Kind == TrainingJob, "kind: %.40q is unknown", w.Kind)
	bad.check(validDigest(w.Image.Digest), "image.digest: want sha256: and 64 hexadecimal digits")
	bad.check(len(w.Image.Ref) <= maxRef && printable(w.Image.Ref), "image.ref: want at most %d printable characters", maxRef)
	bad.check(w.User.UID != 0 && w.User.UID <= maxUID, "user.uid: want 1 to %d", maxUID)
	bad.check(w.User.GID != 0 && w.User.GID <= maxUID, "user.gid: want 1 to %d", maxUID)
	bad.check(absolute(w.WorkingDir), "workingDir: want a clean absolute path")
	bad.argv(w)
	bad.env(w.Env)
	bad.mounts(w.Mounts)
	bad.limits(w.Limits)
	bad.network(w.Network)
	bad.check(w.Stop.Signal > 0 && w.Stop.Signal < 32, "stop.signal: want 1 to 31")
	bad.between("stop.graceSeconds", w.Stop.GraceSeconds, 1, maxGrace)
	return errors.Join(bad...)
}

type problems []error

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf("spec: "+format, args...))
	}
}

func (p *problems) argv(w Workload) {
	argv := w.Argv()
	p.check(len(w.Command) > 0 && w.Command[0] != "", "command: want at least a program")
	p.check(len(argv) <= maxArgs, "command and args: want at most %d", maxArgs)
	total := 0
	for i, arg := range argv {
		total += len(arg)
		p.check(len(arg) <= maxArgBytes && !strings.ContainsRune(arg, 0), "argument %d: want at most %d bytes, none of them NUL", i, maxArgBytes)
	}
	p.check(total <= maxArgvBytes, "command and args: want at most %d bytes together", maxArgvBytes)
}

func (p *problems) env(env map[string]string) {
	p.check(len(env) <= maxEnv, "env: want at most %d variables", maxEnv)
	total := 0
	for name, value := range env {
		total += len(name) + len(value)
		p.check(validEnvName(name), "env: a name is not of letters, digits and _, or begins with a digit")
		p.check(!strings.ContainsRune(value, 0), "env: %.64q holds a NUL", name)
	}
	p.check(total <= maxEnvBytes, "env: want at most %d bytes together", maxEnvBytes)
}

func (p *problems) mounts(mounts []Mount) {
	p.check(len(mounts) <= maxMounts, "mounts: want at most %d", maxMounts)
	targets := make(map[string]bool)
	for i, m := range mounts {
		p.check(relative(m.Source), "mounts[%d].source: want a clean path inside the volume", i)
		first, _, _ := strings.Cut(m.Source, "/")
		p.check(first != Reserved, "mounts[%d].source: %s is the driver's", i, Reserved)
		p.check(absolute(m.Target) && mountable(m.Target), "mounts[%d].target: want a clean absolute path that the sandbox does not provide itself", i)
		p.check(!targets[m.Target], "mounts[%d].target: stands twice", i)
		targets[m.Target] = true
	}
}

func (p *problems) limits(l Limits) {
	p.between("limits.milliCPUs", l.MilliCPUs, minMilliCPUs, maxMilliCPUs)
	p.between("limits.memoryBytes", l.MemoryBytes, minMemory, maxMemory)
	p.between("limits.pids", l.PIDs, 1, maxPIDs)
	p.between("limits.diskBytes", l.DiskBytes, minDisk, maxDisk)
	p.between("limits.maxRuntimeSeconds", l.MaxRuntimeSeconds, 1, maxRuntime)
}

func (p *problems) between(name string, v, low, high int64) {
	p.check(v >= low && v <= high, "%s: want %d to %d", name, low, high)
}

func (p *problems) network(n Network) {
	p.check(n.Hostname == "" || validName(n.Hostname), "network.hostname: want a host name")
	p.check(len(n.Hosts) <= maxHosts, "network.hosts: want at most %d", maxHosts)
	for i, h := range n.Hosts {
		p.check(plain(h.Address) && validName(h.Name), "network.hosts[%d]: want an address without a zone and a host name", i)
	}
	switch n.Mode {
	case None:
		p.check(n.VPCID == "" && !n.Nameserver.IsValid() && emptyInterface(n.Interface), "network: mode none takes no VPC, interface or name server")
	case VPC:
		p.check(validResource(n.VPCID, "vpc-"), "network.vpcId: want vpc- and its id")
		p.check(validResource(n.Interface.ID, "eni-"), "network.interface.id: want eni- and its id")
		p.check(validResource(n.Interface.SubnetID, "subnet-"), "network.interface.subnetId: want subnet- and its id")
		p.check(plain(n.Interface.Address), "network.interface.address: want an address without a zone")
		p.check(!n.Nameserver.IsValid() || plain(n.Nameserver), "network.nameserver: want an address without a zone")
		groups := n.Interface.SecurityGroups
		p.check(len(groups) > 0 && len(groups) <= maxGroups, "network.interface.securityGroups: want 1 to %d", maxGroups)
		for i, g := range groups {
			p.check(validResource(g, "sg-"), "network.interface.securityGroups[%d]: want sg- and its id", i)
		}
	default:
		p.check(false, "network.mode: %.40q is unknown", n.Mode)
	}
}

func emptyInterface(i Interface) bool {
	return i.ID == "" && i.SubnetID == "" && len(i.SecurityGroups) == 0 && !i.Address.IsValid()
}

// plain refuses zones, which are names of interfaces of some machine, and
// IPv4 in IPv6 form, which would pass a filter for the one as the other.
func plain(a netip.Addr) bool { return a.IsValid() && a.Zone() == "" && !a.Is4In6() }

// provided lists what the sandbox mounts itself; a mount of a tenant's
// directory over or below one of them would change what it is confined by.
var provided = [...]string{"/proc", "/sys", "/dev", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}

func mountable(target string) bool {
	if target == "/" || target == "/etc" {
		return false
	}
	for _, p := range provided {
		if target == p || strings.HasPrefix(target, p+"/") {
			return false
		}
	}
	return true
}

func absolute(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && len(p) <= maxPath && printable(p)
}

func relative(p string) bool {
	return p != "" && p != "." && !path.IsAbs(p) && path.Clean(p) == p && p != ".." &&
		!strings.HasPrefix(p, "../") && len(p) <= maxPath && printable(p)
}
