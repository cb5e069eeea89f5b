package fetch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// T09: whoever can make the server fetch a URL must not reach what only the
// server can reach.
func TestPrivateAddressesAreRefused(t *testing.T) {
	reached := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer srv.Close()
	port := srv.Listener.Addr().String()[strings.LastIndex(srv.Listener.Addr().String(), ":"):]
	c := New(nil, srv.Client().Transport.(*http.Transport).TLSClientConfig)
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"} {
		if _, err := c.Get(context.Background(), "https://"+host+port+"/keys"); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want a refusal", host, err)
		}
	}
	if reached {
		t.Fatal("the server was reached")
	}
}

func TestJudgement(t *testing.T) {
	for addr, want := range map[string]bool{
		"10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "127.8.8.8": false,
		"100.64.0.1": false, "192.0.2.1": false, "224.0.0.1": false, "255.255.255.255": false, "::": false, "fe80::1": false,
		"fd00::1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2606:4700::1111": true, "9.9.9.9": true,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("public(%s) = %v", addr, got)
		}
	}
}

func TestOperatorMayNameAHost(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			return
		}
		w.Write([]byte("keys"))
	}))
	defer srv.Close()
	c := New([]string{srv.Listener.Addr().String()}, nil)
	if body, err := c.Get(context.Background(), srv.URL+"/keys"); err != nil || string(body) != "keys" {
		t.Fatalf("%q, %v", body, err)
	}
	if _, err := c.Get(context.Background(), srv.URL+"/elsewhere"); err == nil {
		t.Fatal("a redirect was followed")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, MaxBody+1)) }))
	defer srv.Close()
	if _, err := New([]string{srv.Listener.Addr().String()}, nil).Get(context.Background(), srv.URL); err == nil {
		t.Fatal("an unbounded answer was read")
	}
}

// What the operator named may be private, but never this machine.
func TestElsewhereIsNotHere(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	own, err := ownAddresses()
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1", "localhost", "127.1.2.3", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255"}
	for _, a := range own {
		if a.Is4() {
			hosts = append(hosts, a.String())
		}
	}
	for _, host := range hosts {
		c, err := Elsewhere(t.Context(), net.JoinHostPort(host, port))
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", host, err)
		}
	}
}
