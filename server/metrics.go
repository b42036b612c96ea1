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
)

// metrics counts calls by path and status. Neither says whose they were.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	messages *prometheus.CounterVec
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
	m.registry.MustRegister(m.calls, m.seconds, m.messages)
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

func (m *metrics) observe(path string, status int, took time.Duration) {
	m.calls.WithLabelValues(path, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(path).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
