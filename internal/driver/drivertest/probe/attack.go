package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// attack tries one thing that must not work and prints what came of it, one
// fact a line. The test that runs it judges.
func attack(args []string) int {
	if len(args) == 0 {
		return 2
	}
	attacks := map[string]func([]string){
		"ids": ids, "status": status, "become": become, "write": write, "read": read, "processes": processes,
		"devices": devices, "mknod": mknod, "mount": mount, "setuid": setuid, "bomb": bomb, "sys": sys,
		"dial": dial, "fill": fill, "interfaces": interfaces, "child": func([]string) { ids(nil); status(nil) },
		"sleep": func([]string) { select {} },
	}
	do, ok := attacks[args[0]]
	if !ok {
		return 2
	}
	do(args[1:])
	return 0
}

func say(what string, err error) {
	if err == nil {
		fmt.Println(what, "WORKED")
		return
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		fmt.Println(what, "failed:", errno.Error())
		return
	}
	fmt.Println(what, "failed:", err)
}

func ids([]string) {
	fmt.Println("ids", os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid())
	groups, err := os.Getgroups()
	fmt.Println("groups", groups, err)
}

// status prints the lines of /proc/self/status that say what we may do.
func status([]string) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Println("status", err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "Cap") || strings.HasPrefix(line, "NoNewPrivs") {
			fmt.Print(strings.ReplaceAll(line, "\t", ""))
		}
	}
}

func become([]string) {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SETUID, 0, 0, 0)
	say("setuid", asError(errno))
	_, _, errno = syscall.RawSyscall(syscall.SYS_SETGID, 0, 0, 0)
	say("setgid", asError(errno))
	_, _, errno = syscall.RawSyscall(syscall.SYS_SETRESUID, 0, 0, 0)
	say("setresuid", asError(errno))
	say("unshare", syscall.Unshare(syscall.CLONE_NEWNS))
	say("chroot", syscall.Chroot("/tmp"))
	say("sethostname", syscall.Sethostname([]byte("owned")))
}

func asError(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func write(paths []string) {
	for _, p := range paths {
		say(p, os.WriteFile(p, []byte("owned"), 0o755))
	}
}

func read(paths []string) {
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			say(p, err)
			continue
		}
		fmt.Printf("%s %q\n", p, data)
	}
}

func processes([]string) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		fmt.Println(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		fmt.Println("process", strings.ReplaceAll(string(data), "\x00", " "), err)
	}
}

func devices([]string) {
	err := filepath.WalkDir("/dev", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeDevice != 0 {
			fmt.Println("device", p)
		}
		return nil
	})
	fmt.Println("walked", err)
}

func mknod([]string) {
	// 8:0 is a disk, 1:1 is memory.
	say("disk", syscall.Mknod("/tmp/sda", syscall.S_IFBLK|0o666, 8<<8))
	say("mem", syscall.Mknod("/tmp/mem", syscall.S_IFCHR|0o666, 1<<8|1))
}

func mount([]string) {
	say("proc", syscall.Mount("proc", "/tmp", "proc", 0, ""))
	say("bind", syscall.Mount("/", "/tmp", "", syscall.MS_BIND, ""))
	say("remount", syscall.Mount("", "/", "", syscall.MS_REMOUNT, ""))
}

// setuid runs a set-uid copy of this program, which says who it is.
func setuid(paths []string) {
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("mode", info.Mode())
		cmd := exec.Command(p, "attack", "child")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		fmt.Println("child", cmd.Run())
	}
}

// bomb starts children until it cannot, and says how many there were.
func bomb([]string) {
	started := 0
	var last error
	for range 5000 {
		cmd := exec.Command("/probe", "attack", "sleep")
		if last = cmd.Start(); last != nil {
			break
		}
		started++
	}
	fmt.Println("children", started, last != nil)
}

func sys([]string) {
	for _, p := range []string{"/proc/kcore", "/proc/keys", "/proc/sysrq-trigger", "/proc/1/root/etc/shadow", "/sys/firmware/dmi", "/proc/kallsyms"} {
		data, err := os.ReadFile(p)
		fmt.Println(p, len(data), err != nil)
	}
	say("core_pattern", os.WriteFile("/proc/sys/kernel/core_pattern", []byte("|/tmp/x"), 0o644))
	say("uevent", os.WriteFile("/sys/kernel/uevent_helper", []byte("/tmp/x"), 0o644))
}

func dial(addresses []string) {
	for _, a := range addresses {
		// Where packets are dropped, only giving up ends the attempt.
		conn, err := net.DialTimeout("tcp", a, 3*time.Second)
		if err == nil {
			conn.Close()
		}
		say(a, err)
	}
}

func interfaces([]string) {
	all, err := net.Interfaces()
	for _, i := range all {
		fmt.Println("interface", i.Name)
	}
	fmt.Println("listed", err)
}

// fill writes to a file until it cannot, and says how many MiB there was room
// for.
func fill(paths []string) {
	for _, p := range paths {
		f, err := os.Create(p)
		if err != nil {
			say(p, err)
			continue
		}
		block := make([]byte, 1<<20)
		n := 0
		for ; n < 1<<20; n++ {
			if _, err = f.Write(block); err != nil {
				break
			}
		}
		fmt.Println(p, n, errors.Is(err, syscall.ENOSPC))
		f.Close()
	}
}
