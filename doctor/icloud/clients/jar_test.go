package clients

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Jars that Python wrote, with what their readers trip over.
func TestJar(t *testing.T) {
	w := newWorld(t)
	at := func(d time.Duration) int64 { return w.Now().Add(d).Unix() }
	read := func(drop bool, cookies ...planted) jar {
		t.Helper()
		b, err := os.ReadFile(w.jarFile("/jar", drop, cookies...))
		if err != nil {
			t.Fatal(err)
		}
		j := readJar(b)
		if j.damaged {
			t.Errorf("whole, and called damaged:\n%s", b)
		}
		return j
	}
	until := func(j jar, want time.Duration) {
		t.Helper()
		if got, ok := j.until(); !ok || !got.Equal(w.Now().Add(want)) {
			t.Errorf("until %v (%v), want %v", got, ok, w.Now().Add(want))
		}
	}

	// Whichever of the two ends first, and the newest of several of one name.
	until(read(false, planted{userCookie, "x", ".icloud.com", at(30 * day)}, planted{trustCookie, "x", ".icloud.com", at(9 * day)}), 9*day)
	until(read(false, planted{userCookie, "x", ".icloud.com", at(3 * day)}, planted{trustCookie, "x", ".icloud.com", at(9 * day)}), 3*day)
	until(read(false, planted{trustCookie, "x", ".icloud.com.cn", at(-90 * day)}, planted{trustCookie, "x", ".icloud.com", at(9 * day)}), 9*day)
	until(read(false, planted{trustCookie, "x", ".icloud.com", at(9 * day)}, planted{trustCookie, "x", ".setup.icloud.com", at(-90 * day)}), 9*day)

	// A value may hold what looks like the end of it, and like fields of its own.
	j := read(false, planted{trustCookie, `a"; domain=".evil.example"; expires="1999-01-01 00:00:00Z"; b=\`, ".icloud.com", at(9 * day)})
	until(j, 9*day)
	if j.cookies[0].domain != ".icloud.com" {
		t.Errorf("%+v", j.cookies)
	}

	// Cookies of a session have no date; empty ones are none.
	j = read(false, planted{trustCookie, "x", ".icloud.com", 0}, planted{tokenCookie, "", ".icloud.com", at(day)}, planted{repairCookie, `""`, ".icloud.com", at(day)})
	if _, ok := j.until(); ok || !j.has(trustCookie) || j.has(tokenCookie) || j.has(repairCookie) {
		t.Errorf("%+v", j)
	}
	if j = read(true, planted{trustCookie, "x", ".icloud.com", at(-day)}); len(j.cookies) != 0 {
		t.Errorf("%+v", j)
	}
	read(false)

	for _, c := range []struct {
		domains string
		want    string
	}{
		{".icloud.com", dotCom}, {"setup.icloud.com", dotCom}, {".icloud.com.cn", dotCN}, {".icloud.com .icloud.com.cn", ""}, {".evilicloud.com", ""}, {"", ""},
	} {
		var cookies []planted
		for _, d := range strings.Fields(c.domains) {
			cookies = append(cookies, planted{userCookie, "x", d, at(day)})
		}
		j := read(false, cookies...)
		if got := j.domain(); got != c.want {
			t.Errorf("%s: %q, want %q", c.domains, got, c.want)
		}
	}
}

// Of what is damaged, what is whole is used, and what is absent is not concluded from.
func TestDamagedJar(t *testing.T) {
	line := "Set-Cookie3: X-APPLE-WEBAUTH-USER=x; path=\"/\"; domain=\".icloud.com\"; expires=\"2024-04-08 12:48:53Z\"; version=0\n"
	for name, text := range map[string]string{
		"no header":     line,
		"wrong header":  "# Netscape HTTP Cookie File\n" + line,
		"open quote":    "#LWP-Cookies-2.0\n" + line + "Set-Cookie3: a=\"b\n",
		"no domain":     "#LWP-Cookies-2.0\n" + line + "Set-Cookie3: a=b; path=\"/\"\n",
		"no date":       "#LWP-Cookies-2.0\n" + line + "Set-Cookie3: a=b; domain=x; expires=\"tomorrow\"\n",
		"other lines":   "#LWP-Cookies-2.0\n" + line + "<html>\n",
		"cut line":      "#LWP-Cookies-2.0\n" + line + "Set-Cookie3: a=b; domain=x",
		"no text":       "#LWP-Cookies-2.0\n" + line + "Set-Cookie3: a=\xff; domain=x\n",
		"web date":      "#LWP-Cookies-2.0\n" + strings.Replace(line, "2024-04-08 12:48:53Z", "Mon, 08 Apr 2024 12:48:53 GMT", 1) + "x\n",
		"windows lines": "#LWP-Cookies-2.0\r\n" + strings.ReplaceAll(line, "\n", "\r\n") + "x\r\n",
	} {
		j := readJar([]byte(text))
		if got, ok := j.until(); !j.damaged || !ok || got.Format(time.DateTime) != "2024-04-08 12:48:53" {
			t.Errorf("%s: %+v", name, j)
		}
	}
	if j := readJar(nil); !j.damaged {
		t.Error("an empty file is no jar")
	}
	w := newWorld(t)
	w.file("/home/jane/.pyicloud/"+janeKey, "#LWP-Cookies-2.0\n"+strings.Replace(line, "2024", "2124", 1)+"Set-Cookie3: a=\"b\n")
	w.sessionFile("/home/jane/.pyicloud/"+janeKey+".session", nil)
	w.mustBe(w.find("", ""), "state-damaged")
}
