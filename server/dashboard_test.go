package server

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"readmit.dev/readmit/message"
	"readmit.dev/readmit/signal"
)

var metricName = regexp.MustCompile(`readmit_[a-z_]+`)

// What the dashboard and the page for operators name is what the server shows,
// and both have all of it.
func TestDashboard(t *testing.T) {
	names := map[string]bool{}
	for _, d := range described() {
		names[d] = true
	}
	bare := regexp.MustCompile(`_(bucket|sum|count)$`)
	for _, file := range []string{"../docs/grafana.json", "../docs/operations.md"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, name := range metricName.FindAllString(string(b), -1) {
			name = bare.ReplaceAllString(name, "")
			if !names[name] {
				t.Errorf("%s names %s, which the server does not show", file, name)
			}
			seen = append(seen, name)
		}
		for name := range names {
			if !slices.Contains(seen, name) {
				t.Errorf("%s does not name %s", file, name)
			}
		}
	}
}

var describedName = regexp.MustCompile(`fqName: "([^"]+)"`)

// described are the names of all that a node on PostgreSQL shows, whether there
// is a value yet or not.
func described() []string {
	m := newMetrics()
	m.waiting(&message.Outbox{})
	m.spreading(&signal.Outbox{}, &signal.Tail{}, time.Now)
	m.sent(func() (roundTrips, statements, retries int64) { return 0, 0, 0 })
	out := make(chan *prometheus.Desc)
	go func() {
		m.registry.Describe(out)
		close(out)
	}()
	var all []string
	for d := range out {
		if found := describedName.FindStringSubmatch(d.String()); found != nil {
			all = append(all, found[1])
		}
	}
	return all
}
