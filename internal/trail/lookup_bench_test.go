package trail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/pgtest"
	"bawn.dev/internal/store/storetest"
)

// scaleQuestions are what is asked of the record of a clinic: of who is there often,
// hardly ever and never, of what every record has, and of terms that meet often, rarely
// and never.
var scaleQuestions = []struct {
	name string
	ask  func(q *Query, draw *rand.Rand, person, records int)
}{
	{"person", func(q *Query, _ *rand.Rand, person, _ int) { q.Person = scalePerson(person) }},
	{"person/rare", func(q *Query, _ *rand.Rand, _, _ int) { q.Person = scaleRare }},
	{"person/absent", func(q *Query, draw *rand.Rand, _, _ int) { q.Person = fmt.Sprint("nobody-", draw.Int()) }},
	{"person/before", func(q *Query, draw *rand.Rand, person, records int) {
		q.Person, q.End = scalePerson(person), scaleBegin.Add(time.Duration(draw.IntN(records))*time.Millisecond)
	}},
	{"accesskey", func(q *Query, draw *rand.Rand, _, _ int) {
		q.AccessKeyID = fmt.Sprintf("ASIA%016d", draw.IntN(scaleKeys))
	}},
	{"object", func(q *Query, draw *rand.Rand, _, _ int) {
		q.ResourceName = scaleObject(q.Account, draw.IntN(scaleObjects))
	}},
	{"object/absent", func(q *Query, draw *rand.Rand, _, _ int) {
		q.ResourceName = scaleObject(q.Account, -1-draw.IntN(scaleObjects))
	}},
	{"bucket", func(q *Query, _ *rand.Rand, _, _ int) { q.ResourceName = "arn:aws:s3:::scans-" + q.Account }},
	{"bucket/second", func(q *Query, draw *rand.Rand, _, records int) {
		q.ResourceName, q.Start = "arn:aws:s3:::scans-"+q.Account, scaleBegin.Add(time.Duration(draw.IntN(records))*time.Millisecond)
		q.End = q.Start.Add(time.Second)
	}},
	{"kmskey", func(q *Query, _ *rand.Rand, _, _ int) { q.ResourceName = "11111111-2222-4333-8444-555555555555" }},
	{"bucket+person", func(q *Query, _ *rand.Rand, person, _ int) {
		q.ResourceName, q.Person = "arn:aws:s3:::scans-"+q.Account, scalePerson(person)
	}},
	{"bucket+rare", func(q *Query, _ *rand.Rand, _, _ int) {
		q.ResourceName, q.Person = "arn:aws:s3:::scans-"+q.Account, scaleRare
	}},
	{"kmskey+denied", func(q *Query, _ *rand.Rand, _, _ int) {
		q.ResourceName, q.ErrorsOnly = "11111111-2222-4333-8444-555555555555", true
	}},
	{"person+accesskey", func(q *Query, draw *rand.Rand, person, _ int) {
		q.Person, q.AccessKeyID = scalePerson(person), fmt.Sprintf("ASIA%016d", draw.IntN(scaleKeys))
	}},
	{"bucket+kms", func(q *Query, _ *rand.Rand, _, _ int) {
		q.ResourceName, q.EventSource = "arn:aws:s3:::scans-"+q.Account, "kms.amazonaws.com"
	}},
	{"writes", func(q *Query, _ *rand.Rand, _, _ int) { q.ReadOnly = new(bool) }},
}

// BenchmarkLookup finds the newest 50 records of one account by what an auditor asks
// for, among BAWN_RECORDS (200,000), another each time: with the database in memory, and
// with nothing of it there. Bytes are what a record costs in the database, and of that
// what each part costs.
func BenchmarkLookup(b *testing.B) {
	n := 200_000
	if text := os.Getenv("BAWN_RECORDS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(b.TempDir(), "bawn.db")
	s := storetest.Open(b, store.Config{Path: path})
	t, err := New(s, signerOf(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	filled(b, s, t, n)
	b.Run("storage", func(b *testing.B) {
		b.ReportMetric(0, "ns/op") // nothing is timed
		sizes(b, s, n, inSQLite)
	})
	b.Run("pages", func(b *testing.B) {
		b.ReportMetric(0, "ns/op")
		var took []time.Duration
		for q := (Query{Account: "000000000001", ResourceName: "arn:aws:s3:::scans-000000000001"}); len(took) < 10_000; {
			began := time.Now()
			page, err := t.Find(b.Context(), q)
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
			if q.Token = page.NextToken; q.Token == "" {
				break
			}
		}
		firstAndLast(b, took)
	})
	b.Run("search", func(b *testing.B) {
		b.ReportMetric(0, "ns/op")
		var took []time.Duration
		search := Search{Limit: MaxSearch}
		for i := range scaleAccounts {
			search.Queries = append(search.Queries, Query{Account: fmt.Sprintf("%012d", 1+i), EventName: "GetObject"})
		}
		for len(took) < 1_000 {
			began := time.Now()
			found, err := t.Search(b.Context(), search)
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
			if search.After = found.Next; search.After == "" {
				break
			}
		}
		firstAndLast(b, took)
	})
	draw := rand.New(rand.NewPCG(3, 4))
	for _, question := range scaleQuestions {
		for _, cold := range []bool{false, true} {
			name := question.name
			if cold {
				name += "/cold"
			}
			b.Run(name, func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					person := draw.IntN(scalePeople)
					q := Query{Account: fmt.Sprintf("%012d", 1+person%scaleAccounts)}
					question.ask(&q, draw, person, n)
					if cold {
						b.StopTimer()
						forget(b, path)
						b.StartTimer()
					}
					began := time.Now()
					if _, err := t.Find(b.Context(), q); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(began))
				}
				quantiles(b, took)
			})
		}
	}
}

func quantiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms-max")
}

// firstAndLast tells whether the last of many pages take longer than the first.
func firstAndLast(b *testing.B, took []time.Duration) {
	b.Helper()
	b.ReportMetric(float64(len(took)), "pages")
	part := min(100, len(took))
	for name, some := range map[string][]time.Duration{"first": took[:part], "last": took[len(took)-part:]} {
		some = slices.Sorted(slices.Values(some))
		b.ReportMetric(float64(some[len(some)/2].Microseconds())/1000, "ms-p50-"+name)
	}
	quantiles(b, took)
}

// forget drops what the system holds of a file in memory. What SQLite's connections
// hold, 4 MiB each, stays.
func forget(b *testing.B, path string) {
	b.Helper()
	for _, name := range []string{path, path + "-wal"} {
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		f.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStorage is what a record costs in PostgreSQL; BenchmarkLookup tells it of
// SQLite.
func BenchmarkStorage(b *testing.B) {
	const n = 200_000
	s := storetest.Open(b, store.Config{DatabaseURL: pgtest.Start(b).Database(b)})
	t, err := New(s, signerOf(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	filled(b, s, t, n)
	b.Run("postgres", func(b *testing.B) {
		b.ReportMetric(0, "ns/op") // nothing is timed
		sizes(b, s, n, "SELECT pg_total_relation_size(CAST(? AS TEXT))")
	})
}

// inSQLite is what a table takes in its file, with its indexes.
const inSQLite = "SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name LIKE ? || '%'"

// sizes reports the bytes per record on the disk.
func sizes(b *testing.B, s *store.Store, n int, query string) {
	b.Helper()
	sn, err := s.Snapshot(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer sn.Close()
	var whole int64
	for _, table := range []string{"records", "terms", "hashes", "leaves", "checkpoints"} {
		var bytes int64
		if err := sn.QueryRow(query, "trail_"+table).Scan(&bytes); err != nil {
			b.Fatal(err)
		}
		whole += bytes
		b.ReportMetric(float64(bytes)/float64(n), table+"-bytes/record")
	}
	b.ReportMetric(float64(whole)/float64(n), "bytes/record")
}
