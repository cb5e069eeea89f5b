package trail

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/ledger"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// A clinic's traffic: 12 accounts, 2,000 people, 5,000 keys, a million objects, a
// thousand calls a second.
const (
	scaleAccounts = 12
	scalePeople   = 2_000
	scaleKeys     = 5_000
	scaleObjects  = 1_000_000
)

var scaleBegin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func scaleRecord(draw *rand.Rand, i int) *Record {
	at := scaleBegin.Add(time.Duration(i) * time.Millisecond)
	person, object := draw.IntN(scalePeople), draw.IntN(scaleObjects)
	account := fmt.Sprintf("%012d", 1+person%scaleAccounts)
	r := &Record{
		EventID: uuid.At(at), RequestID: uuid.New(), EventTime: at, EventSource: "s3.amazonaws.com", EventName: []string{"GetObject", "PutObject", "HeadObject"}[draw.IntN(3)],
		Region: "us-east-1", Account: account, SourceIP: "10.0.3.17", UserAgent: "Boto3/1.42.1 md/Botocore#1.42.1 ua/2.1 os/linux#6.18 lang/python#3.13.5",
		VpcEndpointID: "vpce-0123456789abcdef0", VpcEndpointAccountID: account, EventCategory: "Data", ReadOnly: true,
		UserIdentity: UserIdentity{
			Type: "AssumedRole", PrincipalID: "AROAEXAMPLEEXAMPLE:" + fmt.Sprint("person-", person), ARN: fmt.Sprintf("arn:aws:sts::%s:assumed-role/Reader/person-%d", account, person),
			AccountID: account, AccessKeyID: fmt.Sprintf("ASIA%016d", draw.IntN(scaleKeys)),
			SessionContext: &SessionContext{CreationDate: at, SessionIssuer: SessionIssuer{Type: "Role", PrincipalID: "AROAEXAMPLEEXAMPLE",
				ARN: "arn:aws:iam::" + account + ":role/Reader", AccountID: account, UserName: "Reader"}},
			OnBehalfOf: &OnBehalfOf{UserID: scalePerson(person), IdentityStoreARN: "arn:aws:identitystore::000000000001:identitystore/d-1234567890"},
		},
		RequestParameters: jsontext.Value(fmt.Sprintf(`{"bucketName":"scans-%s","key":"studies/2026/%07d.dcm"}`, account, object)),
		Resources: []Resource{
			{ARN: scaleObject(account, object), Account: account, Type: "AWS::S3::Object"},
			{ARN: "arn:aws:s3:::scans-" + account, Account: account, Type: "AWS::S3::Bucket"},
		},
		TLS: TLS{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", Host: "s3.us-east-1.amazonaws.com"},
	}
	if draw.IntN(4) == 0 { // what S3 asks of KMS
		key := "arn:aws:kms:us-east-1:" + account + ":key/11111111-2222-4333-8444-555555555555"
		r.EventSource, r.EventName, r.EventCategory, r.ManagementEvent = "kms.amazonaws.com", "Decrypt", "Management", true
		r.SourceIP, r.UserAgent, r.UserIdentity.InvokedBy = "s3.amazonaws.com", "s3.amazonaws.com", "s3.amazonaws.com"
		r.ParentRequestID, r.VpcEndpointID, r.VpcEndpointAccountID, r.TLS = uuid.New(), "", "", TLS{}
		r.RequestParameters = jsontext.Value(fmt.Sprintf(`{"encryptionContext":{"aws:s3:arn":%q},"keyId":%q}`, scaleObject(account, object), key))
		r.Resources = []Resource{{ARN: key, Account: account, Type: "AWS::KMS::Key"}}
	}
	if draw.IntN(50) == 0 {
		r.ErrorCode, r.ErrorMessage = "AccessDenied", "User is not authorized to perform: s3:GetObject because no identity-based policy allows the s3:GetObject action"
	}
	if i%100_000 == 99_999 { // who hardly ever comes
		r.UserIdentity.OnBehalfOf.UserID, r.UserIdentity.AccessKeyID, r.EventName = scaleRare, "ASIARARERARERARERARE", "DeleteObject"
	}
	return r
}

const scaleRare = "99999999-0000-4000-8000-000000000000"

func scalePerson(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }

func scaleObject(account string, i int) string {
	return fmt.Sprintf("arn:aws:s3:::scans-%s/studies/2026/%07d.dcm", account, i)
}

func signerOf(t testing.TB) ledger.Signer {
	t.Helper()
	signer, err := ledger.NewSigner("bench.example/record", ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// filled writes n records as appending and sealing would, but the index in a tenth of the
// transactions and each in order: its rows are the same, and reach all places of it.
func filled(b *testing.B, s *store.Store, t *Trail, n int) {
	b.Helper()
	draw := rand.New(rand.NewPCG(1, 2))
	tree := ledger.NewBuilder(0, nodes{})
	work := new(room)
	var terms []any
	for first := 0; first < n; {
		err := s.Update(b.Context(), func(tx *store.Tx) error {
			for end := min(n, first+32*batch); first < end; {
				rows := make([]row, min(batch, n-first))
				values, leaves := make([]any, 0, 4*len(rows)), []byte{}
				for i := range rows {
					r := scaleRecord(draw, first+i)
					if err := r.complete(); err != nil {
						return err
					}
					event, err := r.MarshalEvent()
					if err != nil {
						return err
					}
					rows[i] = row{seq: int64(first + i + 1), time: r.EventTime.UnixMicro(), account: r.Account, terms: r.terms()}
					stored := work.compressed(event)
					values = append(values, rows[i].time, r.Account, stored, t.authors.mac(rows[i].time, r.Account, stored))
					hash := ledger.LeafHash(event)
					leaves = append(leaves, hash[:]...)
					if err := tree.Add(hash); err != nil {
						return err
					}
				}
				var hashes []byte
				for _, h := range tree.New {
					hashes = append(hashes, h[:]...)
				}
				size := int64(first + len(rows))
				above := peaks{}
				root, err := above.of(size, tree)
				if err != nil {
					return err
				}
				signed, err := t.signer.Sign(ledger.Checkpoint{Origin: t.signer.Origin(), Size: size, Root: root})
				if err != nil {
					return err
				}
				if err := errors.Join(tx.Insert(records, 4, values),
					tx.Insert("trail_leaves (leaf, seq, hash)", 3, []any{int64(first), int64(first + 1), leaves}),
					tx.Insert("trail_hashes (idx, hash)", 2, []any{tree.First, hashes}),
					tx.Insert("trail_checkpoints (size, signed)", 2, []any{size, signed})); err != nil {
					return err
				}
				terms = append(terms, indexed(rows)...)
				tree = ledger.NewBuilder(size, above.over(nodes{}))
				first += len(rows)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		const columns = 5
		if len(terms) < columns*min(n/10, 1_000_000)*5 && first < n {
			continue
		}
		sorted := slices.Collect(slices.Chunk(terms, columns))
		slices.SortFunc(sorted, func(x, y []any) int {
			return cmp.Or(cmp.Compare(x[0].(string), y[0].(string)), cmp.Compare(x[1].(string), y[1].(string)))
		})
		for some := range slices.Chunk(sorted, 10_000) {
			if err := s.Update(b.Context(), func(tx *store.Tx) error {
				return tx.Insert("trail_terms (account, term, time, seq, more)", columns, slices.Concat(some...))
			}); err != nil {
				b.Fatal(err)
			}
		}
		terms = nil
	}
}
