package job

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restart kills what of the two is named and starts it again.
func (h *house) restart(t *testing.T, server, worker bool) {
	t.Helper()
	h.kill(server, worker)
	h.startAgain(t, server, worker)
}

func (h *house) kill(server, worker bool) {
	if server {
		h.server.stop(syscall.SIGKILL)
	}
	if worker {
		h.worker.stop(syscall.SIGKILL)
	}
}

func (h *house) startAgain(t *testing.T, server, worker bool) {
	t.Helper()
	if worker {
		if err := h.startHost(); err != nil {
			t.Fatal(err)
		}
	}
	if server {
		if err := h.startServer(); err != nil {
			t.Fatal(err)
		}
	}
}

// fsck runs Bawn's own check of everything.
func (h *house) fsck(t *testing.T) {
	t.Helper()
	out, err := exec.Command(h.binary(), "fsck", "--data", h.data).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 problems") {
		t.Errorf("fsck: %v: %s", err, out)
	}
}

// A survivor's volume lies under a key of its own, which its role uses by grant.
func (h *house) survivor(t *testing.T, steps int, linger string) order {
	t.Helper()
	prefix := fmt.Sprintf("survivor-%d", jobs.Add(1))
	return order{program: "survivor.py", place: &h.first, role: h.granted, key: h.newKey(t), hyper: map[string]string{
		"bucket": bucket, "prefix": prefix, "steps": fmt.Sprint(steps), "linger": linger}}
}

// ranOnce makes sure that a survivor completed, was started no second time, and has
// no grant any more.
func (h *house) ranOnce(t *testing.T, name string, o order) {
	t.Helper()
	s := h.completed(t, name)
	starts := map[string]bool{}
	for _, l := range h.lines(t, name) {
		if id, ok := strings.CutPrefix(l, "START "); ok {
			starts[id] = true
		}
	}
	var list struct{ Contents []struct{ Key string } }
	h.must(t, "admin", "s3", "list_objects_v2", args{"Bucket": bucket, "Prefix": o.hyper["prefix"] + "/started-"}, &list)
	if len(starts) != 1 || len(list.Contents) != 1 {
		t.Errorf("%s was started %d times by its log, and %d times by what it wrote", name, len(starts), len(list.Contents))
	}
	if want := "s3://" + bucket + "/models/" + name + "/output/model.tar.gz"; s.ModelArtifacts.S3ModelArtifacts != want {
		t.Errorf("the model is at %q", s.ModelArtifacts.S3ModelArtifacts)
	}
	var head struct{ ContentLength int64 }
	h.must(t, "admin", "s3", "head_object", args{"Bucket": bucket, "Key": "models/" + name + "/output/model.tar.gz"}, &head)
	if head.ContentLength == 0 {
		t.Error("the model is empty")
	}
	eventually(t, "the grant of the volume's key ends", func() bool { return len(h.grants(t, o.key)) == 0 })
}

// Either process, or both, killed while a job runs; and the job is none the wiser.
func TestKilled(t *testing.T) {
	h := open(t)
	o := h.survivor(t, 4, "0")
	name := h.start(t, o)
	h.says(t, name, "START ")
	for n, which := range []struct{ server, worker bool }{{true, false}, {false, true}, {true, true}} {
		h.restart(t, which.server, which.worker)
		h.put(t, fmt.Sprintf("%s/step-%d", o.hyper["prefix"], n), "")
		h.says(t, name, fmt.Sprintf("SAW %d", n))
	}
	h.put(t, o.hyper["prefix"]+"/step-3", "")
	h.ranOnce(t, name, o)
	h.fsck(t)
}

// Either, or both, killed when a job was accepted and nothing has run yet.
func TestKilledAtOnce(t *testing.T) {
	h := open(t)
	for _, which := range []struct{ server, worker bool }{{true, false}, {false, true}, {true, true}} {
		o := h.survivor(t, 0, "0")
		name := h.start(t, o)
		h.restart(t, which.server, which.worker)
		h.ranOnce(t, name, o)
	}
	h.fsck(t)
}

// One or the other killed again and again, at moments that nobody chose, until the
// job is over.
func TestKilledAgainAndAgain(t *testing.T) {
	h := open(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for range 4 {
		o := h.survivor(t, 0, "0.5")
		name := h.start(t, o)
		for n := 0; n < 12; n++ {
			// Not a wait for anything: the moment is the input.
			time.Sleep(time.Duration(chance.IntN(500)) * time.Millisecond)
			if s := h.describe(t, name); s != nil && s.over() {
				break
			}
			which := chance.IntN(3)
			h.restart(t, which != 1, which != 0)
		}
		h.ranOnce(t, name, o)
	}
	h.fsck(t)
}

// What ends while nobody is there is reported when somebody is.
func TestEndsUnattended(t *testing.T) {
	h := open(t)
	o := h.survivor(t, 1, "3")
	name := h.start(t, o)
	h.says(t, name, "START ")
	h.put(t, o.hyper["prefix"]+"/step-0", "")
	h.says(t, name, "SAW 0")
	if s := h.describe(t, name); s.SecondaryStatus != "Training" {
		t.Fatalf("it is %s already", s.SecondaryStatus)
	}
	h.kill(true, true)
	eventually(t, "the sandbox ends", func() bool {
		for _, p := range h.processes() {
			if strings.Contains(p, "--root=") { // of runsc
				return false
			}
		}
		return true
	})
	h.startAgain(t, true, true)
	h.ranOnce(t, name, o)
	h.fsck(t)
}
