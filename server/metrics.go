package server

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"readmit.dev/readmit/message"
	"readmit.dev/readmit/signal"
)

// metrics counts calls by path and status. Neither says whose they were.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	messages *prometheus.CounterVec
	signals  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "readmit_calls_total", Help: "Signed calls, by path and HTTP status.",
		}, []string{"path", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "readmit_call_seconds", Help: "Time from the first byte read to the answer, by path.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}, []string{"path"}),
	}
	m.messages = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "readmit_messages_total", Help: "Tries to send a message, by kind of address and what came of it: sent, failed (it is tried again) or given-up.",
	}, []string{"channel", "outcome"})
	m.signals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "readmit_signals_total", Help: "Signals to services, by service and what came of it: delivered, failed (it is tried again) or parked.",
	}, []string{"service", "outcome"})
	m.registry.MustRegister(m.calls, m.seconds, m.messages, m.signals)
	return m
}

func (m *metrics) message(channel, outcome string) {
	m.messages.WithLabelValues(channel, outcome).Inc()
}

// waiting shows how many messages wait; where the store does not say, nothing is shown.
func (m *metrics) waiting(o *message.Outbox) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "readmit_messages_waiting", Help: "Messages that are neither sent nor given up, counted up to a thousand.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n, err := o.Waiting(ctx)
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	}))
}

func (m *metrics) signal(service, outcome string) {
	m.signals.WithLabelValues(service, outcome).Inc()
}

// spreading shows how far the news of changes has come.
func (m *metrics) spreading(o *signal.Outbox, t *signal.Tail, now func() time.Time) {
	m.registry.MustRegister(&spreading{
		outbox: o, tail: t, now: now,
		waiting: prometheus.NewDesc("readmit_receipts_waiting", "Changes that a service has not taken yet.", []string{"service"}, nil),
		lag:     prometheus.NewDesc("readmit_service_lag_seconds", "How old the oldest of them is; 0 for a service that has them all.", []string{"service"}, nil),
		parked:  prometheus.NewDesc("readmit_service_parked", "Whether a service is parked: it gets nothing until it is resumed.", []string{"service"}, nil),
		age:     prometheus.NewDesc("readmit_tail_age_seconds", "How old this node's knowledge of changes is; beyond 1 it checks no tokens.", nil, nil),
	})
}

type spreading struct {
	outbox                    *signal.Outbox
	tail                      *signal.Tail
	now                       func() time.Time
	waiting, lag, parked, age *prometheus.Desc
}

func (s *spreading) Describe(out chan<- *prometheus.Desc) {
	out <- s.waiting
	out <- s.lag
	out <- s.parked
	out <- s.age
}

func (s *spreading) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(s.age, prometheus.GaugeValue, s.tail.Age().Seconds())
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	list, err := s.outbox.List(ctx)
	if err != nil {
		return // the age says that the store does not answer
	}
	for _, l := range list {
		lag, parked := 0.0, 0.0
		if l.Waiting > 0 {
			lag = max(0, s.now().Sub(l.Oldest).Seconds())
		}
		if signal.Parked(l.Service) {
			parked = 1
		}
		out <- prometheus.MustNewConstMetric(s.waiting, prometheus.GaugeValue, float64(l.Waiting), l.Name)
		out <- prometheus.MustNewConstMetric(s.lag, prometheus.GaugeValue, lag, l.Name)
		out <- prometheus.MustNewConstMetric(s.parked, prometheus.GaugeValue, parked, l.Name)
	}
}

// sent shows what was sent to a store that is elsewhere.
func (m *metrics) sent(counts func() (roundTrips, statements, retries int64)) {
	for _, c := range []struct {
		name, help string
		of         func() int64
	}{
		{"readmit_store_round_trips_total", "Round trips to the store.", func() int64 { n, _, _ := counts(); return n }},
		{"readmit_store_statements_total", "Statements sent to the store.", func() int64 { _, n, _ := counts(); return n }},
		{"readmit_store_retries_total", "Transactions run again, mostly because they met another.", func() int64 { _, _, n := counts(); return n }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return float64(c.of()) }))
	}
}

func (m *metrics) observe(path string, status int, took time.Duration) {
	m.calls.WithLabelValues(path, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(path).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
