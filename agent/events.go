package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
)

// pathEvents is a stream of what appears by itself. Older servers have none.
const pathEvents = "/v1/events"

// streamSilence is how long a stream may say nothing before it is given up: a
// machine that slept, or a network that changed, leaves it open and dead.
const streamSilence = 45 * time.Second

// maxEvent is the longest event read.
const maxEvent = 256 << 10

// ErrNoStream: the account server has no stream of events.
var ErrNoStream = errors.New("the account server has no stream of events")

// ErrStreamOver: the stream ended as streams do; another one may be opened.
var ErrStreamOver = errors.New("the stream of events is over")

// Events holds a stream of this device's session open and hands on each list of
// requests to sign in, the first one at once; changed is called when something
// else of the account has. Neither may hold the stream up. It returns when the
// stream is over.
func (a *Agent) Events(ctx context.Context, each func(api.Requests), changed func()) error {
	id, s, c, err := a.session()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	body, err := c.stream(ctx, pathEvents, api.Signed{Session: s.ID})
	if p := new(api.Problem); errors.As(err, &p) {
		switch {
		case p.Code == api.Failed:
			return a.kept(c, id.Account, "events", p)
		case p.Status == http.StatusNotFound || p.Status == http.StatusMethodNotAllowed:
			return ErrNoStream
		}
	}
	if err != nil {
		return err
	}
	defer body.Close()
	return follow(body, stop, each, changed)
}

// follow hands on each list of requests until the stream is over, or has said
// nothing for so long that it must be dead: then giveUp has to end the reading.
func follow(body io.Reader, giveUp func(), each func(api.Requests), changed func()) error {
	silence := time.AfterFunc(streamSilence, giveUp)
	defer silence.Stop()
	return readEvents(body, func() { silence.Reset(streamSilence) }, func(name string, data []byte) error {
		switch name {
		case "requests":
			var now api.Requests
			if err := json.Unmarshal(data, &now); err != nil {
				return err
			}
			each(now)
		case "changed":
			changed()
		case "ended":
			return ErrStreamOver
		}
		return nil
	})
}

// stream opens an answer that goes on.
func (c *Client) stream(ctx context.Context, path string, in any) (io.ReadCloser, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if c.nonce == "" {
		if _, err := c.Hello(ctx); err != nil {
			return nil, err
		}
	}
	for try := 0; ; try++ {
		proof, err := c.Key.Sign(device.Request{Method: http.MethodPost, URL: c.Server + path, Nonce: c.nonce, Body: body, Time: c.Now()})
		if err != nil {
			return nil, err
		}
		answer, err := c.open(ctx, path, body, proof)
		if p := new(api.Problem); errors.As(err, &p) && p.Code == api.StaleProof && try == 0 {
			continue // signed again, with the nonce of that answer
		}
		return answer, err
	}
}

func (c *Client) open(ctx context.Context, path string, body []byte, proof string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set(api.HeaderProof, proof)
	// The same connections, without the time that a whole answer may take.
	endless := http.Client{Transport: c.http.Transport, CheckRedirect: c.http.CheckRedirect}
	answer, err := endless.Do(r)
	if err != nil {
		return nil, &UnreachableError{c.Server, Why(err), err}
	}
	if n := answer.Header.Get(api.HeaderNonce); n != "" {
		c.nonce = n
	}
	if answer.StatusCode == http.StatusOK && strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, &UnreachableError{c.Server, Why(err), err}
	}
	var p api.Problem
	if json.Unmarshal(b, &p) != nil || p.Code == 0 {
		return nil, &UnreachableError{c.Server, OtherServer, fmt.Errorf("status %d", answer.StatusCode)}
	}
	if p.Status == 0 {
		p.Status = answer.StatusCode
	}
	return nil, &p
}

// readEvents reads server-sent events until there are no more. heard is called
// for each line, those that only keep the connection as well.
func readEvents(from io.Reader, heard func(), each func(name string, data []byte) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 4<<10), maxEvent)
	var name string
	var data []byte
	for lines.Scan() {
		heard()
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if data != nil {
				if err := each(name, data); err != nil {
					return err
				}
			}
			name, data = "", nil
		case field == "event":
			name = value
		case field == "data":
			if data != nil {
				data = append(data, '\n')
			}
			if data = append(data, value...); len(data) > maxEvent {
				return bufio.ErrTooLong
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return ErrStreamOver
}
