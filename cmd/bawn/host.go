package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"bawn.dev/internal/driver"
	"bawn.dev/internal/driver/oci"
	"bawn.dev/internal/fabric"
	"bawn.dev/internal/host"
	"bawn.dev/internal/locked"
	"bawn.dev/internal/server"
	"bawn.dev/internal/volume"
	"bawn.dev/internal/worker"
)

// hostCmd is the privileged half of Bawn. A service manager that stops it must
// leave the processes that keep workloads alone (systemd: KillMode=process):
// workloads go on while it restarts.
type hostCmd struct {
	Data     string `required:"" type:"path" help:"Directory that bawn init made."`
	User     string `help:"User, by name or id, that bawn serve runs as. Default: bawn if there is one, else root."`
	StateDir string `type:"path" help:"Directory for what a reboot clears. Default: /run/bawn/ and a hash of the data directory."`
	// RemoveAll is how an installation ends: nothing of it may stay behind.
	RemoveAll bool   `help:"Remove every workload and network of this data directory from the machine, and end."`
	Runsc     string `help:"gVisor's runsc. Default: the one beside this program, else that on the PATH."`
}

// shimVerb, as the only argument, makes the program the keeper of one workload.
const shimVerb = "keep-one-workload"

// runShim is called first of all, and reports whether this process is a keeper,
// whose work is then done.
func runShim() (code int, shim bool) {
	if len(os.Args) != 2 || os.Args[1] != shimVerb {
		return 0, false
	}
	return oci.ShimMain(nil), true
}

func (c *hostCmd) Run(ctx context.Context) error {
	log := logger()
	locked.All() // or not: what it holds of volumes' keys, it holds for moments
	uid, err := c.serverUser()
	if err != nil {
		return err
	}
	machine, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	if w, ok := machine.(*worker.Worker); ok {
		defer w.Close()
	}
	journal, err := host.OpenJournal(c.Data)
	if err != nil {
		return err
	}
	defer journal.Close()
	tell := func(name string, details map[string]string) error {
		return journal.Tell(time.Now(), server.Operator(), name, details)
	}
	if c.RemoveAll {
		if err := tell("RemoveAllOfHost", nil); err != nil {
			return err
		}
		return removeAll(ctx, machine)
	}
	door, err := host.Listen(host.ServerConfig{Data: c.Data, User: uid, Machine: machine, Log: log, Journal: journal})
	if err != nil {
		return err
	}
	able := machine.Capabilities()
	if err := tell("StartHost", map[string]string{
		"user": strconv.Itoa(uid), "runsc": c.Runsc, "stateDir": c.stateDir(), "runtime": able.Runtime, "volume": able.Volume,
		"isolated": strconv.FormatBool(able.Isolated), "version": version(),
	}); err != nil {
		return err
	}
	defer func() {
		if err := tell("StopHost", nil); err != nil {
			log.Error("the end is not written down", "err", err)
		}
	}()
	missing := slices.Concat(able.Network, able.Volumes, able.Sandbox)
	slices.Sort(missing)
	for _, sentence := range slices.Compact(missing) {
		log.Warn("refused on this machine", "because", sentence)
	}
	log.Info("host ready", "data", c.Data, "user", uid, "isolated", able.Isolated, "version", version())
	return door.Serve(ctx)
}

// tellHost writes down what root did on this machine, for the record.
func tellHost(data, name string, details map[string]string) error {
	journal, err := host.OpenJournal(data)
	if err != nil {
		return err
	}
	defer journal.Close()
	return journal.Tell(time.Now(), server.Operator(), name, details)
}

// removeAll ends every workload and takes every network away.
func removeAll(ctx context.Context, machine host.Machine) error {
	states, err := machine.States()
	errs := []error{err}
	for _, s := range states {
		errs = append(errs, machine.Remove(ctx, s.ID))
	}
	vpcs, err := machine.VPCs()
	errs = append(errs, err)
	for _, id := range vpcs {
		errs = append(errs, machine.RemoveVPC(ctx, id))
	}
	transits, err := machine.Transits()
	errs = append(errs, err)
	for _, id := range transits {
		errs = append(errs, machine.RemoveTransit(ctx, id))
	}
	return errors.Join(errs...)
}

// open builds the machine out of its parts. What is missing is said, and refused;
// it is an error only when something may be running that could not be watched.
func (c *hostCmd) open(ctx context.Context, log *slog.Logger) (host.Machine, error) {
	// Root follows links once, before it looks whom the directories belong to.
	data, err := filepath.EvalSymlinks(c.Data)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(data, "host")
	if err := able(data); err != nil {
		why := []string{err.Error()}
		return worker.Unable{Network: why, Volumes: why, Sandbox: why}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	net, err := fabric.New(fabric.Config{StateDir: filepath.Join(c.stateDir(), "net"), NamePrefix: "bawn", Log: log})
	if err != nil {
		return nil, err
	}
	caps := host.Capabilities{Network: net.Missing()}
	if kind, err := volume.Probe(); err != nil {
		caps.Volumes = []string{err.Error()}
	} else {
		caps.Volume = string(kind)
	}
	run, err := c.driver(dir)
	if err != nil {
		caps.Sandbox = []string{err.Error()}
	} else {
		caps.Runtime = "runsc"
	}
	caps.Isolated = len(caps.Network)+len(caps.Volumes)+len(caps.Sandbox) == 0
	return worker.Open(ctx, worker.Config{
		Dir: dir, Images: filepath.Join(data, "images"), Driver: run, Fabric: net, Capabilities: caps, Log: log,
	})
}

// able says why nothing can be isolated with this data directory.
func able(data string) error {
	if os.Geteuid() != 0 {
		return errors.New("isolating workloads needs root: start `bawn host` as root")
	}
	return worker.Trusted(data)
}

func (c *hostCmd) driver(dir string) (driver.Driver, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	runsc := c.Runsc
	if beside := filepath.Join(filepath.Dir(self), "runsc"); runsc == "" {
		runsc = "runsc"
		if _, err := exec.LookPath(beside); err == nil {
			runsc = beside
		}
	}
	d, err := oci.New(oci.Config{Runsc: runsc, State: filepath.Join(dir, "sandboxes"), Shim: []string{self, shimVerb}})
	if err != nil {
		return nil, err // and no typed nil
	}
	return d, nil
}

func (c *hostCmd) stateDir() string {
	sum := sha256.Sum256([]byte(c.Data))
	return cmp.Or(c.StateDir, filepath.Join("/run/bawn", hex.EncodeToString(sum[:8])))
}

// serverUser is who, besides root, may ask the host. Without root it can be
// nobody but us.
func (c *hostCmd) serverUser() (int, error) {
	if os.Geteuid() != 0 {
		return os.Geteuid(), nil
	}
	if uid, err := strconv.ParseUint(c.User, 10, 31); err == nil {
		return int(uid), nil
	}
	u, err := user.Lookup(cmp.Or(c.User, "bawn"))
	if err != nil {
		if c.User == "" {
			return 0, nil
		}
		return 0, fmt.Errorf("--user: %w", err)
	}
	return strconv.Atoi(u.Uid)
}
