package web_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"readmit.dev/readmit/device"
)

// TestProofs holds the browser's proofs against package device: what one signs
// the other takes, and the private key cannot be taken out.
func TestProofs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := newPerson(t, newBrowser(t), s.url, "browser")
	p.open("/")
	var got struct {
		Proof  string
		Export string
		Code   string
	}
	prefix := run(p, chromedp.Evaluate[string](`document.querySelector("script[type=module]").src.replace("home.js", "")`))
	out := run(p, chromedp.Evaluate[string](fmt.Sprintf(`(async () => {
		const device = await import(%[1]q + "device.js");
		const codes = await import(%[1]q + "codes.js");
		const keys = await device.newKey();
		const Proof = await device.prove(keys, {url: "https://id.example.org/v1/token", nonce: "n", body: '{"ä":"€"}'});
		const Export = await crypto.subtle.exportKey("jwk", keys.privateKey).then(() => "taken", (e) => e.name);
		const Code = await codes.atStep(await codes.secretKey(new TextEncoder().encode("12345678901234567890123456789012")), 1);
		return JSON.stringify({Proof, Export, Code});
	})()`, prefix), chromedp.EvalAwaitPromise))
	must(t, json.Unmarshal([]byte(out), &got))
	seen, err := device.Verify(got.Proof, device.Expectation{Method: "POST", URL: "https://id.example.org/v1/token", Body: []byte(`{"ä":"€"}`)})
	if err != nil || seen.Nonce != "n" || time.Since(seen.Time).Abs() > time.Minute {
		t.Errorf("the proof: %+v, %v", seen, err)
	}
	if _, err := device.Verify(got.Proof, device.Expectation{Method: "POST", URL: "https://id.example.org/v1/token", Body: []byte(`{}`)}); err == nil {
		t.Error("the proof is good for another body")
	}
	if got.Export != "InvalidAccessError" {
		t.Errorf("the private key: %s", got.Export)
	}
	if got.Code != "119246" { // RFC 6238, appendix B: 46119246, of which we show six
		t.Errorf("the code of the RFC's first row is %s", got.Code)
	}
}
