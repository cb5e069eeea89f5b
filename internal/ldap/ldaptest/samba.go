package ldaptest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
	"unicode/utf16"

	wire "github.com/go-ldap/ldap/v3"
)

// What an Active Directory of a test has.
const (
	ADPassword = "Passw0rd.Passw0rd" // everybody's
	ADReader   = "bawn@example.test"
	ADUsers    = "cn=users," + Base
)

// A Samba is a running Active Directory, at the ports that such a one has.
type Samba struct {
	*Slapd
	URL string
}

// StartSamba starts Samba as a domain controller. Its ports are fixed, so that one
// runs at a time.
func StartSamba(t testing.TB) *Samba {
	t.Helper()
	if _, err := exec.LookPath("samba-tool"); err != nil {
		t.Fatal("the Debian packages samba, samba-ad-provision, samba-dsdb-modules, samba-vfs-modules and winbind are needed")
	}
	if os.Getuid() != 0 {
		t.Skip("a domain controller runs as root only")
	}
	for _, p := range []string{"389", "636"} {
		l, err := net.Listen("tcp", "127.0.0.1:"+p)
		if err != nil {
			t.Skipf("another directory runs on this machine: %v", err)
		}
		l.Close()
	}
	dir, err := os.MkdirTemp("", "samba")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Samba{&Slapd{t: t, dir: dir}, "ldaps://localhost"}
	out, err := exec.Command("samba-tool", "domain", "provision", "--realm=EXAMPLE.TEST", "--domain=EXAMPLE", "--adminpass="+ADPassword,
		"--targetdir="+dir, "--server-role=dc", "--dns-backend=NONE", "--option=posix:eadb="+dir+"/eadb.tdb", "--host-ip=127.0.0.1", "--host-name=dc1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ca, cert, key := Certificates(t)
	s.CA = string(ca)
	s.file("ca.pem", ca)
	s.file("cert.pem", cert)
	s.file("key.pem", key)
	config, err := os.ReadFile(filepath.Join(dir, "etc", "smb.conf"))
	if err != nil {
		t.Fatal(err)
	}
	config = regexp.MustCompile(`(?m)^\s*(server services|log file) =.*$`).ReplaceAll(config, nil)
	config = bytes.Replace(config, []byte("[global]"), fmt.Appendf(nil, `[global]
	server services = ldap
	interfaces = lo
	bind interfaces only = yes
	pid directory = %[1]s
	ncalrpc dir = %[1]s/ncalrpc
	winbindd socket directory = %[1]s/winbind
	log file = %[1]s/log
	tls enabled = yes
	tls cafile = %[1]s/ca.pem
	tls certfile = %[1]s/cert.pem
	tls keyfile = %[1]s/key.pem
`, dir), 1)
	s.file("etc/smb.conf", config)
	s.serve()
	s.User("bawn")
	return s
}

func (s *Samba) serve() {
	s.t.Helper()
	var log bytes.Buffer
	s.cmd = exec.Command("samba", "-i", "-M", "single", "--configfile="+filepath.Join(s.dir, "etc", "smb.conf"))
	s.cmd.Stdout, s.cmd.Stderr = &log, &log
	input, err := s.cmd.StdinPipe() // at whose end it would end
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	s.t.Cleanup(func() {
		if s.root != nil {
			s.root.Close()
		}
		input.Close()
		_ = s.cmd.Process.Kill()
		<-done
	})
	for s.root == nil {
		select {
		case <-done:
			s.t.Fatalf("samba ended before it was ready\n%s", &log)
		case <-time.After(50 * time.Millisecond):
		}
		s.root = s.Administrator()
	}
}

// Administrator is a connection that may do everything; nil if the server is not ready.
func (s *Samba) Administrator() *wire.Conn {
	config, err := tlsConfig(s.CA)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := wire.DialURL(s.URL, wire.DialWithTLSConfig(config))
	if err != nil {
		return nil
	}
	if err := l.Bind("administrator@example.test", ADPassword); err != nil {
		l.Close()
		return nil
	}
	return l
}

// User adds somebody, and answers her DN.
func (s *Samba) User(name string) string {
	s.t.Helper()
	return s.Entry("cn="+name+","+ADUsers, "objectClass", "user", "sAMAccountName", name, "userPrincipalName", name+"@example.test",
		"givenName", name, "sn", "Example", "displayName", name+" Example", "unicodePwd", quoted(ADPassword), "userAccountControl", "512")
}

// quoted is a password as Active Directory takes it.
func quoted(password string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

// Team adds a group.
func (s *Samba) Team(name string, members ...string) string {
	s.t.Helper()
	pairs := []string{"objectClass", "group", "sAMAccountName", name}
	for _, m := range members {
		pairs = append(pairs, "member", m)
	}
	return s.Entry("cn="+name+","+ADUsers, pairs...)
}
