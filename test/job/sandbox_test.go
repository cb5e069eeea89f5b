package job

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ports are tried wherever nothing may answer.
func (h *house) ports(t *testing.T) []int {
	t.Helper()
	own, err := netip.ParseAddrPort(h.listen)
	if err != nil {
		t.Fatal(err)
	}
	return []int{22, 25, 53, 80, 111, 443, 445, 2049, 2375, 4680, 5432, 6443, 8080, openPort, openPort + 1, 10250, 50051, int(own.Port())}
}

// machine listens on every address of this machine and answers what it listens on,
// and the addresses.
func machine(t *testing.T) (listening [][2]any, addresses []string) {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().Is4() {
			continue
		}
		l, err := net.Listen("tcp4", netip.AddrPortFrom(prefix.Addr(), 0).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		// Loopback is the sandbox's own there.
		listening = append(listening, [2]any{prefix.Addr().String(), l.Addr().(*net.TCPAddr).Port})
		if !prefix.Addr().IsLoopback() {
			addresses = append(addresses, prefix.Addr().String())
		}
	}
	return listening, addresses
}

func text(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	return string(out)
}

// peer starts a job that listens, and answers its address and credentials path.
func (h *house) peer(t *testing.T, n *network, group string, ports []int) (address, path string) {
	t.Helper()
	name := h.start(t, order{program: "peer.py", place: n, group: group, hyper: map[string]string{"ports": text(ports)}})
	t.Cleanup(func() {
		h.must(t, "ada", "sagemaker", "stop_training_job", args{"TrainingJobName": name}, nil)
		h.end(t, name)
	})
	return h.says(t, name, "LISTENS "), h.says(t, name, "PATH ")
}

func TestInsideTheSandbox(t *testing.T) {
	h := open(t)
	t.Parallel()
	ports := h.ports(t)
	var open, closed, far, openPath string
	open, openPath = h.peer(t, &h.first, h.first.open, ports)
	closed, _ = h.peer(t, &h.first, "", ports)
	far, _ = h.peer(t, &h.second, "", ports)
	listening, addresses := machine(t)
	probe := order{program: "probe.py", place: &h.first, hyper: map[string]string{
		"ports": text(ports), "routers": text([]string{"169.254.1.1", "169.254.169.253", "169.254.169.254", "169.254.170.2", "10.60.0.2", "10.60.1.1"}),
		"host": text(listening), "host_addresses": text(addresses), "peers": text([]string{open, closed, far}), "paths": text([]string{openPath}),
		"other": open, "bucket": bucket, "fenced": fenced, "starter": h.starter,
		"host_files": text([]string{h.dir, h.data, h.repo(), "/var/lib/bawn", "/run/bawn", "/.dockerenv", "/host"}),
	}, env: map[string]string{"ASKED_FOR": "yes"}}
	name := h.start(t, probe)
	h.completed(t, name)
	lines := h.lines(t, name)
	found[bool](t, lines, "done")
	for what, check := range map[string]func(*testing.T, *house, []string){
		"identity": checkIdentity, "files": checkFiles, "credentials": checkCredentials, "services": checkServices, "names": checkNames,
	} {
		t.Run(what, func(t *testing.T) { check(t, h, lines) })
	}
	t.Run("network", func(t *testing.T) { checkNetwork(t, lines, open, closed, far) })
	t.Run("credentials elsewhere", func(t *testing.T) { checkElsewhere(t, h, lines) })

	isolated := probe
	isolated.isolated = true
	isolated.hyper["routers"] = text([]string{"169.254.1.1", "169.254.170.2"})
	name = h.start(t, isolated)
	h.completed(t, name)
	t.Run("isolated", func(t *testing.T) { checkIsolated(t, h.lines(t, name)) })
}

func checkIdentity(t *testing.T, _ *house, lines []string) {
	who := found[struct {
		UIDs, GIDs, Groups []int
		Caps               []string
	}](t, lines, "identity")
	if slices.Contains(slices.Concat(who.UIDs, who.GIDs, who.Groups), 0) {
		t.Errorf("it is root: %+v", who)
	}
	for _, c := range who.Caps {
		if strings.Trim(c, "0") != "" {
			t.Errorf("it has capabilities: %v", who.Caps)
		}
	}
	for what, result := range found[map[string]any](t, lines, "become") {
		switch result {
		case "EPERM", "EACCES", "ENOSYS", "EINVAL", "EROFS", "ESRCH":
		default:
			t.Errorf("%s: %v", what, result)
		}
	}
	programs, seen := found[map[string]any](t, lines, "setuid programs"), false
	for path, result := range programs {
		ids, ran := result.([]any)
		seen = seen || ran && len(ids) == 2
		if ran && slices.Contains(ids, any("0")) {
			t.Errorf("%s runs as %v", path, ids)
		}
	}
	if !seen {
		t.Errorf("no setuid program was seen running: %v", programs)
	}
	documented := []string{
		"TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "CURRENT_HOST", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "ASKED_FOR", "PATH", "HOME", "LC_CTYPE",
	}
	for name := range found[map[string]string](t, lines, "environment") {
		if !slices.Contains(documented, name) {
			t.Errorf("%s is in its environment", name)
		}
	}
}

func checkFiles(t *testing.T, h *house, lines []string) {
	for pid, cmdline := range found[map[string]string](t, lines, "processes") {
		if !strings.Contains(cmdline, "probe.py") {
			t.Errorf("it sees process %s, %q", pid, cmdline)
		}
	}
	if got := found[[]string](t, lines, "host files"); len(got) > 0 {
		t.Errorf("it sees %v of the host", got)
	}
	if got := found[[]string](t, lines, "block devices"); len(got) > 0 {
		t.Errorf("it has %v", got)
	}
	if mounts := found[string](t, lines, "mounts"); strings.Contains(mounts, h.dir) || strings.Contains(mounts, "/dev/") && strings.Contains(mounts, "ext4") {
		t.Errorf("its mounts tell of the host: %s", mounts)
	}
	if release := found[string](t, lines, "release"); strings.TrimSpace(release) == strings.TrimSpace(read(t, "/proc/version")) {
		t.Errorf("it runs on the host's kernel: %s", release)
	}
	if id := found[string](t, lines, "boot id"); id != "" && id == strings.TrimSpace(read(t, "/proc/sys/kernel/random/boot_id")) {
		t.Error("it reads the host's /proc/sys")
	}
	for path, result := range found[map[string]any](t, lines, "writes") {
		if result == nil {
			t.Errorf("it can write %s", path)
		}
	}
	for path, result := range found[map[string]string](t, lines, "reads") {
		if _, named := strings.CutPrefix(result, "E"); !named && result != "FileNotFoundError" && result != "" {
			t.Errorf("it reads %s: %s", path, result)
		}
	}
	if id := filepath.Base(h.dir); strings.Contains(strings.Join(lines, "\n"), id+"/data/host") {
		t.Error("a path of the host's volumes is visible")
	}
}

// silent fails for every place that answered, but for those that may.
func silent(t *testing.T, what string, results map[string]string, mayOpen ...string) {
	t.Helper()
	for place, result := range results {
		open := slices.Contains(mayOpen, place)
		if open != (result == "open") {
			t.Errorf("%s: %s is %s", what, place, result)
		}
	}
	for _, place := range mayOpen {
		if _, tried := results[place]; !tried {
			t.Errorf("%s: %s was not tried", what, place)
		}
	}
}

func checkNetwork(t *testing.T, lines []string, open, closed, far string) {
	metadata := found[struct {
		Result  map[string]string
		Seconds float64
	}](t, lines, "metadata")
	if metadata.Result["169.254.169.254:80"] != "ECONNREFUSED" {
		t.Errorf("instance metadata: %v", metadata)
	}
	silent(t, "router", found[map[string]string](t, lines, "router"), "169.254.169.253:53", "10.60.0.2:53", "169.254.170.2:80")
	ends := found[struct {
		Addresses []string
		Results   map[string]string
	}](t, lines, "endpoints")
	silent(t, "endpoint", ends.Results, ends.Addresses[0]+":443", ends.Addresses[1]+":443")
	for _, what := range []string{"outside", "machine"} {
		got := found[struct {
			Silence int
			Other   map[string]string
		}](t, lines, what)
		silent(t, what, got.Other)
		if got.Silence+len(got.Other) < 3 {
			t.Errorf("%s: hardly anything was tried: %+v", what, got)
		}
	}
	peers := found[map[string]map[string]string](t, lines, "peers")
	if far == closed || far == open {
		t.Fatalf("%s, %s, %s", open, closed, far)
	}
	silent(t, "a job that admits one port", peers[open], fmt.Sprintf("%s:%d", open, openPort))
	silent(t, "a job that admits nothing", peers[closed])
	silent(t, "another VPC's job", peers[far])
}

func checkNames(t *testing.T, _ *house, lines []string) {
	for name, result := range found[map[string]any](t, lines, "names") {
		_, resolved := result.([]any)
		private := strings.HasPrefix(name, "s3.") || strings.HasPrefix(name, "sts.")
		if resolved != private {
			t.Errorf("%s: %v", name, result)
		}
	}
	for query, result := range found[map[string]any](t, lines, "dns") {
		answer, answered := result.(map[string]any)
		switch server, name, _ := strings.Cut(query, " "); {
		case server == "203.0.113.53" || server == "192.0.2.53":
			if answered {
				t.Errorf("%s: %v", query, result)
			}
		case strings.HasPrefix(name, "s3."):
			if !answered || answer["code"] != 0.0 || answer["answers"] == 0.0 {
				t.Errorf("%s: %v", query, result)
			}
		default: // NXDOMAIN
			if !answered || answer["code"] != 3.0 || answer["answers"] != 0.0 {
				t.Errorf("%s: %v", query, result)
			}
		}
	}
}

func checkCredentials(t *testing.T, h *house, lines []string) {
	own := found[ownCredentials](t, lines, "own credentials")
	if own.Status != 200 || own.RoleArn != h.role {
		t.Errorf("its own credentials: %d, %s", own.Status, own.RoleArn)
	}
	guesses := found[map[string]any](t, lines, "guesses")
	for name, result := range guesses {
		answer, answered := result.([]any)
		if answered && (answer[0] == 200.0 || strings.Contains(fmt.Sprint(answer[1]), "SecretAccessKey")) {
			t.Errorf("%s: %v", name, result)
		}
	}
	if len(guesses) < 10 {
		t.Errorf("%d guesses", len(guesses))
	}
}

type ownCredentials struct {
	Status                                       int
	RoleArn, AccessKeyId, SecretAccessKey, Token string
}

func checkServices(t *testing.T, h *house, lines []string) {
	if got := found[string](t, lines, "sts"); got != sessionARN("job-execution") {
		t.Errorf("it is %s", got)
	}
	if got := found[string](t, lines, "s3"); got != "from the inside" {
		t.Errorf("it reads %q", got)
	}
	if got := found[string](t, lines, "fenced"); got != "for the network" {
		t.Errorf("through its endpoint it reads %q", got)
	}
	for what, result := range found[map[string]any](t, lines, "not granted") {
		if s, ok := result.(string); !ok || s == "" {
			t.Errorf("%s: %v", what, result)
		}
	}
}

func sessionARN(role string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + role + "/SageMaker"
}

// What a job's credentials are worth outside: what its role may do from anywhere.
func checkElsewhere(t *testing.T, h *house, lines []string) {
	own := found[ownCredentials](t, lines, "own credentials")
	h.do(t, "use", args{"who": "thief", "credentials": args{
		"AccessKeyId": own.AccessKeyId, "SecretAccessKey": own.SecretAccessKey, "SessionToken": own.Token}}, nil)
	var who struct{ Arn string }
	h.must(t, "thief", "sts", "get_caller_identity", args{}, &who)
	if who.Arn != sessionARN("job-execution") {
		t.Errorf("they are those of %s", who.Arn)
	}
	var object struct{ Body string }
	h.must(t, "thief", "s3", "get_object", args{"Bucket": bucket, "Key": "probe/put"}, &object)
	if r := h.call(t, "thief", "s3", "get_object", args{"Bucket": fenced, "Key": "k"}, nil); r == nil || r.Code != "AccessDenied" {
		t.Errorf("what is for the network: %v", r)
	}
	if r := h.call(t, "thief", "iam", "list_users", args{}, nil); r == nil || r.Code != "AccessDenied" {
		t.Errorf("what the role has not: %v", r)
	}
	refused := false
	for _, e := range h.audit(t, "--event", "GetObject", "--errors", "--person", "ada") {
		refused = refused || e.UserIdentity.ARN == sessionARN("job-execution") && e.VPCEndpointID == "" && e.ErrorCode == "AccessDenied" &&
			e.UserIdentity.OnBehalfOf.UserID == h.ada && e.names("arn:aws:s3:::"+fenced+"/k")
	}
	if !refused {
		t.Error("the refusal is not in the record with the person")
	}
}

func checkIsolated(t *testing.T, lines []string) {
	found[bool](t, lines, "done")
	if got := found[[][2]any](t, lines, "interfaces"); len(got) != 1 || got[0][1] != "lo" {
		t.Errorf("it has %v", got)
	}
	if _, told := found[map[string]string](t, lines, "environment")["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]; told {
		t.Error("it was told of credentials")
	}
	silent(t, "router", found[map[string]string](t, lines, "router"))
	for _, what := range []string{"outside", "machine"} {
		silent(t, what, found[struct{ Other map[string]string }](t, lines, what).Other)
	}
	for address, results := range found[map[string]map[string]string](t, lines, "peers") {
		silent(t, address, results)
	}
	for name, result := range found[map[string]any](t, lines, "names") {
		if _, resolved := result.([]any); resolved {
			t.Errorf("%s is %v", name, result)
		}
	}
}
