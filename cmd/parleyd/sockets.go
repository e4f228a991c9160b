package main

import (
	"errors"
	"fmt"
	"net"
)

// sockets are what a node listens on. A simulation gives its own.
type sockets struct {
	tcp   net.Listener   // devices: HTTP/1.1 and 2
	udp   net.PacketConn // devices: HTTP/3 on the same port; nil: not served
	links net.PacketConn // other nodes
	admin net.Listener   // loopback
}

// listen binds the addresses of a config, all or none.
func listen(c *config) (*sockets, error) {
	s := &sockets{}
	var err error
	if s.tcp, s.udp, err = listenBoth(c.Gateway.Listen); err != nil {
		return nil, fmt.Errorf("gateway.listen: %w", err)
	}
	if s.links, err = net.ListenPacket("udp", c.Federation.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("federation.listen: %w", err), s.close())
	}
	if s.admin, err = net.Listen("tcp", c.Admin.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("admin.listen: %w", err), s.close())
	}
	return s, nil
}

// listenBoth takes one port number for TCP and UDP. With port 0 the UDP socket
// follows what TCP was given.
func listenBoth(addr string) (net.Listener, net.PacketConn, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	return tcp, udp, nil
}

// close closes what is open.
func (s *sockets) close() error {
	var errs []error
	if s.tcp != nil {
		errs = append(errs, s.tcp.Close())
	}
	if s.udp != nil {
		errs = append(errs, s.udp.Close())
	}
	if s.links != nil {
		errs = append(errs, s.links.Close())
	}
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	return errors.Join(errs...)
}
