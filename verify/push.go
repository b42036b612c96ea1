package verify

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// Push receives pushed signals (RFC 8935). Mount it where the service was
// registered with --push; it answers a POST on any path.
func (v *Verifier) Push() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			h.Set("Allow", http.MethodPost)
			pushError(w, http.StatusMethodNotAllowed, "invalid_request", "signals are posted")
			return
		}
		if !v.fromTransmitter(r) {
			h.Set("WWW-Authenticate", "Bearer")
			pushError(w, http.StatusUnauthorized, "authentication_failed", "the bearer token is not the one of this service")
			return
		}
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/secevent+jwt" {
			pushError(w, http.StatusBadRequest, "invalid_request", "the content type must be application/secevent+jwt")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSignal))
		if err != nil {
			pushError(w, http.StatusBadRequest, "invalid_request", "the token could not be read, or is longer than 64 KiB")
			return
		}
		e, err := v.signal(r.Context(), strings.TrimSpace(string(body)))
		var bad *eventError
		switch {
		case errors.As(err, &bad):
			v.log.Warn("a signal was refused", "why", bad.text)
			v.state.refuses()
			pushError(w, http.StatusBadRequest, bad.code, bad.text)
		case err != nil:
			h.Set("Retry-After", "1")
			pushError(w, http.StatusServiceUnavailable, "invalid_key", "the keys cannot be fetched now; send it again")
		default:
			v.take(e)
			v.state.contact(v.clock.moment())
			w.WriteHeader(http.StatusAccepted)
		}
	})
}

func (v *Verifier) fromTransmitter(r *http.Request) bool {
	if v.pushToken == nil {
		return false
	}
	want, err := v.pushToken()
	if err != nil || want == "" {
		v.log.Error("the push token cannot be read", "error", err)
		return false
	}
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return false
	}
	scheme, got, _ := strings.Cut(all[0], " ")
	// Hashes, so that the time tells no length either.
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func pushError(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", "en")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(refusedSet{code, text})
}
