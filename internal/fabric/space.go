package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// space is an open namespace. It lives on while it is open, whatever becomes of its mount point.
type space struct {
	*netlink.Handle
	file *os.File
	raw  map[int]*nl.SocketHandle // for what Handle has no words for, by protocol
	news *nl.NetlinkSocket        // tells of changes to links, addresses, routes and neighbours
}

// told are the multicast groups of what a space hears of.
var told = []uint{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_TC, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE,
	unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
}

func openSpace(path string) (*space, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &space{file: file, raw: map[int]*nl.SocketHandle{}}
	err = s.do(func() error {
		if s.Handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		for _, protocol := range []int{unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER} {
			socket, err := nl.Subscribe(protocol)
			if err != nil {
				return err
			}
			s.raw[protocol] = &nl.SocketHandle{Socket: socket}
		}
		s.news, err = nl.Subscribe(unix.NETLINK_ROUTE, told...)
		return err
	})
	if err != nil {
		s.close()
		return nil, fmt.Errorf("fabric: opening %s: %w", path, err)
	}
	return s, nil
}

func (s *space) close() {
	if s.Handle != nil {
		s.Handle.Close()
	}
	for _, h := range s.raw {
		h.Socket.Close()
	}
	if s.news != nil {
		s.news.Close()
	}
	s.file.Close()
}

// do runs fn in the namespace, as [inside] does.
func (s *space) do(fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a namespace: %w", err)
		}
		return fn()
	})
}

// ask sends a request over the space's own socket and returns the answers of one type.
func (s *space) ask(protocol, message, flags int, answer uint16, body ...nl.NetlinkRequestData) ([][]byte, error) {
	return listed(func() ([][]byte, error) {
		request := nl.NewNetlinkRequest(message, flags)
		request.Sockets = s.raw
		for _, b := range body {
			request.AddData(b)
		}
		return request.Execute(protocol, answer)
	})
}

// listed repeats a listing that a change interrupted.
func listed[T any](list func() ([]T, error)) ([]T, error) {
	const attempts = 8
	for i := 1; ; i++ {
		out, err := list()
		if i == attempts || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return out, err
		}
	}
}

// Numbers of the kernel's packet filter interface (linux/netfilter/nf_tables.h).
const (
	filterMessages  = 10 << 8 // NFNL_SUBSYS_NFTABLES as a message type's high byte
	filterNewGen    = filterMessages | 15
	filterGetGen    = filterMessages | 16
	filterNewObject = filterMessages | 18
	filterGetObject = filterMessages | 19

	filterGenID          = 1
	filterObjectTable    = 1
	filterObjectName     = 2
	filterObjectType     = 3
	filterObjectData     = 4
	filterObjectCounter  = 1
	filterCounterPackets = 2
)

// generation returns a number that grows by one with each transaction that changes the packet filter.
func (s *space) generation() (uint32, error) {
	answers, err := s.ask(unix.NETLINK_NETFILTER, filterGetGen, 0, filterNewGen, &nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC})
	if err != nil {
		return 0, fmt.Errorf("fabric: reading the packet filter's generation: %w", err)
	}
	for _, a := range answers {
		var id uint32
		if len(a) < netfilterHeader {
			return 0, errMalformed
		}
		err := attributes(a[netfilterHeader:], func(kind uint16, _, value []byte) error {
			if kind == filterGenID && len(value) == 4 {
				id = binary.BigEndian.Uint32(value)
			}
			return nil
		})
		if err == nil && id != 0 {
			return id, nil
		}
	}
	return 0, errMalformed
}
