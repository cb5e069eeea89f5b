package kms

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// populate makes keys with the default policy, as CreateKey does, but many in one
// transaction.
func populate(t testing.TB, rig *apitest.Rig, s *Service, n int) []string {
	t.Helper()
	ids := make([]string, 0, n)
	for len(ids) < n {
		batch := min(10_000, n-len(ids))
		done := ids
		err := rig.Store.Update(context.Background(), func(tx *store.Tx) error {
			ids = done
			for i := range batch {
				k := s.make(apitest.Account, defaultPolicy(apitest.Account), nil, rig.Now())
				// Ids that rise are inserted sooner; what is asked for later is random.
				k.id = uuid.At(time.UnixMilli(int64(len(done) + i)))
				k.arn = s.arn(k.account, "key/"+k.id)
				wrapped, err := s.furnish(k)
				if err != nil {
					return err
				}
				if err := insertKey(tx, k, wrapped); err != nil {
					return err
				}
				ids = append(ids, k.id)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// With more keys than any cache holds, each call still uses its own: what one key
// sealed, that key opens, whoever pushed it out of memory in between.
func TestMoreKeysThanMemory(t *testing.T) {
	st, dir := apitest.NewStore(t)
	rig, s := newRigWith(t, st, dir)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	ids := populate(t, rig, s, cachedMaterials+200)
	call := begun(t, rig, admin)
	blobs := make([][]byte, len(ids))
	for i, id := range ids {
		out, err := api.Invoke[kms.EncryptOutput](t.Context(), call, "kms:Encrypt", &kms.EncryptInput{KeyId: id, Plaintext: []byte(id)})
		if err != nil {
			t.Fatal(err)
		}
		blobs[i] = out.CiphertextBlob
	}
	for i, id := range ids {
		out, err := api.Invoke[kms.DecryptOutput](t.Context(), call, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: blobs[i]})
		if err != nil || string(out.Plaintext) != id {
			t.Fatalf("key %d of %d: %v", i, len(ids), err)
		}
	}
}

func begun(t testing.TB, rig *apitest.Rig, c *apitest.Caller) *api.Call {
	t.Helper()
	call, err := rig.Door.Begin(context.Background(), api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: c.Entity.ID}, "")
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// BenchmarkScale is what a call costs among ten keys and among a hundred thousand (or
// BAWN_KEYS), each chosen at random, and what the process then holds in memory more than before.
func BenchmarkScale(b *testing.B) {
	many := 100_000
	if set := os.Getenv("BAWN_KEYS"); set != "" {
		var err error
		if many, err = strconv.Atoi(set); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range []int{10, many} {
		st, dir := apitest.NewStore(b)
		rig, s := newRigWith(b, st, dir)
		admin := rig.User(b, apitest.Account, "admin", apitest.Admin)
		ids := populate(b, rig, s, n)
		for name, ask := range map[string]func(context.Context, *api.Call, string) error{
			"DescribeKey": func(ctx context.Context, c *api.Call, id string) error {
				_, err := api.Invoke[kms.DescribeKeyOutput](ctx, c, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: id})
				return err
			},
			"Encrypt": func(ctx context.Context, c *api.Call, id string) error {
				_, err := api.Invoke[kms.EncryptOutput](ctx, c, "kms:Encrypt", &kms.EncryptInput{KeyId: id, Plaintext: make([]byte, 256)})
				return err
			},
		} {
			b.Run(fmt.Sprintf("%s/keys=%d", name, n), func(b *testing.B) {
				const callers = 64
				held := heap()
				before := processor(b)
				var group sync.WaitGroup
				for c := range callers {
					group.Go(func() {
						call := begun(b, rig, admin)
						for i := c; i < b.N; i += callers {
							if err := ask(b.Context(), call, ids[rand.IntN(len(ids))]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
				b.ReportMetric(float64((processor(b)-before).Microseconds())/float64(b.N), "µs-of-processor/call")
				b.ReportMetric((heap()-held)/(1<<20), "MiB-more-of-heap")
			})
		}
	}
}

// heap is what is alive, in bytes.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
