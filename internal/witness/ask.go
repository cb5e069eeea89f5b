package witness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bawn.dev/internal/ledger"
)

// A Remote is a witness that is asked.
type Remote struct {
	Key  ledger.Witness
	url  string
	http *http.Client
}

// ParseRemote reads URL#KEY: the witness's submission prefix and its public key. Without
// TLS it is asked on this machine only: whoever is on the way could end the server.
func ParseRemote(text string) (*Remote, error) {
	prefix, key, ok := strings.Cut(text, "#")
	u, err := url.Parse(prefix)
	if !ok || err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("a witness is https://HOST/PATH#NAME+ID+KEY, not %q", text)
	}
	if addr, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && (err != nil || !addr.IsLoopback()) {
		return nil, fmt.Errorf("witness %q: http:// only with a loopback address", prefix)
	}
	w := &Remote{url: strings.TrimSuffix(prefix, "/") + "/add-checkpoint", http: &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 16 << 10, TLSHandshakeTimeout: timeout, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       timeout,
	}}
	if w.Key, err = ledger.ParseWitness(key); err != nil {
		return nil, err
	}
	return w, nil
}

// timeout bounds a question and its whole answer.
const timeout = 10 * time.Second

// Ask shows a witness a head with the proof that it extends the one that it remembers, and
// returns its signature line, which holds. What it remembers otherwise comes as a
// *Conflict or as ErrHistory; everything else is as if it were away.
func (w *Remote) Ask(ctx context.Context, next ledger.Checkpoint, e ledger.Extension) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(e.Text()))
	if err != nil {
		return nil, err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRequest))
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return w.signature(e.Signed, string(body))
	case http.StatusConflict:
		text := strings.TrimSuffix(string(body), "\n")
		size, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil || size < 0 || strconv.FormatInt(size, 10) != text:
			return nil, fmt.Errorf("it answers no size to a conflict")
		case size != e.Old:
			return nil, &Conflict{size}
		case size == next.Size:
			return nil, ErrHistory
		}
		return nil, fmt.Errorf("it refuses to extend the head of %d records that it remembers", size)
	case http.StatusUnprocessableEntity:
		return nil, ErrHistory
	}
	return nil, fmt.Errorf("it answers %d", resp.StatusCode)
}

func (w *Remote) signature(signed []byte, answer string) ([]byte, error) {
	for line := range strings.Lines(answer) {
		if _, err := w.Key.Seen(append(bytes.Clone(signed), line...)); err == nil {
			return []byte(line), nil
		}
	}
	return nil, fmt.Errorf("it answers without a signature of %s over this head", w.Key.Name())
}
