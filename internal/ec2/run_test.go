package ec2

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// machine obeys networks in memory. It validates, as the host does.
type machine struct {
	mu      sync.Mutex
	vpcs    map[string]*netmodel.VPC
	transit map[string]*netmodel.TransitGateway
	told    []string // what was applied and removed, by id, in order
	down    bool
	refuses string // id of a network that it cannot have
	asked   int
}

var errDown = errors.New("nothing listens")

func (m *machine) VPCs(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.down {
		return nil, errDown
	}
	var ids []string
	for id := range m.vpcs {
		ids = append(ids, id)
	}
	return ids, nil
}

func (m *machine) ApplyVPC(_ context.Context, v *netmodel.VPC) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || v.ID == m.refuses {
		return errDown
	}
	if m.vpcs == nil {
		m.vpcs = map[string]*netmodel.VPC{}
	}
	told := *v
	m.vpcs[v.ID] = &told
	m.told = append(m.told, v.ID)
	return v.Validate()
}

func (m *machine) RemoveVPC(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	delete(m.vpcs, id)
	m.told = append(m.told, "-"+id)
	return nil
}

func (m *machine) Transits(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return nil, errDown
	}
	return slices.Sorted(maps.Keys(m.transit)), nil
}

func (m *machine) ApplyTransit(_ context.Context, g *netmodel.TransitGateway) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || g.ID == m.refuses {
		return errDown
	}
	if m.transit == nil {
		m.transit = map[string]*netmodel.TransitGateway{}
	}
	m.transit[g.ID] = g
	m.told = append(m.told, g.ID)
	return g.Validate()
}

func (m *machine) RemoveTransit(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	delete(m.transit, id)
	m.told = append(m.told, "-"+id)
	return nil
}

func (m *machine) set(f func(*machine)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *machine) has(id string) *netmodel.VPC {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.vpcs[id]
}

// running starts Run; the returned function ends it.
func (b *bench) running(t *testing.T, m Machines) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.service.Run(ctx, b.Store, m, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (b *bench) version(t *testing.T, vpcID string) (v int64) {
	t.Helper()
	b.read(t, func(sn *store.Snapshot) {
		var err error
		if v, err = b.service.Version(sn, vpcID); err != nil {
			t.Fatal(err)
		}
	})
	return v
}

// ready waits as a workload does before it starts.
func (b *bench) ready(t *testing.T, vpcID string) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := b.service.Ready(ctx, vpcID, b.version(t, vpcID)); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) vpc(t *testing.T, cidr string) string {
	t.Helper()
	return apitest.Must[ec2.CreateVpcOutput](t, b.admin, "ec2:CreateVpc", &ec2.CreateVpcInput{CidrBlock: cidr}).Vpc.VpcId
}

// What is committed stands on the machine when Ready returns, though the machine
// was down, was started anew, or cannot have another VPC.
func TestMachineObeys(t *testing.T) {
	b := newBench(t)
	first := b.vpc(t, "10.0.0.0/16")
	broken := b.vpc(t, "10.1.0.0/16")
	m := &machine{down: true, refuses: broken, vpcs: map[string]*netmodel.VPC{"vpc-00000000000000000": {}}}
	b.running(t, m)

	ended, end := context.WithCancel(context.Background())
	end()
	if err := b.service.Ready(ended, first, b.version(t, first)); !errors.Is(err, context.Canceled) || b.service.Applied(first) {
		t.Fatalf("ready on a machine that is down: %v", err)
	}
	m.set(func(m *machine) { m.down = false })
	b.ready(t, first)
	if m.has(first) == nil {
		t.Fatal("the machine does not have it")
	}
	sub := apitest.Must[ec2.CreateSubnetOutput](t, b.admin, "ec2:CreateSubnet", &ec2.CreateSubnetInput{VpcId: first, CidrBlock: "10.0.1.0/24"}).Subnet.SubnetId
	b.ready(t, first)
	if v := m.has(first); len(v.Subnets) != 1 || v.Subnets[0].ID != sub {
		t.Fatalf("the machine has the subnets %+v", v.Subnets)
	}
	// The broken one held nothing up, and comes when it can.
	if m.has(broken) != nil || b.service.Applied(broken) {
		t.Fatal("the machine has what it refused")
	}
	m.set(func(m *machine) { m.refuses = "" })
	b.ready(t, broken)

	// A machine that was started anew is told everything again, and what is deleted goes.
	m.set(func(m *machine) { clear(m.vpcs) })
	apitest.Must[ec2.DeleteVpcOutput](t, b.admin, "ec2:DeleteVpc", &ec2.DeleteVpcInput{VpcId: broken})
	apitest.Must[ec2.CreateSubnetOutput](t, b.admin, "ec2:CreateSubnet", &ec2.CreateSubnetInput{VpcId: first, CidrBlock: "10.0.2.0/24"})
	b.ready(t, first)
	if v := m.has(first); v == nil || len(v.Subnets) != 2 {
		t.Fatalf("after its restart the machine has %+v", v)
	}
	if left, _ := m.VPCs(t.Context()); !slices.Equal(left, []string{first}) {
		t.Fatalf("the machine has %v", left)
	}

	// What was lost behind its back comes again when somebody says so.
	had := m.has(first)
	b.service.Again(first)
	b.ready(t, first)
	if m.has(first) == had {
		t.Fatal("it was not told once more")
	}
}

// What the machine has and nobody wants is removed.
func TestOrphansGo(t *testing.T) {
	b := newBench(t)
	m := &machine{vpcs: map[string]*netmodel.VPC{"vpc-00000000000000000": {}}}
	if err := b.service.reconcile(t.Context(), b.Store, m); err != nil {
		t.Fatal(err)
	}
	if left, _ := m.VPCs(t.Context()); len(left) != 0 {
		t.Errorf("the machine still has %v", left)
	}
	id := b.vpc(t, "10.0.0.0/16")
	for range 2 {
		if err := b.service.reconcile(t.Context(), b.Store, m); err != nil || !b.service.Applied(id) {
			t.Fatal(err)
		}
	}
	apitest.Must[ec2.DeleteVpcOutput](t, b.admin, "ec2:DeleteVpc", &ec2.DeleteVpcInput{VpcId: id})
	m.set(func(m *machine) { m.down = true })
	if err := b.service.reconcile(t.Context(), b.Store, m); !errors.Is(err, errDown) {
		t.Errorf("a machine that is down: %v", err)
	}
	m.set(func(m *machine) { m.down = false })
	if err := b.service.reconcile(t.Context(), b.Store, m); err != nil || b.service.Applied(id) || m.has(id) != nil {
		t.Errorf("a deleted VPC stayed: %v", err)
	}
}

// A waiting workload does not make the loop spin on a machine that fails.
func TestReadyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApplied()
		s := &Service{applied: a, wake: make(chan struct{}, 1)}
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		ended := make(chan error)
		go func() { ended <- s.Ready(ctx, "vpc-1", 5) }()
		synctest.Wait()
		<-s.wake
		a.set("vpc-1", 5, errDown)
		a.set("vpc-1", 4, nil)
		synctest.Wait()
		select {
		case <-s.wake:
			t.Error("the loop was woken again")
		case err := <-ended:
			t.Errorf("version 4 is not 5: %v", err)
		default:
		}
		a.set("vpc-1", 6, nil)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		a.set("vpc-1", 7, errDown)
		if err := s.Ready(ctx, "vpc-1", 7); !errors.Is(err, errDown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the reason is lost: %v", err)
		}
	})
}

// A workload's interface and the workload are one change.
func TestReservationIsOfTheChange(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	undone := errors.New("undone")
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		if _, _, err := b.service.Reserve(t.Context(), tx, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{id["a"]}, SecurityGroupIDs: []string{id["work"]}, Workload: "w", Service: "sagemaker",
		}); err != nil {
			return err
		}
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, id["vpc"])
		if err != nil || len(m.Interfaces) != 0 {
			t.Errorf("%+v, %v", m.Interfaces, err)
		}
		if _, err := b.service.Model(sn, "vpc-00000000000000000"); !errors.Is(err, ErrNoVPC) {
			t.Errorf("a VPC that is not there: %v", err)
		}
	})
}
