package federation

import "github.com/prometheus/client_golang/prometheus"

// metrics is what this package counts.
type metrics struct {
	links       *prometheus.GaugeVec   // by site
	refused     *prometheus.CounterVec // handshakes, by kind
	dials       *prometheus.CounterVec // by site and result
	bytesIn     *prometheus.CounterVec // by lane
	bytesOut    *prometheus.CounterVec // by lane
	entriesIn   prometheus.Counter
	entriesOut  prometheus.Counter
	resubscribe *prometheus.CounterVec // by reason
	parked      prometheus.Gauge
	faults      *prometheus.CounterVec // what peers sent and we refused, by kind
	reports     *prometheus.CounterVec
	relayed     *prometheus.CounterVec // submissions sent to an owner, by result
	served      *prometheus.CounterVec // submissions of peers, by result
	claims      *prometheus.CounterVec // by result
	blobs       *prometheus.CounterVec // by result
	dropped     *prometheus.CounterVec // by what and why
}

func newMetrics(r prometheus.Registerer) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "parley", Subsystem: "federation", Name: name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	one := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "parley", Subsystem: "federation", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	m := &metrics{
		links:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "parley", Subsystem: "federation", Name: "links", Help: "Links that are up."}, []string{"site"}),
		refused:     vec("handshakes_refused_total", "Certificates that were refused.", "kind"),
		dials:       vec("dials_total", "Dials to other nodes.", "site", "result"),
		bytesIn:     vec("bytes_in_total", "Bytes of frames read.", "lane"),
		bytesOut:    vec("bytes_out_total", "Bytes of frames written.", "lane"),
		entriesIn:   one("entries_in_total", "Entries replicated to this node."),
		entriesOut:  one("entries_out_total", "Entries sent to followers."),
		resubscribe: vec("resubscribes_total", "Subscriptions begun again.", "reason"),
		parked:      prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "parley", Subsystem: "federation", Name: "parked_rooms", Help: "Rooms that are not followed because of a bad entry."}),
		faults:      vec("faults_total", "What peers sent that this node can not accept: entries, frames, requests.", "kind"),
		reports:     vec("reports_total", "Heads of rooms of this node that peers showed, and that its log did not hold.", "result"),
		relayed:     vec("relayed_total", "Submissions relayed to a room's owner.", "result"),
		served:      vec("served_submissions_total", "Submissions relayed to this node.", "result"),
		claims:      vec("claims_total", "Users asked for in claims of peers.", "result"),
		blobs:       vec("blobs_total", "Blobs fetched from peers.", "result"),
		dropped:     vec("dropped_total", "What was dropped at a bound.", "what"),
	}
	r.MustRegister(m.links, m.parked)
	return m
}
