package spec_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"bawn.dev/internal/spec"
)

func valid() spec.Workload {
	return spec.Workload{
		ID: spec.NewID(), Account: "123456789012", Kind: spec.TrainingJob,
		Image:      spec.Image{Digest: "sha256:" + strings.Repeat("a", 64), Ref: "sample:1"},
		Command:    []string{"/usr/bin/python3"},
		Args:       []string{"/opt/ml/code/train.py"},
		Env:        map[string]string{"TRAINING_JOB_NAME": "first", "lower_case": "x"},
		User:       spec.User{UID: 1000, GID: 1000},
		WorkingDir: "/opt/ml/code",
		Mounts:     []spec.Mount{{Source: "ml", Target: "/opt/ml"}, {Source: "ca/bundle.pem", Target: "/etc/bawn/ca.pem", ReadOnly: true}},
		Limits:     spec.Limits{MilliCPUs: 2000, MemoryBytes: 4 << 30, PIDs: 1024, DiskBytes: 30 << 30, MaxRuntimeSeconds: 86400},
		Network: spec.Network{
			Mode: spec.VPC, VPCID: "vpc-0123456789abcdef0", Hostname: "ip-10-50-0-10.internal",
			Interface: spec.Interface{
				ID: "eni-0123456789abcdef0", SubnetID: "subnet-0123456789abcdef0",
				SecurityGroups: []string{"sg-0123456789abcdef0"}, Address: netip.MustParseAddr("10.50.0.10"),
			},
			Nameserver: netip.MustParseAddr("169.254.1.1"),
			Hosts:      []spec.Host{{Address: netip.MustParseAddr("10.50.0.20"), Name: "s3.us-east-1.amazonaws.com"}},
		},
		Stop: spec.Stop{Signal: 15, GraceSeconds: 120},
	}
}

func TestRoundTrip(t *testing.T) {
	want := valid()
	data, err := spec.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := spec.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestZeroValueIsRefused(t *testing.T) {
	if err := (spec.Workload{}).Validate(); err == nil {
		t.Error("the zero workload is valid")
	}
}

// Each change alone makes a workload that must not run, and the error names
// the field.
func TestRefusals(t *testing.T) {
	tests := []struct {
		field  string
		change func(*spec.Workload)
	}{
		{"id", func(w *spec.Workload) { w.ID = "../../etc" }},
		{"id", func(w *spec.Workload) { w.ID = strings.ToUpper(w.ID) }},
		{"account", func(w *spec.Workload) { w.Account = "12345678901" }},
		{"kind", func(w *spec.Workload) { w.Kind = "" }},
		{"image.digest", func(w *spec.Workload) { w.Image.Digest = "sha256:../../x" }},
		{"image.digest", func(w *spec.Workload) { w.Image.Digest = "sha512:" + strings.Repeat("a", 64) }},
		{"image.ref", func(w *spec.Workload) { w.Image.Ref = "a\nb" }},
		{"command", func(w *spec.Workload) { w.Command = nil }},
		{"command", func(w *spec.Workload) { w.Command = []string{""} }},
		{"argument", func(w *spec.Workload) { w.Args = []string{"a\x00b"} }},
		{"command and args", func(w *spec.Workload) { w.Args = make([]string, 2000) }},
		{"command and args", func(w *spec.Workload) { w.Args = repeat(strings.Repeat("x", 60<<10), 5) }},
		{"env", func(w *spec.Workload) { w.Env["A=B"] = "" }},
		{"env", func(w *spec.Workload) { w.Env[""] = "" }},
		{"env", func(w *spec.Workload) { w.Env["1A"] = "" }},
		{"env", func(w *spec.Workload) { w.Env["A"] = "x\x00LD_PRELOAD=y" }},
		{"env", func(w *spec.Workload) { w.Env["A"] = strings.Repeat("x", 1<<20) }},
		{"user.uid", func(w *spec.Workload) { w.User.UID = 0 }},
		{"user.gid", func(w *spec.Workload) { w.User.GID = 0 }},
		{"user.uid", func(w *spec.Workload) { w.User.UID = 1<<32 - 1 }},
		{"workingDir", func(w *spec.Workload) { w.WorkingDir = "relative" }},
		{"workingDir", func(w *spec.Workload) { w.WorkingDir = "/a/../b" }},
		{"mounts[0].source", func(w *spec.Workload) { w.Mounts[0].Source = "../other" }},
		{"mounts[0].source", func(w *spec.Workload) { w.Mounts[0].Source = "/etc" }},
		{"mounts[0].source", func(w *spec.Workload) { w.Mounts[0].Source = "." }},
		{"mounts[0].source", func(w *spec.Workload) { w.Mounts[0].Source = ".." }},
		{"mounts[0].source", func(w *spec.Workload) { w.Mounts[0].Source = "a//b" }},
		{"mounts[0].source", func(w *spec.Workload) { w.Mounts[0].Source = ".bawn/bundle" }},
		{"mounts[0].source", func(w *spec.Workload) { w.Mounts[0].Source = ".bawn" }},
		{"mounts[0].target", func(w *spec.Workload) { w.Mounts[0].Target = "/" }},
		{"mounts[0].target", func(w *spec.Workload) { w.Mounts[0].Target = "/proc/self" }},
		{"mounts[0].target", func(w *spec.Workload) { w.Mounts[0].Target = "/dev" }},
		{"mounts[0].target", func(w *spec.Workload) { w.Mounts[0].Target = "/etc/hosts" }},
		{"mounts[0].target", func(w *spec.Workload) { w.Mounts[0].Target = "/a/../proc" }},
		{"mounts[1].target", func(w *spec.Workload) { w.Mounts[1].Target = w.Mounts[0].Target }},
		{"limits.milliCPUs", func(w *spec.Workload) { w.Limits.MilliCPUs = 0 }},
		{"limits.memoryBytes", func(w *spec.Workload) { w.Limits.MemoryBytes = 0 }},
		{"limits.memoryBytes", func(w *spec.Workload) { w.Limits.MemoryBytes = -1 }},
		{"limits.pids", func(w *spec.Workload) { w.Limits.PIDs = 0 }},
		{"limits.diskBytes", func(w *spec.Workload) { w.Limits.DiskBytes = 1 << 62 }},
		{"limits.maxRuntimeSeconds", func(w *spec.Workload) { w.Limits.MaxRuntimeSeconds = 0 }},
		{"network.mode", func(w *spec.Workload) { w.Network.Mode = "" }},
		{"network.mode", func(w *spec.Workload) { w.Network.Mode = "host" }},
		{"network", func(w *spec.Workload) { w.Network.Mode = spec.None }},
		{"network.vpcId", func(w *spec.Workload) { w.Network.VPCID = "vpc-../x" }},
		{"network.interface.id", func(w *spec.Workload) { w.Network.Interface.ID = "" }},
		{"network.interface.address", func(w *spec.Workload) { w.Network.Interface.Address = netip.Addr{} }},
		{"network.interface.address", func(w *spec.Workload) { w.Network.Interface.Address = netip.MustParseAddr("fe80::1%eth0") }},
		{"network.interface.address", func(w *spec.Workload) { w.Network.Interface.Address = netip.MustParseAddr("::ffff:10.0.0.1") }},
		{"network.interface.securityGroups", func(w *spec.Workload) { w.Network.Interface.SecurityGroups = nil }},
		{"network.hostname", func(w *spec.Workload) { w.Network.Hostname = "a b" }},
		{"network.hosts[0]", func(w *spec.Workload) { w.Network.Hosts[0].Name = "a\n192.0.2.1 sts.amazonaws.com" }},
		{"stop.signal", func(w *spec.Workload) { w.Stop.Signal = 0 }},
		{"stop.graceSeconds", func(w *spec.Workload) { w.Stop.GraceSeconds = 0 }},
	}
	for _, tt := range tests {
		w := valid()
		tt.change(&w)
		err := w.Validate()
		if err == nil || !strings.Contains(err.Error(), "spec: "+tt.field) {
			t.Errorf("%s: got %v", tt.field, err)
		}
		if _, err := spec.Encode(w); err == nil {
			t.Errorf("%s: it was encoded", tt.field)
		}
	}
}

func repeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func TestErrorsKeepSecrets(t *testing.T) {
	w := valid()
	w.Env["PASSWORD"] = "hunter2-\x00"
	w.Args = []string{"--password=hunter2-\x00"}
	if err := w.Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	data, err := spec.Encode(valid())
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, bad := range map[string]string{
		"doubled":     strings.Replace(text, `"user":`, `"user":{"uid":1,"gid":1},"user":`, 1),
		"case-folded": strings.Replace(text, `"user":`, `"User":`, 1),
		"unknown":     strings.Replace(text, `"user":`, `"privileged":true,"user":`, 1),
		"trailing":    text + text,
		"not UTF-8":   strings.Replace(text, "sample:1", "sample\xff", 1),
		"a key":       strings.Replace(text, `"user":`, `"volumeKey":"AAAA","user":`, 1),
		"empty":       "",
	} {
		if _, err := spec.Decode([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNewIDsAreValidAndDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := spec.NewID()
		if !spec.ValidID(id) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}

func FuzzDecode(f *testing.F) {
	data, err := spec.Encode(valid())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := spec.Decode(data)
		if err != nil {
			return
		}
		// What was accepted is valid, never root, and says the same again.
		if w.User.UID == 0 || w.User.GID == 0 || w.Validate() != nil {
			t.Fatalf("accepted %+v", w)
		}
		again, err := spec.Encode(w)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := spec.Decode(again); err != nil || !reflect.DeepEqual(back, w) {
			t.Fatalf("%+v became %+v, %v", w, back, err)
		}
	})
}
