package netmodel

import (
	"fmt"
	"net/netip"
	"testing"
)

// crowd is a VPC with n interfaces in one group of fifty rules, half of them in a second group.
func crowd(n int) *VPC {
	v := hospital()
	v.Interfaces = nil
	v.Subnets[1].CIDR = prefix("10.50.16.0/20")
	v.Endpoints[1].Addresses = v.Endpoints[1].Addresses[:1]
	for i := range 50 {
		v.SecurityGroups[0].Ingress = append(v.SecurityGroups[0].Ingress, tcp(8000+10*i, 8005+10*i).with("", "sg-train", ""))
	}
	base := toUint(addr("10.50.16.0"))
	for i := range n {
		groups := []string{"sg-train"}
		if i%2 == 1 {
			groups = []string{"sg-train", "sg-db"}
		}
		v.Interfaces = append(v.Interfaces, Interface{ID: fmt.Sprintf("eni-%05d", i), Subnet: "subnet-b", Address: toAddr(base + 4 + uint32(i)),
			Groups: groups, Workload: "job", MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255)})
	}
	return v
}

var sizes = []int{1000, 4000}

func BenchmarkCompile(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, " interfaces"), func(b *testing.B) {
			v := crowd(n)
			b.ReportAllocs()
			for b.Loop() {
				_ = Compile(v)
			}
		})
	}
}

func BenchmarkScript(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, " interfaces"), func(b *testing.B) {
			r := Compile(crowd(n))
			b.ReportAllocs()
			for b.Loop() {
				_ = r.Script()
			}
		})
	}
}

// A rule of a group changes.
func BenchmarkChanges(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, " interfaces"), func(b *testing.B) {
			v := crowd(n)
			old := Compile(v)
			v.SecurityGroups[0].Ingress[0].FromPort++
			r := Compile(v)
			b.ReportAllocs()
			for b.Loop() {
				if r.Changes(old) == "" {
					b.Fatal("nothing")
				}
			}
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n, " interfaces"), func(b *testing.B) {
			v := crowd(n)
			b.ReportAllocs()
			for b.Loop() {
				if err := v.Validate(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKeeps(b *testing.B) {
	v := crowd(1000)
	j := v.Judge()
	f := Flow{v.Interfaces[0].Address, v.Interfaces[999].Address, TCP, 40000, 5432}
	b.ReportAllocs()
	for b.Loop() {
		if !j.Keeps(f) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	v := crowd(1000)
	b.ReportAllocs()
	for b.Loop() {
		_ = v.Judge()
	}
}

// A packet of a VPC with a thousand routes to the other end of a transit gateway.
func BenchmarkKeepsFar(b *testing.B) {
	v := crowd(1000)
	v.Attachments = []Attachment{{"tgw-attach-0", "tgw-0"}}
	for i := range maxRoutes {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(16 + i/256), byte(i), 0}), 24)
		v.RouteTables[1].Routes = append(v.RouteTables[1].Routes, Route{p, "tgw-attach-0"})
	}
	v.SecurityGroups[1].Egress[0] = Rule{Protocol: AllProtocols, CIDR: everywhere}
	j := v.Judge()
	f := Flow{v.Interfaces[1].Address, addr("172.17.3.4"), TCP, 40000, 443}
	b.ReportAllocs()
	for b.Loop() {
		if !j.Keeps(f) {
			b.Fatal("refused")
		}
	}
}
