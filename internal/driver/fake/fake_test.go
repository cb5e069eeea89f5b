package fake_test

import (
	"testing"

	"go.uber.org/goleak"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/driver/drivertest"
	"bawn.dev/internal/driver/fake"
	"bawn.dev/internal/spec"
)

func host() *fake.Host {
	return &fake.Host{Programs: map[string]fake.Program{"/probe": drivertest.Program}}
}

func suite(h *fake.Host) drivertest.Host {
	return drivertest.Host{
		Open: h.Driver,
		Prepare: func(_ testing.TB, args ...string) (spec.Workload, driver.Resources) {
			return drivertest.Workload("/probe", args...), driver.Resources{}
		},
	}
}

func TestDriver(t *testing.T) {
	defer goleak.VerifyNone(t)
	drivertest.Run(t, suite(host()))
}

func TestCrashLosesWhatRuns(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := host()
	s := suite(h)
	ran, runs := s.Start(t, "exit", "4"), s.Start(t, "stubborn")
	drivertest.Wait(t, ran)
	h.Crash()
	if exit := drivertest.Wait(t, ran); exit.Lost || exit.Code != 4 {
		t.Errorf("what had ended is now %+v", exit)
	}
	if exit := drivertest.Wait(t, runs); !exit.Lost || exit.Code == 0 {
		t.Errorf("what ran is now %+v", exit)
	}
}
