package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	pb "parley/api/interop/v1"
	"parley/api/interop/v1/interopv1connect"
	"parley/mls/suite"
)

// within is how long any one call may take on the slowest machine.
const within = time.Minute

// serveOne runs a client under test until the test ends, and returns its URL.
func serveOne(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, newService(offered(true))) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// dial speaks gRPC over HTTP/2 without TLS, as the runner does.
func dial(t *testing.T, url string, o ...connect.ClientOption) interopv1connect.MLSClientClient {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return interopv1connect.NewMLSClientClient(&http.Client{Transport: tr}, url, o...)
}

// A stage is where a scenario is played: two clients under test take turns in
// playing its actors.
type stage struct {
	*testing.T
	clients [2]interopv1connect.MLSClientClient
	suite   uint32
	private bool
	cast    int
}

// An actor is what the runner remembers of one name in a scenario.
type actor struct {
	*stage
	name string
	rpc  interopv1connect.MLSClientClient
	id   uint32 // state, transaction, reinit or signer
	auth []byte // epoch authenticator
}

func (s *stage) actor(name string) *actor {
	s.cast++
	return &actor{stage: s, name: name, rpc: s.clients[s.cast%2]}
}

func (s *stage) actors(n int) []*actor {
	list := make([]*actor, n)
	for i := range list {
		list[i] = s.actor(fmt.Sprintf("actor %d", i))
	}
	return list
}

// call makes a call that must succeed.
func call[Req, Resp any](
	s *stage, rpc func(context.Context, *connect.Request[Req]) (*connect.Response[Resp], error), req *Req,
) *Resp {
	s.Helper()
	resp, err := try(rpc, req)
	if err != nil {
		s.Fatalf("%T: %v", req, err)
	}
	return resp
}

// try makes a call that may fail.
func try[Req, Resp any](rpc func(context.Context, *connect.Request[Req]) (*connect.Response[Resp], error), req *Req) (*Resp, error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	resp, err := rpc(ctx, connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return resp.Msg, nil
}

// refused makes a call that must fail with a code.
func refused[Req, Resp any](
	s *stage, rpc func(context.Context, *connect.Request[Req]) (*connect.Response[Resp], error), req *Req, want connect.Code,
) {
	s.Helper()
	if _, err := try(rpc, req); connect.CodeOf(err) != want {
		s.Fatalf("%T: %v instead of %v", req, err, want)
	}
}

func (a *actor) create() {
	a.Helper()
	a.id = call(a.stage, a.rpc.CreateGroup, &pb.CreateGroupRequest{
		GroupId: []byte("the group"), CipherSuite: a.suite, EncryptHandshake: a.private, Identity: []byte(a.name),
	}).StateId
}

// keyPackage makes a a joiner.
func (a *actor) keyPackage() []byte {
	a.Helper()
	r := call(a.stage, a.rpc.CreateKeyPackage, &pb.CreateKeyPackageRequest{CipherSuite: a.suite, Identity: []byte(a.name)})
	if len(r.InitPriv) == 0 || len(r.EncryptionPriv) == 0 || len(r.SignaturePriv) == 0 {
		a.Fatal("key package without its private keys")
	}
	a.id = r.TransactionId
	return r.KeyPackage
}

func (a *actor) join(c *pb.CommitResponse) {
	a.Helper()
	r := call(a.stage, a.rpc.JoinGroup, &pb.JoinGroupRequest{
		TransactionId: a.id, Welcome: c.Welcome, EncryptHandshake: a.private,
		Identity: []byte(a.name), RatchetTree: c.RatchetTree,
	})
	a.id, a.auth = r.StateId, r.EpochAuthenticator
}

// commits makes a commit, which a and the others apply and the joiners join
// by, and sees that all agree.
func (a *actor) commits(r *pb.CommitRequest, others, joiners []*actor) {
	a.Helper()
	r.StateId = a.id
	c := call(a.stage, a.rpc.Commit, r)
	if len(c.RatchetTree) > 0 != r.ExternalTree {
		a.Fatalf("tree of %d bytes; asked for: %v", len(c.RatchetTree), r.ExternalTree)
	}
	a.auth = call(a.stage, a.rpc.HandlePendingCommit, &pb.HandlePendingCommitRequest{StateId: a.id}).EpochAuthenticator
	a.handled(c.Commit, r.ByReference, others)
	for _, b := range joiners {
		b.join(c)
	}
	a.agree(append(joiners, others...))
}

// handled lets others apply a commit.
func (a *actor) handled(commit []byte, proposals [][]byte, others []*actor) {
	a.Helper()
	for _, b := range others {
		r := call(a.stage, b.rpc.HandleCommit, &pb.HandleCommitRequest{StateId: b.id, Proposal: proposals, Commit: commit})
		b.id, b.auth = r.StateId, r.EpochAuthenticator
	}
}

func (a *actor) agree(others []*actor) {
	a.Helper()
	for _, b := range others {
		if len(a.auth) == 0 || !bytes.Equal(a.auth, b.auth) {
			a.Fatalf("%s and %s are not in the same epoch", a.name, b.name)
		}
	}
}

// group makes a group of all actors, founded by the first.
func group(list []*actor) {
	a := list[0]
	a.Helper()
	a.create()
	if len(list) == 1 {
		return
	}
	r := new(pb.CommitRequest)
	for _, b := range list[1:] {
		r.ByValue = append(r.ByValue, &pb.ProposalDescription{ProposalType: []byte("add"), KeyPackage: b.keyPackage()})
	}
	a.commits(r, nil, list[1:])
}

// talk sends a message from everybody to everybody.
func talk(list []*actor) {
	for _, a := range list {
		a.Helper()
		m := call(a.stage, a.rpc.Protect, &pb.ProtectRequest{StateId: a.id, AuthenticatedData: []byte("to all"), Plaintext: []byte(a.name)})
		for _, b := range list {
			if a == b {
				continue
			}
			r := call(a.stage, b.rpc.Unprotect, &pb.UnprotectRequest{StateId: b.id, Ciphertext: m.Ciphertext})
			if string(r.Plaintext) != a.name || string(r.AuthenticatedData) != "to all" {
				a.Fatalf("%s reads %q", b.name, r.Plaintext)
			}
		}
	}
}

// psk gives a pre-shared key to all, and returns its id.
func psk(id string, list ...*actor) []byte {
	for _, a := range list {
		a.Helper()
		call(a.stage, a.rpc.StorePSK, &pb.StorePSKRequest{
			StateOrTransactionId: a.id, PskId: []byte(id), PskSecret: []byte("secret of " + id),
		})
	}
	return []byte(id)
}

// play runs scenes for all suites of RFC 9420, with handshake messages in the
// clear and encrypted.
func play(t *testing.T, scenes map[string]func(*stage)) {
	s := stage{}
	for i := range s.clients {
		s.clients[i] = dial(t, serveOne(t), connect.WithGRPC())
	}
	for _, id := range offered(false) {
		for _, private := range []bool{false, true} {
			for name, scene := range scenes {
				t.Run(fmt.Sprintf("%s/suite %d/private %v", name, id, private), func(t *testing.T) {
					scene(&stage{T: t, clients: s.clients, suite: uint32(id), private: private})
				})
			}
		}
	}
}

// otherSuite is one that is not s's.
func (s *stage) otherSuite() uint32 {
	if s.suite == uint32(suite.X25519AES128SHA256Ed25519) {
		return uint32(suite.P256AES128SHA256P256)
	}
	return uint32(suite.X25519AES128SHA256Ed25519)
}
