package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bawn.dev/internal/shape"
	"bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/shape/iam"
	"bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/logs"
	"bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/shape/s3control"
	"bawn.dev/internal/shape/sagemaker"
	"bawn.dev/internal/shape/sso"
	"bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/shape/ssooidc"
	"bawn.dev/internal/shape/sts"
)

func models() []*shape.Service {
	return []*shape.Service{
		cloudtrail.Model(), ec2.Model(), iam.Model(), identitystore.Model(), kms.Model(), logs.Model(), organizations.Model(),
		s3.Model(), s3control.Model(), sagemaker.Model(), sso.Model(), ssoadmin.Model(), ssooidc.Model(), sts.Model(),
	}
}

func newRouter(t testing.TB) *Router {
	t.Helper()
	r, err := NewRouter(models()...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scopeOf reads the service from the credential scope, as the signature check would.
func scopeOf(r *http.Request) string {
	_, credential, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(credential, "/"); ok && len(parts) > 3 {
		return parts[3]
	}
	return ""
}

// trial is one call: what botocore is given, and what the server answers.
type trial struct {
	op      *operation
	in, out any // expected input and the answer, as pointers to the operation's structs
	fail    *Error

	got    map[string]any
	gotErr error
}

// oracle is a server that serves the trials one after the other.
type oracle struct {
	mu      sync.Mutex
	router  *Router
	trials  []*trial
	virtual bool // buckets in AWS's own host names, and the SDK's default checksums
}

func (o *oracle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.router.Match(r, scopeOf(r))
	n, _ := strconv.Atoi(r.Header.Get("Trial")) // botocore may refuse a call before it sends it
	t := o.trials[n]
	if err == nil && m.Operation != t.op.Operation {
		err = fmt.Errorf("matched %s", m.Operation.Name)
	}
	// botocore asks for a location by path, always.
	if o.virtual && t.op.Name != "GetBucketLocation" && strings.HasPrefix(r.URL.Path, "/example-bucket") {
		err = fmt.Errorf("the bucket is in the path")
	}
	if err == nil {
		in := m.Operation.NewInput()
		if err = m.Decode(r, r.Body, in); err == nil {
			t.got = plain(m.op.in, reflect.ValueOf(in).Elem())
		}
	}
	if t.gotErr = err; err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	if t.fail != nil {
		m.EncodeError(w, "request-1", t.fail)
		return
	}
	t.gotErr = m.Encode(w, "request-1", t.out)
}

type verdict struct {
	Answer  map[string]any
	ID      string
	Failure string
	Error   *struct {
		Code, Message, Type, ID string
		Status                  int
	}
}

// ask runs botocore over all trials.
func (o *oracle) ask(t *testing.T) []verdict {
	t.Helper()
	server := httptest.NewServer(o)
	defer server.Close()
	type call struct {
		Service   string `json:"service"`
		Operation string `json:"operation"`
		Params    any    `json:"params"`
	}
	var calls []call
	for _, tr := range o.trials {
		calls = append(calls, call{tr.op.service.Name, tr.op.Name, plain(tr.op.in, reflect.ValueOf(tr.in).Elem())})
	}
	job, err := json.Marshal(map[string]any{"endpoint": server.URL, "virtual": o.virtual, "calls": calls})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/oracle.py")
	cmd.Stdin = bytes.NewReader(job)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the oracle needs python3 with the package botocore: %v\n%s", err, errs.String())
	}
	var verdicts []verdict
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) != len(o.trials) {
		t.Fatalf("%d verdicts for %d trials", len(verdicts), len(o.trials))
	}
	return verdicts
}

func sample(op *operation, s sampler) *trial {
	s.service = op.service.Name
	t := &trial{op: op, in: op.NewInput(), out: op.NewOutput()}
	s.structure(op.in, reflect.ValueOf(t.in).Elem(), 0)
	s.output = true
	s.structure(op.out, reflect.ValueOf(t.out).Elem(), 0)
	return t
}

// TestBotocoreAgrees lets a real botocore send every operation, with every member and with the required ones only, and read every
// answer: what it sends must decode to the same values, and what is encoded it must read as the same values.
func TestBotocoreAgrees(t *testing.T) {
	router := newRouter(t)
	var samplers []sampler
	for variant := range 4 {
		samplers = append(samplers, sampler{variant: variant})
	}
	samplers = append(samplers, sampler{minimal: true})
	compare(t, &oracle{router: router}, router.services, samplers)
}

// TestBotocoreAgreesOnVirtualHosts does the same for S3 with the bucket in the host name and the checksums that SDKs add unasked.
func TestBotocoreAgreesOnVirtualHosts(t *testing.T) {
	router := newRouter(t)
	compare(t, &oracle{router: router, virtual: true}, router.byScope["s3"], []sampler{{}, {minimal: true}})
}

func compare(t *testing.T, o *oracle, services []*service, samplers []sampler) {
	t.Helper()
	var wantIn, wantOut []any
	for _, s := range samplers {
		for _, service := range services {
			for _, op := range service.ordered {
				o.trials = append(o.trials, sample(op, s))
				again := sample(op, s) // streams are read once
				wantIn = append(wantIn, pruned(viaJSON(plain(op.in, reflect.ValueOf(again.in).Elem()))))
				wantOut = append(wantOut, pruned(viaJSON(plain(op.out, reflect.ValueOf(again.out).Elem()))))
			}
		}
	}
	for i, v := range o.ask(t) {
		tr := o.trials[i]
		name := fmt.Sprintf("%s.%s trial %d", tr.op.service.Name, tr.op.Name, i)
		switch {
		case tr.gotErr != nil:
			t.Errorf("%s: the server: %v", name, tr.gotErr)
		case v.Failure != "" || v.Error != nil:
			t.Errorf("%s: botocore: %s %+v", name, v.Failure, v.Error)
		default:
			got := viaJSON(tr.got).(map[string]any)
			addedByClient(got, wantIn[i])
			if d := cmp.Diff(wantIn[i], pruned(got)); d != "" {
				t.Errorf("%s: the input differs (-sent +decoded):\n%s", name, d)
			}
			addedByClient(v.Answer, wantOut[i])
			if d := cmp.Diff(wantOut[i], pruned(any(v.Answer))); d != "" {
				t.Errorf("%s: the answer differs (-encoded +parsed):\n%s", name, d)
			}
			if v.ID != "request-1" {
				t.Errorf("%s: botocore read the request id %q", name, v.ID)
			}
		}
	}
}

// addedByClient drops members that botocore and HTTP fill by themselves when nobody does.
func addedByClient(got map[string]any, want any) {
	sent, _ := want.(map[string]any)
	for _, name := range []string{"ChecksumAlgorithm", "ContentLength", "ClientToken", "ContentType", "EncodingType", "ContentMD5",
		"ChecksumCRC32", "ChecksumMode"} {
		if _, ok := sent[name]; !ok {
			delete(got, name)
		}
	}
}

// TestBotocoreReadsErrors lets botocore read, for every operation, an error of its model and the common refusals.
func TestBotocoreReadsErrors(t *testing.T) {
	router := newRouter(t)
	o := &oracle{router: router}
	for _, service := range router.services {
		for _, op := range service.ordered {
			fails := []*Error{
				Errorf(CodeAccessDenied, "no <you> may & not"),
				{Code: CodeInternalFailure, Message: "ours", Server: true},
				Errorf(CodeThrottling, "slower"),
			}
			if len(op.Errors) > 0 {
				fails = append(fails, Errorf(service.Errors[op.Errors[0]].Code, "modelled"))
			}
			for _, fail := range fails {
				tr := sample(op, sampler{minimal: true})
				tr.fail = fail
				o.trials = append(o.trials, tr)
			}
		}
	}
	for i, v := range o.ask(t) {
		tr := o.trials[i]
		name := fmt.Sprintf("%s.%s %s", tr.op.service.Name, tr.op.Name, tr.fail.Code)
		if tr.gotErr != nil || v.Error == nil {
			t.Errorf("%s: %v, %+v", name, tr.gotErr, v)
			continue
		}
		code, status := tr.op.service.spell(tr.fail)
		if tr.op.Method == http.MethodHead {
			if v.Error.Status != status {
				t.Errorf("%s: status %d, want %d", name, v.Error.Status, status)
			}
			continue
		}
		if v.Error.Code != code || v.Error.Message != tr.fail.Message || v.Error.Status != status || v.Error.ID != "request-1" {
			t.Errorf("%s: botocore read %+v, want %s %d", name, *v.Error, code, status)
		}
	}
}
