package server_test

import (
	"database/sql"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// While the record cannot be written, no call is answered as if it had been: whatever
// breaks, in the middle of traffic, every call is refused from then on, and all that
// were answered before are in the record.

// A damage is done to a running server's data.
type damage struct {
	name   string
	do     func(t *testing.T, s *victim)
	repair func(t *testing.T, s *victim)
	ends   string // what the server says when it ends; empty: it goes on, and refuses
	never  string // what it says when it is started again before the repair
}

type victim struct {
	process *process
	client  *client
	data    string // as this process reaches it
	world   *world
	names   int
}

// calls makes one of each kind: a read, a change, a denial, an object. It says how many
// were answered as the record knows them.
func (s *victim) calls(t *testing.T) (answered int) {
	t.Helper()
	s.names++
	nobody := *s.client
	nobody.who.Secret = "wrong"
	for _, call := range []struct {
		name string
		do   func() (*answer, error)
		also int
	}{
		{"GetCallerIdentity", func() (*answer, error) { return s.client.identity(t.Context()) }, 200},
		{"CreateUser", func() (*answer, error) {
			return s.client.iam(t.Context(), "CreateUser", "UserName", "u"+strconv.Itoa(s.names))
		}, 200},
		{"ListUsers", func() (*answer, error) { return nobody.iam(t.Context(), "ListUsers") }, 403},
		{"PutObject", func() (*answer, error) {
			return s.client.object(t.Context(), http.MethodPut, "/closed-bucket/o"+strconv.Itoa(s.names), []byte("content"))
		}, 200},
		{"GetObject", func() (*answer, error) {
			return s.client.object(t.Context(), http.MethodGet, "/closed-bucket/first", nil)
		}, 200},
	} {
		a, err := call.do()
		if err != nil || a.status >= 500 {
			continue
		}
		answered++
		s.world.heard(t, call.name, a, nil, call.also)
	}
	return answered
}

var damages = []damage{
	{
		name: "the disk is full",
		do: func(t *testing.T, s *victim) {
			f, err := os.Create(filepath.Join(s.data, "fill"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for chunk := make([]byte, 1<<20); ; {
				if _, err := f.Write(chunk); err != nil {
					return
				}
			}
		},
		repair: func(t *testing.T, s *victim) {
			if err := os.Remove(filepath.Join(s.data, "fill")); err != nil {
				t.Fatal(err)
			}
		},
	},
	{
		name:   "the database is gone",
		do:     func(t *testing.T, s *victim) { move(t, s, "bawn.db", "elsewhere.db") },
		repair: func(t *testing.T, s *victim) { move(t, s, "elsewhere.db", "bawn.db") },
	},
	{
		name: "the database is another",
		do: func(t *testing.T, s *victim) {
			move(t, s, "bawn.db", "elsewhere.db")
			if out, err := exec.Command("cp", filepath.Join(s.data, "elsewhere.db"), filepath.Join(s.data, "bawn.db")).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
		},
		repair: func(t *testing.T, s *victim) { move(t, s, "elsewhere.db", "bawn.db") },
	},
	{
		name:   "the database's log is gone",
		do:     func(t *testing.T, s *victim) { move(t, s, "bawn.db-wal", "elsewhere.wal") },
		repair: func(t *testing.T, s *victim) { move(t, s, "elsewhere.wal", "bawn.db-wal") },
	},
	{
		name: "the newest leaves are cut off",
		do: func(t *testing.T, s *victim) {
			outside(t, s, "CREATE TABLE kept AS SELECT * FROM trail_leaves", "DELETE FROM trail_leaves WHERE leaf = (SELECT max(leaf) FROM trail_leaves)")
		},
		repair: func(t *testing.T, s *victim) {
			outside(t, s, "DELETE FROM trail_leaves", "INSERT INTO trail_leaves SELECT * FROM kept", "DROP TABLE kept")
		},
		ends: "run fsck", never: "run fsck",
	},
	{
		name: "the newest checkpoint is another",
		do: func(t *testing.T, s *victim) {
			outside(t, s, "CREATE TABLE kept AS SELECT * FROM trail_checkpoints",
				"UPDATE trail_checkpoints SET signed = CAST(replace(CAST(signed AS TEXT), 'us-east-1', 'us-west-1') AS BLOB)")
		},
		repair: func(t *testing.T, s *victim) {
			outside(t, s, "DELETE FROM trail_checkpoints", "INSERT INTO trail_checkpoints SELECT * FROM kept", "DROP TABLE kept")
		},
		ends: "run fsck", never: "the last checkpoint",
	},
}

func move(t *testing.T, s *victim, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(s.data, from), filepath.Join(s.data, to)); err != nil {
		t.Fatal(err)
	}
}

// outside changes the database as somebody who may write its file does.
func outside(t *testing.T, s *victim, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.data, "bawn.db")+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestNothingUnrecorded(t *testing.T) {
	binary := build(t)
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			s := &victim{data: data, world: &world{acknowledged: map[string]act{}, tick: func() {}}}
			small := d.name == "the disk is full"
			if small {
				// A file system of its own, and nobody else's.
				if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=192m,mode=0700", "bawn-test", data).CombinedOutput(); err != nil {
					t.Skipf("a small disk cannot be made here: %v %s", err, out)
				}
				t.Cleanup(func() { syscall.Unmount(data, syscall.MNT_DETACH) }) //nolint:errcheck // as good as it gets
			}
			if out, err := exec.Command(binary, "init", "--data", data).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			serve := func() {
				s.process = spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
				s.client = newClient(t, data, s.process.serving(t))
			}
			serve()
			ok(t)(s.client.object(t.Context(), http.MethodPut, "/closed-bucket", nil))
			ok(t)(s.client.object(t.Context(), http.MethodPut, "/closed-bucket/first", []byte("content")))
			for range 3 {
				if n := s.calls(t); n != 5 {
					t.Fatalf("%d of 5 calls were answered", n)
				}
			}

			var damaged sync.WaitGroup
			damaged.Go(func() { d.do(t, s) })
			for refused, rounds := 0, 0; refused < 3; rounds++ { // until it is refused for good
				if rounds > 5000 {
					t.Fatal("calls are still answered")
				}
				if s.calls(t) == 0 {
					refused++
				} else {
					refused = 0
				}
			}
			damaged.Wait()
			if n := s.calls(t); n != 0 {
				t.Errorf("%d calls were answered with nothing to record them", n)
			}
			if d.ends != "" {
				<-s.process.ended
				if s.process.result == nil || !strings.Contains(s.process.said.String(), d.ends) {
					t.Errorf("the server ended with %v\n%s", s.process.result, s.process.said)
				}
				again := spawn(t, binary, "serve", "--data", data, "--listen", "127.0.0.1:0")
				<-again.ended
				if _, served := <-again.ready; served || again.result == nil || !strings.Contains(again.said.String(), d.never) {
					t.Errorf("started again, it ended with %v\n%s", again.result, again.said)
				}
			} else {
				s.process.stop(syscall.SIGKILL)
			}

			d.repair(t, s)
			fsck(t, binary, data)
			serve()
			if n := s.calls(t); n != 5 {
				t.Errorf("mended, %d of 5 calls are answered\n%s", n, s.process.said)
			}
			s.process.stop(syscall.SIGTERM)
			s.world.check(t, data)
		})
	}
}
