// Package api holds the calls that cross machines, as .proto files, and what is
// generated from them.
//
//	device/v1  a device and its gateway   (Connect: gRPC, gRPC-Web, JSON)
//	enroll/v1  a device and the enrolment service of its site (Connect)
//	lookup/v1  anybody and the lookup service of a site (Connect)
//	unwrap/v1  a device and an unwrap service of a CoI (Connect)
//	link/v1    a node and another node    (frames on QUIC streams)
//	interop/v1 the MLS interop harness and cmd/mls-interop (gRPC); theirs, in our words
//
// What is signed or hashed is never protobuf: it travels here as bytes of the
// presentation language (see mls/wire, groups). This package knows messages, it
// must not know what they mean.
package api

//go:generate ./generate.sh
