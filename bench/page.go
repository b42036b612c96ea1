package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const (
	// visits is how often the first page is opened.
	visits = 20
	// tabRests is how long a tab is there before an address is typed in it. What
	// a browser does to open one, and to have a process ready for the next site,
	// is over by then; people take longer.
	tabRests = time.Second
)

// partPage opens the first page in Chromium, each time as somebody who was
// never there: no connection is open and nothing is kept.
func (b *bench) partPage() error {
	options := []chromedp.ExecAllocatorOption{chromedp.Flag("disable-dev-shm-usage", true)}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(options...))
	defer stop()
	if err := b.cores.unpinned(func() error { return chromedp.Do(ctx) }); err != nil {
		return fmt.Errorf("Chromium does not start; `make deps` installs it: %w", err)
	}
	plain, end, err := servePlain()
	if err != nil {
		return err
	}
	defer end()
	var painted, usable, answered, floor []float64
	for range visits + 2 { // the first two warm the browser
		v, err := visit(ctx, "http://"+b.server.address+"/")
		if err != nil {
			return err
		}
		answered, painted, usable = append(answered, v.Answered), append(painted, v.Painted), append(usable, v.Usable)
		if v, err = visit(ctx, plain); err != nil {
			return err
		}
		floor = append(floor, v.Painted)
	}
	note := func(all []float64) string {
		return fmt.Sprintf("median of %d in headless Chromium with nothing kept, the slowest %.0f ms; answered after %.0f ms", visits, slices.Max(all[2:]), middle(answered[2:]))
	}
	b.rows = append(b.rows, row{
		What: "a page of one word, to its first picture", Wanted: "the browser's share", Measured: middle(floor[2:]), Unit: "ms", Good: true,
		Note: fmt.Sprintf("visited in turn with the first page, the slowest %.0f ms", slices.Max(floor[2:])),
	})
	b.below("first page, to its first picture", 200, middle(painted[2:]), "ms", note(painted))
	b.below("first page, until it can be used", 200, middle(usable[2:]), "ms", note(usable))
	return nil
}

// servePlain serves a page of one word: the browser's own share of a visit. It
// returns the page's address and what ends it.
func servePlain() (string, func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>plain</title>plain<script>performance.mark('usable')</script>")
	})}
	go s.Serve(l)
	return "http://" + l.Addr().String() + "/", func() { s.Close() }, nil
}

// visited are times of one visit, in milliseconds since it was begun.
type visited struct{ Answered, Painted, Usable float64 }

func visit(browser context.Context, url string) (v visited, err error) {
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, unwatched); err != nil {
		return v, err
	}
	time.Sleep(tabRests)
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return v, err
	}
	return chromedp.Run(ctx, chromedp.Evaluate[visited](`new Promise((done) => {
		const look = () => {
			const [page] = performance.getEntriesByType("navigation");
			const [paint] = performance.getEntriesByName("first-contentful-paint");
			const [usable] = performance.getEntriesByName("usable");
			if (page && paint && usable) done({ Answered: page.responseEnd, Painted: paint.startTime, Usable: usable.startTime });
			else setTimeout(look, 20);
		};
		look();
	})`, chromedp.EvalAwaitPromise))
}

// unwatched ends what a page is watched for that tests need and people do not
// have: each request, each rule of the style and each element was a message.
func unwatched(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	for _, disable := range []cdp.Command[cdp.Empty, cdp.Empty]{css.Disable, dom.Disable, network.Disable, log.Disable} {
		if _, err := cdp.Call(ctx, t, disable, cdp.Empty{}); err != nil {
			return chromedp.Void{}, err
		}
	}
	return chromedp.Void{}, nil
}

func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
