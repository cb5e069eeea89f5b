package fabric

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/netmodel"
)

// A rule taken away ends what began under it, not only what would begin.
func TestRevokedRuleCutsOpenConnection(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	train, _ := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	train.passes("hold", "10.50.0.11:5432")
	if r := train.do(order{Do: "hold", Wait: hope}); r.Outcome != ok {
		t.Fatalf("before: %+v", r)
	}
	l.apply(v) // the same again disturbs nothing
	if r := train.do(order{Do: "hold", Wait: hope}); r.Outcome != ok {
		t.Fatalf("after applying the same: %+v", r)
	}
	v.SecurityGroups[1].Ingress = nil
	l.apply(v)
	if r := train.do(order{Do: "hold", Wait: despair}); r.Outcome != silent {
		t.Errorf("after the rule went: %+v", r)
	}
	train.noAnswer("tcp", "10.50.0.11:5432")
}

// A connection that the table forgot cannot be picked up in the middle, even where a new one would be allowed.
func TestForgottenConnectionIsNotPickedUp(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	train, _ := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	train.passes("hold", "10.50.0.11:5432")
	if err := inside(l.path(kindVPC, "vpc-1"), func() error { return cut(func(tuple) bool { return true }) }); err != nil {
		t.Fatal(err)
	}
	if r := train.do(order{Do: "hold", Wait: despair}); r.Outcome != silent {
		t.Errorf("picked up: %+v", r)
	}
	train.passes("tcp", "10.50.0.11:5432")
}

func TestUpdateAddsAndRemovesEndpoints(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	l.listen(v, "10.50.0.200:443")
	train := l.attach(v, "eni-train")
	train.passes("tcp", "10.50.0.200:443")
	without := ward("vpc-1")
	without.Endpoints = without.Endpoints[:1]
	l.apply(without)
	train.fails("tcp", "10.50.0.200:443")
	if r := train.do(order{Do: "ask-udp", Address: "10.50.0.2:53", Name: "kms.us-east-1.amazonaws.com", Wait: hope}); r.Outcome != ok || len(r.List) > 0 {
		t.Errorf("its name is still answered: %+v", r)
	}
	l.apply(v)
	train.passes("tcp", "10.50.0.200:443")
}

// The host process ends, and workloads keep their network and its limits; a new one takes over.
func TestRestartAdopts(t *testing.T) {
	first := newLab(t)
	v := ward("vpc-1")
	first.apply(v)
	train, _ := first.attach(v, "eni-train"), first.attach(v, "eni-db")
	train.passes("hold", "10.50.0.11:5432")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	train.passes("tcp", "10.50.0.11:5432")
	train.noAnswer("tcp", "10.50.0.11:80")

	second := openLab(t, first.dir, first.prefix)
	if path, found := second.NetNS("eni-train"); !found || path != first.path(kindAttached, "vpc-1", "eni-train") {
		t.Errorf("the workload is not found again: %q %v", path, found)
	}
	if _, err := second.Attach(context.Background(), "vpc-1", *find(t, v, "eni-far")); !errors.Is(err, ErrNotFound) {
		t.Errorf("attached to a VPC that was not applied: %v", err)
	}
	second.apply(v)
	if _, err := second.Attach(context.Background(), "vpc-1", v.Interfaces[0]); !errors.Is(err, ErrAttached) {
		t.Errorf("attached twice: %v", err)
	}
	if r := train.do(order{Do: "hold", Wait: hope}); r.Outcome != ok {
		t.Errorf("the old connection: %+v", r)
	}
	second.listen(v, "10.50.0.200:443")
	train.passes("tcp", "10.50.0.200:443")
	if r := train.do(order{Do: "ask-tcp", Address: "10.50.0.2:53", Name: "kms.us-east-1.amazonaws.com", Wait: hope}); r.Outcome != ok || len(r.List) != 1 {
		t.Errorf("names after the restart: %+v", r)
	}
}

// What a crash left half made is in nobody's way.
func TestCrashLeavesEmptyMountPoints(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	for _, name := range []string{l.path(kindVPC, "vpc-1"), l.path(kindAttached, "vpc-1", "eni-train")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.apply(v)
	if _, found := l.NetNS("eni-train"); found {
		t.Error("an empty file is taken for a namespace")
	}
	if _, err := l.Attach(context.Background(), "vpc-1", v.Interfaces[0]); !errors.Is(err, ErrAttached) {
		t.Errorf("attached over a half made one: %v", err)
	}
	if err := l.Detach(context.Background(), "eni-train"); err != nil {
		t.Fatal(err)
	}
	l.attach(v, "eni-train")
}

func TestDetachUnplugsAtOnce(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	ctx := context.Background()
	l.apply(v)
	train, db := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	train.passes("hold", "10.50.0.11:5432")
	if err := errors.Join(l.Detach(ctx, "eni-train"), l.Detach(ctx, "eni-train")); err != nil {
		t.Fatal(err)
	}
	train.fails("tcp", "10.50.0.11:5432") // its process still runs, with no link
	var left []flow
	err := inside(l.path(kindVPC, "vpc-1"), func() (err error) {
		left, err = flows(ctGet)
		return err
	})
	if err != nil || len(left) > 0 {
		t.Errorf("flows that the address left behind: %v %v", left, err)
	}
	again := l.attach(v, "eni-train") // a new namespace with the same name
	again.passes("tcp", "10.50.0.11:5432")
	db.noAnswer("tcp", "10.50.0.10:5432")
}

// A listener that somebody still holds keeps the namespace alive in the kernel, but nobody can reach it.
func TestRemoveCutsEverything(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	ctx := context.Background()
	l.apply(v)
	l.listen(v, "10.50.0.200:443")
	train := l.attach(v, "eni-train")
	train.passes("tcp", "10.50.0.200:443")
	if err := errors.Join(l.Remove(ctx, "vpc-1"), l.Remove(ctx, "vpc-1"), l.Remove(ctx, "vpc-none")); err != nil {
		t.Fatal(err)
	}
	train.fails("tcp", "10.50.0.200:443")
	if _, err := l.Listen(ctx, "vpc-1", addrPort("10.50.0.200:443")); !errors.Is(err, ErrNotFound) {
		t.Errorf("listens in what was removed: %v", err)
	}
}

func TestSweepKeepsWhatIsKnown(t *testing.T) {
	l, v, w := newLab(t), ward("vpc-1"), ward("vpc-2")
	for i := range w.Interfaces {
		w.Interfaces[i].ID += "-2"
	}
	ctx := context.Background()
	l.apply(v)
	l.apply(w)
	train, _ := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	l.attach(v, "eni-lone")
	l.attach(w, "eni-db-2")
	if _, err := l.AttachIsolated(ctx, "job-alone"); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(l.dir, "elsewhere.vpc.vpc-9")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	keep := Keep{VPCs: map[string]bool{"vpc-1": true}, Attachments: map[string]bool{"eni-train": true, "eni-db": true}}
	if err := l.Sweep(ctx, keep); err != nil {
		t.Fatal(err)
	}
	left, err := l.places()
	if err != nil || len(left) != 3 {
		t.Errorf("left: %v %v", left, err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error("what is not ours was swept")
	}
	train.passes("tcp", "10.50.0.11:5432")
}

// Whatever is called at the same time, the last word is the applied model's.
func TestConcurrentUse(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	ctx := context.Background()
	l.apply(v)
	var done sync.WaitGroup
	for _, i := range v.Interfaces {
		done.Go(func() {
			for range 3 {
				if _, err := l.Attach(ctx, "vpc-1", i); err != nil {
					t.Errorf("attach %s: %v", i.ID, err)
				}
				if err := l.Apply(ctx, v); err != nil {
					t.Error(err)
				}
				if err := l.Detach(ctx, i.ID); err != nil {
					t.Errorf("detach %s: %v", i.ID, err)
				}
			}
		})
	}
	done.Go(func() {
		for range 3 {
			x := ward("vpc-2")
			if err := errors.Join(l.Apply(ctx, x), l.Remove(ctx, "vpc-2")); err != nil {
				t.Error(err)
			}
		}
	})
	done.Wait()
	train, _ := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	train.passes("tcp", "10.50.0.11:5432")
	train.noAnswer("tcp", "10.50.0.11:80")
}

// No thread of this process is ever left in a namespace of ours.
func TestThreadsStayHome(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	l.attach(v, "eni-train")
	if err := inside(l.path(kindVPC, "vpc-1"), func() error { return os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
		t.Fatal(err)
	}
	// New threads and processes start where the process is.
	for range 8 {
		home, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("/bin/readlink", "/proc/self/ns/net").Output()
		if err != nil || strings.TrimSpace(string(out)) != home {
			t.Fatalf("a child is in %s, home is %s (%v)", out, home, err)
		}
	}
}

// A description that does not validate, or that the kernel refuses, changes nothing.
func TestBadDescriptionChangesNothing(t *testing.T) {
	l, v := newLab(t), ward("vpc-1")
	l.apply(v)
	train, _ := l.attach(v, "eni-train"), l.attach(v, "eni-db")
	bad := ward("vpc-1")
	bad.SecurityGroups[1].Ingress[0].Group = "sg-gone"
	if err := l.Apply(context.Background(), bad); err == nil {
		t.Error("applied")
	}
	n := l.known(kindVPC, "vpc-1")
	n.mu.Lock()
	_, err := n.load(context.Background(), l.nft, netmodel.Ruleset{Chains: []netmodel.Chain{{Name: "add", Steps: []netmodel.Step{{Do: netmodel.Jump, To: "nowhere"}}}}})
	n.mu.Unlock()
	if err == nil {
		t.Error("loaded")
	}
	train.passes("tcp", "10.50.0.11:5432")
	train.noAnswer("tcp", "10.50.0.11:80")
}

func TestNewRefusesBadConfiguration(t *testing.T) {
	l := newLab(t)
	open := filepath.Join(l.dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	others := filepath.Join(l.dir, "others")
	if err := errors.Join(os.Mkdir(others, 0o700), os.Chown(others, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"nothing":         {},
		"relative":        {StateDir: "x", NamePrefix: "p", Log: l.log},
		"no log":          {StateDir: l.dir, NamePrefix: "p"},
		"no prefix":       {StateDir: l.dir, Log: l.log},
		"prefix with dot": {StateDir: l.dir, NamePrefix: "a.b", Log: l.log},
		"long prefix":     {StateDir: l.dir, NamePrefix: strings.Repeat("a", maxPrefix+1), Log: l.log},
		"another's":       {StateDir: others, NamePrefix: "p", Log: l.log},
		"open to all":     {StateDir: open, NamePrefix: "p", Log: l.log},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
