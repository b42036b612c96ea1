package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/api"
)

const (
	// keysEvery is how often the keys are asked for.
	keysEvery = 5 * time.Minute
	// keysPause is the least time between two questions, whatever keys tokens
	// name: anybody can name one that does not exist.
	keysPause = time.Second
	// keysLife is how long keys are believed that cannot be asked for any more.
	// The last tokens of a server that is away have long ended then.
	keysLife = time.Hour
	// keysTime is how long one question may take.
	keysTime = 5 * time.Second
	maxKeys  = 64 << 10 // octets of an answer
)

// keyring is the account server's public keys.
type keyring struct {
	fetching chan struct{} // held by who asks

	mu      sync.RWMutex
	tokens  map[string]*ecdsa.PublicKey
	signals map[string]*rsa.PublicKey
	etag    string
	asked   time.Duration // when the last question began; zero: never
	fetched moment        // when the last good answer came; zero: never
	ready   time.Time     // by the account server's clock: tokens from then on are not refused for the start
	failed  error         // of the last question
}

var errTooSoon = errors.New("the keys were asked for a moment ago")

// find looks up a key by its name; use is its kind's map.
func find[K any](k *keyring, c *clock, name string, use func(*keyring) map[string]K) (key K, known, believed bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, known = use(k)[name]
	return key, known, !k.fetched.never() && c.since(k.fetched) < keysLife
}

// key gives a key, asking for it where it is not known. It returns
// KeysUnavailable where it could not be asked for, and unknown where the
// account server has no such key.
func key[K any](ctx context.Context, v *Verifier, name string, use func(*keyring) map[string]K, unknown Reason) (K, error) {
	arrived := v.clock.mono()
	got, known, believed := find(&v.keys, v.clock, name, use)
	if known && believed {
		return got, nil
	}
	if v.askKeys(ctx, arrived) != nil {
		return got, refuse(KeysUnavailable)
	}
	if got, known, _ = find(&v.keys, v.clock, name, use); !known {
		return got, refuse(unknown)
	}
	return got, nil
}

func (v *Verifier) tokenKey(ctx context.Context, name string) (*ecdsa.PublicKey, error) {
	return key(ctx, v, name, tokenKeys, Malformed)
}

func tokenKeys(k *keyring) map[string]*ecdsa.PublicKey { return k.tokens }

func (v *Verifier) signalKey(ctx context.Context, name string) (*rsa.PublicKey, error) {
	return key(ctx, v, name, func(k *keyring) map[string]*rsa.PublicKey { return k.signals }, Malformed)
}

// askKeys asks the account server, one question at a time. A question that
// began after the caller arrived is the caller's too.
func (v *Verifier) askKeys(ctx context.Context, arrived time.Duration) error {
	select {
	case v.keys.fetching <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-v.keys.fetching }()
	now := v.clock.mono()
	v.keys.mu.Lock()
	last, failed, etag := v.keys.asked, v.keys.failed, v.keys.etag
	if last > 0 && (last >= arrived || now-last < keysPause) {
		v.keys.mu.Unlock()
		if last >= arrived {
			return failed
		}
		return errTooSoon
	}
	v.keys.asked = max(now, 1)
	v.keys.mu.Unlock()
	// Whoever asks asks for all: one who goes away does not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTime)
	defer cancel()
	got, err := v.fetchKeys(ctx, etag)
	if err != nil {
		v.log.Warn("the account server's keys could not be fetched", "error", err)
	}
	v.keep(got, err)
	return err
}

// keySet is an answer with keys.
type keySet struct {
	same    bool // as before
	tokens  map[string]*ecdsa.PublicKey
	signals map[string]*rsa.PublicKey
	etag    string
}

func (v *Verifier) keep(got keySet, err error) {
	v.keys.mu.Lock()
	defer v.keys.mu.Unlock()
	v.keys.failed = err
	if err != nil {
		return
	}
	v.keys.fetched = v.clock.moment()
	if got.same {
		return
	}
	for name := range v.keys.tokens {
		if got.tokens[name] == nil {
			v.tokens.drop()
			break
		}
	}
	v.keys.tokens, v.keys.signals, v.keys.etag = got.tokens, got.signals, got.etag
}

func (v *Verifier) fetchKeys(ctx context.Context, etag string) (keySet, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.issuer+api.PathKeys, nil)
	if err != nil {
		return keySet{}, err
	}
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	began := v.clock.moment()
	a, err := v.http.Do(r)
	if err != nil {
		return keySet{}, err
	}
	defer a.Body.Close()
	switch a.StatusCode {
	case http.StatusNotModified:
		return keySet{same: true}, nil
	case http.StatusOK:
	default:
		return keySet{}, fmt.Errorf("GET %s: status %d, want 200", api.PathKeys, a.StatusCode)
	}
	body, err := readAll(a.Body, maxKeys)
	if err != nil {
		return keySet{}, fmt.Errorf("GET %s: %w", api.PathKeys, err)
	}
	got, err := parseKeys(body)
	if err != nil {
		return keySet{}, fmt.Errorf("GET %s: %w", api.PathKeys, err)
	}
	got.etag = a.Header.Get("ETag")
	v.floor(a.Header, began)
	return got, nil
}

// floor refuses, at the first answer, what was issued before it: what the
// account server said to the process that was here before is not known. A node
// whose clock is ahead may have written a later time into such a token.
func (v *Verifier) floor(h http.Header, began moment) {
	v.keys.mu.RLock()
	first := v.keys.fetched.never()
	v.keys.mu.RUnlock()
	if h.Get("Age") == "" { // else it is the time of a cache
		v.readDate(h, began)
	}
	if first {
		v.refuseOlder()
	}
}

// refuseOlder refuses what was issued until now, by whichever node's clock.
func (v *Verifier) refuseOlder() {
	floor := v.clock.now().Add(margin)
	v.accounts.setFloor(floor)
	v.keys.mu.Lock()
	defer v.keys.mu.Unlock()
	v.keys.ready = floor.Truncate(time.Second).Add(time.Second)
}

// parseKeys reads a JWK set: P-256 keys for tokens, RSA keys of 2048 bits and
// more for signals. Keys of other kinds are none of ours; there may be some.
func parseKeys(b []byte) (keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return keySet{}, errors.New("not a JWK set")
	}
	s := keySet{tokens: map[string]*ecdsa.PublicKey{}, signals: map[string]*rsa.PublicKey{}}
	for _, one := range raw.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(one) != nil || k.KeyID == "" || !k.IsPublic() || !k.Valid() || k.Use != "sig" && k.Use != "" {
			continue
		}
		switch key := k.Key.(type) {
		case *ecdsa.PublicKey:
			if key.Curve == elliptic.P256() && (k.Algorithm == "ES256" || k.Algorithm == "") {
				s.tokens[k.KeyID] = key
			}
		case *rsa.PublicKey:
			if key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192 && (k.Algorithm == "RS256" || k.Algorithm == "") {
				s.signals[k.KeyID] = key
			}
		}
	}
	if len(s.tokens) == 0 {
		return keySet{}, errors.New("the JWK set has no key for ES256")
	}
	return s, nil
}

// fetchFirstKeys asks until there are keys.
func (v *Verifier) fetchFirstKeys(ctx context.Context) error {
	for wait := firstPause; ; wait = longer(wait) {
		if err := v.askKeys(ctx, v.clock.mono()); err == nil {
			return nil
		} else if !errors.Is(err, errTooSoon) {
			v.state.fails(err)
		}
		if !pause(ctx, spread(wait)) {
			return ctx.Err()
		}
	}
}

// keepKeys asks from time to time.
func (v *Verifier) keepKeys(ctx context.Context) {
	wait := keysEvery
	for pause(ctx, spread(wait)) {
		if err := v.askKeys(ctx, v.clock.mono()); err != nil && !errors.Is(err, errTooSoon) {
			wait = 10 * time.Second
			continue
		}
		wait = keysEvery
	}
}
