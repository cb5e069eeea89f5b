package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/spec"
)

// keep is what a shim is told on its standard input: paths and limits, and
// nothing that a workload would call its own.
type keep struct {
	ID      string      `json:"id"`
	Runsc   string      `json:"runsc"`
	Dir     string      `json:"dir"`
	Image   string      `json:"image"`
	Volume  string      `json:"volume"`
	Network spec.Mode   `json:"network"`
	Limits  spec.Limits `json:"limits"`
	Groups  cgroups     `json:"groups"`
}

// lockFD is the descriptor of the workload's lock in the shim.
const lockFD = 3

// launch starts the shim and returns when the workload runs, or why not. It
// closes lock, which from then on is the shim's: else nobody could see the shim
// end.
func (d *Driver) launch(ctx context.Context, k keep, lock *os.File) error {
	in, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	cmd := exec.Command(d.config.Shim[0], d.config.Shim[1:]...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(in)
	cmd.ExtraFiles = []*os.File{lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	answer, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	err = cmd.Start()
	if err := errors.Join(err, lock.Close()); err != nil {
		return fmt.Errorf("oci: starting the shim: %w", err)
	}
	// The shim outlives this call, and perhaps this process; if not, somebody
	// must collect it.
	said := make(chan []byte, 1)
	go func() {
		text, _ := io.ReadAll(io.LimitReader(answer, 4096))
		said <- text
		_ = cmd.Wait() // how a workload ended stands in its exit file
	}()
	select {
	case text := <-said:
		if string(text) == running {
			return nil
		}
		if len(text) == 0 {
			return errors.New("oci: the shim died")
		}
		return errors.New(string(text))
	case <-ctx.Done():
		return errors.Join(ctx.Err(), d.Remove(context.WithoutCancel(ctx), k.ID))
	}
}

// running is the shim's answer when the workload runs. Any other is an error.
const running = "running"

// ShimMain is the whole program of a shim; its result is the process's exit
// status. It starts the sandbox that its standard input describes, says on its
// standard output that it runs (or why not), and stays until the workload has
// ended: it frames the output into the log, and writes the exit status. It
// reads no arguments and no environment.
func ShimMain([]string) int {
	// The signals of a terminal or of a service manager are not for the
	// workload: it ends when it is told to, through runsc. They are caught and
	// dropped, because a child would inherit that they are ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	unix.CloseOnExec(lockFD)
	unix.Umask(0o022) // for the mount points that runsc makes; ours state modes
	var k keep
	if err := json.UnmarshalRead(io.LimitReader(os.Stdin, 64<<10), &k, json.RejectUnknownMembers(true)); err != nil {
		fmt.Print("oci: the shim was told nonsense")
		return 1
	}
	if err := k.run(); err != nil {
		return 1
	}
	return 0
}

// run is the life of one workload.
func (k keep) run() error {
	// gVisor's kernel, whose parent runsc does not stay, becomes our child, and
	// its exit status ours to read.
	err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	var sandbox sandbox
	if err == nil {
		sandbox, err = k.start()
	}
	if err != nil {
		// Nothing may go on of what did not start.
		err = errors.Join(err, k.Groups.remove(context.Background(), k.ID), unmountRoot(k.Dir))
		fmt.Print(err)
		return errors.Join(err, os.Stdout.Close())
	}
	fmt.Print(running)
	if err := os.Stdout.Close(); err != nil {
		return err
	}
	exit := sandbox.wait()
	// The log is whole before the end is told: its writers are dead.
	err = errors.Join(k.Groups.kill(context.Background(), k.ID), sandbox.drained())
	if err != nil {
		exit.Reason = join(exit.Reason, "its log is incomplete")
	}
	oom, err := k.Groups.oomKills(k.ID)
	if err != nil {
		exit.Reason = join(exit.Reason, "its memory events could not be read")
	}
	if oom > 0 {
		exit.OOM = true
	}
	if _, err := k.runsc().run(context.Background(), "delete", "--force", k.ID); err != nil {
		exit.Reason = join(exit.Reason, "runsc could not delete it")
	}
	exit.Finished = time.Now()
	if err := unmountRoot(k.Dir); err != nil {
		exit.Reason = join(exit.Reason, "its root could not be unmounted")
	}
	// The groups last: until then they hold the count of kills.
	return errors.Join(writeDurably(k.Dir, exitName, exit), k.Groups.remove(context.Background(), k.ID))
}

func (k keep) runsc() runsc {
	// Half of the volume, so that filling the root is an error to the writer;
	// a volume that is full takes gVisor's kernel down with the workload.
	return runsc{k.Runsc, k.Volume, k.Network, k.Limits.DiskBytes / 2}
}

// sandbox is a started one.
type sandbox struct {
	pid     int // of gVisor's kernel, which is our child
	started time.Time
	drained func() error
}

func (k keep) start() (sandbox, error) {
	if err := writeDurably(k.Dir, bornName, true); err != nil {
		return sandbox{}, err
	}
	if err := k.Groups.create(k.ID, k.Limits); err != nil {
		return sandbox{}, err
	}
	if err := mountRoot(k.Dir, k.Image); err != nil {
		return sandbox{}, err
	}
	log, err := os.OpenFile(reserved(k.Volume, logName), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return sandbox{}, fmt.Errorf("oci: %w", err)
	}
	pidFile := reserved(k.Volume, pidName)
	cmd := k.runsc().command(context.Background(), "run", "--detach", "--bundle="+reserved(k.Volume, bundleName), "--pid-file="+pidFile, k.ID)
	// A quarter of the volume: the log must not take the workload's disk.
	frames := driver.NewLogWriter(log, 0, min(driver.MaxLog, k.Limits.DiskBytes/4))
	var copies sync.WaitGroup
	failed := make([]error, 2)
	var ends []*os.File
	for i, s := range []driver.Stream{driver.Stdout, driver.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return sandbox{}, fmt.Errorf("oci: %w", err)
		}
		ends = append(ends, w)
		copies.Go(func() { failed[i] = frames.Copy(s, r) })
	}
	cmd.Stdout, cmd.Stderr = ends[0], ends[1]
	started := time.Now()
	err = k.Groups.inside(k.ID, cmd.Start)
	for _, w := range ends {
		w.Close()
	}
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return sandbox{}, fmt.Errorf("oci: runsc run: %w: %s", err, k.lastWords())
	}
	if err := k.Groups.limitProcessor(k.ID, k.Limits.MilliCPUs); err != nil {
		return sandbox{}, err
	}
	pid, err := readPID(pidFile)
	if err != nil {
		return sandbox{}, err
	}
	return sandbox{pid: pid, started: started, drained: func() error {
		copies.Wait()
		return errors.Join(failed[0], failed[1], log.Close())
	}}, nil
}

// lastWords is the end of runsc's log.
func (k keep) lastWords() string {
	data, err := os.ReadFile(reserved(k.Volume, runscLogName))
	if err != nil {
		return "it left no log"
	}
	return lastLine(string(data))
}

func readPID(file string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("oci: %w", err)
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil || pid <= 1 {
		return 0, errors.New("oci: runsc wrote no process id")
	}
	return pid, nil
}

// wait blocks until the sandbox has ended. gVisor's kernel exits with its first
// process's status, or 128 and the number of the signal that it died of; when a
// signal ended that kernel itself, it came from the host.
func (s sandbox) wait() driver.Exit {
	exit := driver.Exit{Started: s.started}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(s.pid, &status, 0, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			exit.Code, exit.Lost, exit.Reason = 137, true, "the sandbox's exit status could not be read"
			return exit
		}
	}
	if status.Signaled() {
		exit.Code, exit.Signal, exit.Reason = 128+int(status.Signal()), status.Signal(), "the sandbox was killed"
		return exit
	}
	exit.Code = status.ExitStatus()
	if exit.Code > 128 && exit.Code < 128+32 {
		exit.Signal = syscall.Signal(exit.Code - 128)
	}
	return exit
}

func join(reason, more string) string {
	if reason == "" {
		return more
	}
	return reason + "; " + more
}
