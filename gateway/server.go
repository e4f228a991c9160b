package gateway

import (
	"net/http"
	"sync"

	"connectrpc.com/connect"

	"parley/api/device/v1/devicev1connect"
	"parley/groups"
)

// A Server answers devices, from New on through Serve.
type Server struct {
	config     Config
	metrics    *metrics
	challenges *challenges
	devices    *devices
	sessions   *sessions
	rings      *rings
	stalls     *stalls
	handler    http.Handler

	draining chan struct{} // closed when the server begins to stop
	drain    sync.Once
	calls    activity // calls that run now
	tcp, udp activity // connections that are open now
}

// A service is a Server seen by devices: its methods are the calls of
// DeviceService. Tail has a handler of its own.
type service struct {
	devicev1connect.UnimplementedDeviceServiceHandler
	*Server
}

// New makes a Server; Serve runs it. A Config that lacks something is Invalid.
func New(c Config) (*Server, error) {
	if f := c.missing(); f != "" {
		return nil, groups.Errorf(groups.Invalid, "gateway: Config.%s is not set", f)
	}
	c = c.withDefaults()
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config:     c,
		metrics:    m,
		challenges: newChallenges(),
		devices:    newDevices(c.Limits),
		rings:      newRings(c.Log, c.Limits),
		stalls:     newStalls(c.Limits.StallTimeout, m.stalled),
		draining:   make(chan struct{}),
	}
	s.sessions = newSessions(c.Limits, s.devices)
	s.handler = s.routes()
	return s, nil
}

// routes mounts the calls. Tail has a handler of its own, whose responses are
// frames encoded once for many readers; the longer pattern wins.
func (s *Server) routes() http.Handler {
	options := []connect.HandlerOption{
		connect.WithRequestGate(s.gate),
		connect.WithInterceptors(&interceptor{s}),
		connect.WithCodec(protoCodec{}),
		connect.WithCodec(jsonCodec{name: "json"}),
		connect.WithCodec(jsonCodec{name: "json; charset=utf-8"}),
		connect.WithCompression("gzip", nil, nil), // ciphertext does not shrink, and nothing inflates here
		connect.WithConditionalHandlerOptions(readLimits),
	}
	mux := http.NewServeMux()
	mux.Handle(devicev1connect.NewDeviceServiceHandler(&service{Server: s}, options...))
	mux.Handle(devicev1connect.DeviceServiceTailProcedure,
		connect.NewServerStreamHandler(devicev1connect.DeviceServiceTailProcedure, s.tail, options...))
	return mux
}

// Bounds of a request by call. A longer one is refused by its length, before
// it is read.
const (
	maxLogin   = 32 << 10  // before there is a session
	maxRequest = 1 << 20   // of most calls
	maxChunk   = 256 << 10 // a blob's chunk and what is around it
	maxFrame   = groups.MaxFrame
)

func readLimits(spec connect.Spec) []connect.HandlerOption {
	limit := maxRequest
	switch spec.Procedure {
	case devicev1connect.DeviceServiceChallengeProcedure, devicev1connect.DeviceServiceLoginProcedure:
		limit = maxLogin
	case devicev1connect.DeviceServiceSubmitProcedure, devicev1connect.DeviceServiceSubmitStreamProcedure,
		devicev1connect.DeviceServiceTailProcedure, devicev1connect.DeviceServiceAckProcedure:
		limit = maxFrame
	case devicev1connect.DeviceServicePutBlobProcedure:
		limit = maxChunk
	}
	return []connect.HandlerOption{connect.WithReadMaxBytes(limit)}
}
