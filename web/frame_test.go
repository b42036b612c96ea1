package web_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestFrames: a page of another origin that frames the pages shows nothing of
// them; a frame of that origin's own shows that frames work there.
func TestFrames(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	paths := []string{"/?add", "/sign-up", "/recover", "/account", "/incident/4K7Q-9FXM", "/nothing/here"}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path != "/" {
			fmt.Fprint(w, "a frame of its own")
			return
		}
		fmt.Fprint(w, `<iframe src="/own"></iframe>`)
		for _, path := range paths {
			fmt.Fprintf(w, `<iframe src="%s%s"></iframe>`, s.url, path)
		}
	}))
	defer evil.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(evil.URL, "http://"))
	must(t, err)

	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	defer stop()
	// No newPerson: here the browser has to complain.
	visitor := &person{t, "visitor", ctx, "http://localhost:" + port}
	must(t, chromedp.Do(ctx))
	var mu sync.Mutex
	blocked := 0
	must(t, chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && strings.Contains(e.Entry.Text, "frame-ancestors") {
			mu.Lock()
			defer mu.Unlock()
			blocked++
		}
	}))
	visitor.open("/")
	visitor.until(`document.readyState === "complete"`)
	tree := run(visitor, func(ctx context.Context, t *chromedp.Target) (*page.FrameTree, error) {
		r, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
		return r.FrameTree, err
	})
	if len(tree.ChildFrames) != 1+len(paths) {
		t.Fatalf("%d frames are seen", len(tree.ChildFrames))
	}
	if own := tree.ChildFrames[0].Frame; own.URL != visitor.url+"/own" || !visitor.holds(`frames[0].document.body.textContent === "a frame of its own"`) {
		t.Errorf("frames show nothing at all here: %s", own.URL)
	}
	for i, path := range paths {
		if f := tree.ChildFrames[1+i].Frame; !strings.HasPrefix(f.URL, "chrome-error:") {
			t.Errorf("%s is framed: %s", path, f.URL)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if blocked != len(paths) {
		t.Errorf("%d frames were blocked by the pages' policy, want %d", blocked, len(paths))
	}
	must(t, os.WriteFile(filepath.Join(screens, "framed.png"), run(visitor, picture), 0o644))
}
