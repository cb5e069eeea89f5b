package server_test

import (
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"bawn.dev/internal/store/pgtest"
)

// While PostgreSQL is gone every call is refused; when it is back, with what it had
// committed, the same server goes on, and every call that was answered is on record.
func TestPostgresGone(t *testing.T) {
	binary, data := build(t), filepath.Join(t.TempDir(), "data")
	database := pgtest.Start(t)
	t.Setenv("BAWN_DATABASE", database.Database(t))
	if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := &victim{data: data, world: &world{acknowledged: map[string]act{}, tick: func() {}}}
	s.process = spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
	s.client = newClient(t, data, s.process.serving(t))
	ok(t)(s.client.object(t.Context(), "PUT", "/closed-bucket", nil))
	ok(t)(s.client.object(t.Context(), "PUT", "/closed-bucket/first", []byte("content")))
	users := &hirer{world: s.world}
	for range 2 {
		if n := s.calls(t); n != 5 {
			t.Fatalf("%d of 5 calls were answered", n)
		}
		var crashed sync.WaitGroup
		crashed.Go(database.Crash)
		for refused := 0; refused < 3; {
			if s.calls(t) == 0 {
				refused++
			} else {
				refused = 0
			}
		}
		crashed.Wait()
		if n := s.calls(t); n != 0 || s.process.over() {
			t.Fatalf("%d calls were answered with nothing to record them (the server ended: %v)", n, s.process.over())
		}
		database.Resume(t)
		for s.calls(t) < 5 && !s.process.over() {
		}
		if s.process.over() {
			said := s.process.said.String()
			t.Fatalf("the server ended: %v\n%s", s.process.result, said[max(0, len(said)-2000):])
		}
		fsck(t, binary, data)
	}
	users.check(t, s.client)
	s.process.stop(syscall.SIGTERM)
	if s.process.result != nil {
		t.Errorf("the server ended with %v\n%s", s.process.result, s.process.said)
	}
	s.world.check(t, data)
}
