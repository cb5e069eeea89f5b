package locked

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// NoDumps keeps this process out of core dumps, and away from debuggers of its own
// user. Children inherit that they dump no core.
func NoDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core dumps cannot be turned off: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("core dumps cannot be turned off: %w", err)
	}
	return nil
}

// All locks all memory of the process, now and later, where the host allows it
// without a limit: within one, the process would die when it grows beyond.
// It reports whether it did.
func All() bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return false
	}
	if limit.Cur != unix.RLIM_INFINITY && !mayLock() {
		return false
	}
	// On fault: what was mapped and never touched need not be in memory.
	return unix.Mlockall(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT) == nil
}

// mayLock says whether the process may lock memory beyond any limit.
func mayLock() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}
