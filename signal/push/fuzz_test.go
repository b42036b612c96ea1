package push

import (
	"slices"
	"strings"
	"testing"

	"readmit.dev/readmit/signal"
)

// FuzzRejected: whatever a receiver answers, nothing of it is kept but a code of
// RFC 8935 §2.4.
func FuzzRejected(f *testing.F) {
	codes := append(slices.Clone(final), passing...)
	for _, c := range codes {
		f.Add("application/json", []byte(`{"err":"`+c+`","description":"planted"}`))
	}
	for _, kind := range []string{"application/json; charset=utf-8", "text/html", "", "application/json;;", "APPLICATION/JSON"} {
		f.Add(kind, []byte(`{"err":"invalid_key"}`))
	}
	for _, body := range []string{"", "null", "[]", `{"err":5}`, `{"err":"planted"}`, `{"err":"invalid_key\u0000"}`, `{"err":"invalid_request"`, `{"err":["invalid_key"]}`, `{"ERR":"invalid_key"}`} {
		f.Add("application/json", []byte(body))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		got := rejected(kind, body)
		switch got.Why {
		case signal.WrongAnswer:
			if got.Code != "" || got.Final {
				t.Errorf("%+v", got)
			}
		case signal.Rejected:
			if !slices.Contains(codes, got.Code) || got.Final != slices.Contains(final, got.Code) || !strings.Contains(string(body), "{") {
				t.Errorf("%+v of %q", got, body)
			}
		default:
			t.Errorf("%+v", got)
		}
	})
}
