package gateway

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"parley/groups"
)

// metrics counts what a Server does. The labels are closed lists.
type metrics struct {
	refusals    *prometheus.CounterVec // by kind
	logins      prometheus.Counter
	submissions prometheus.Counter // handed to the Submitter
	deliveries  prometheus.Counter // entries written to tails
	responses   prometheus.Counter // writes to tails: deliveries come together
	stalled     prometheus.Counter // streams ended because nobody read
	lostSignals prometheus.Counter // signals dropped at a full tail
	tails       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "parley", Subsystem: "gateway", Name: name, Help: help})
	}
	m := &metrics{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "parley", Subsystem: "gateway", Name: "refusals_total", Help: "Refused calls and submissions.",
		}, []string{"kind"}),
		logins:      counter("logins_total", "Sessions given out."),
		submissions: counter("submissions_total", "Submissions handed on."),
		deliveries:  counter("deliveries_total", "Entries written to tails."),
		responses:   counter("tail_responses_total", "Writes to tails."),
		stalled:     counter("stalled_total", "Streams ended because nobody read them."),
		lostSignals: counter("lost_signals_total", "Signals dropped at a full tail."),
		tails: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "parley", Subsystem: "gateway", Name: "tails", Help: "Tails that run now.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.refusals, m.logins, m.submissions, m.deliveries, m.responses, m.stalled, m.lostSignals, m.tails} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// refused counts one refusal.
func (m *metrics) refused(k groups.Kind) { m.refusals.WithLabelValues(k.String()).Inc() }
