package logs

import (
	"context"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/kms"
	"bawn.dev/internal/seal"
	kmsshape "bawn.dev/internal/shape/kms"
	shape "bawn.dev/internal/shape/logs"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A bench is a door with the service and the key service behind it.
type bench struct {
	*apitest.Rig
	service *Service
	admin   *apitest.Caller
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(*testing.T, *bench)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		test(t, newBenchOver(t, open(t), t.TempDir()))
	})
}

func newBench(t testing.TB) *bench {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newBenchOver(t, st, dir)
}

func newBenchOver(t testing.TB, st *store.Store, dir string) *bench {
	t.Helper()
	b := &bench{}
	root := seal.NewKey()
	keys, err := kms.New(kms.Config{Region: apitest.Region, Key: root[:], Happened: func(ctx context.Context, e api.Event, change func(*store.Tx) error) error {
		return b.Door.Happened(ctx, e, change)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.service, err = New(Config{Region: apitest.Region, Begin: func(ctx context.Context, claim api.Claim, via string) (*api.Call, error) {
		return b.Door.Begin(ctx, claim, via)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.Rig = apitest.Over(t, st, dir, apitest.Options{Migrations: [][]store.Migration{kms.Migrations(), Migrations()}}, keys.API(), b.service.API())
	b.admin = b.User(t, apitest.Account, "admin", apitest.Admin)
	return b
}

func ptr[T any](v T) *T { return &v }

func (b *bench) group(t testing.TB, name, key string) {
	t.Helper()
	apitest.Must[shape.CreateLogGroupOutput](t, b.admin, "logs:CreateLogGroup", &shape.CreateLogGroupInput{LogGroupName: name, KmsKeyId: key})
}

func (b *bench) stream(t testing.TB, group, name string) {
	t.Helper()
	apitest.Must[shape.CreateLogStreamOutput](t, b.admin, "logs:CreateLogStream", &shape.CreateLogStreamInput{LogGroupName: group, LogStreamName: name})
}

func (b *bench) put(t testing.TB, group, stream string, events ...shape.InputLogEvent) {
	t.Helper()
	apitest.Must[shape.PutLogEventsOutput](t, b.admin, "logs:PutLogEvents", &shape.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events})
}

// now is the rig's time in milliseconds.
func (b *bench) now() int64 { return b.Now().UnixMilli() }

// refused demands that a call fails with a code.
func refused[Out any](t testing.TB, c *apitest.Caller, action string, in any, code string) {
	t.Helper()
	if _, err := apitest.Call[Out](t, c, action, in); err == nil || err.Code != code {
		t.Errorf("%s: %v, not %s", action, err, code)
	}
}

// serviceKey is a key whose policy lets the log service use it for one group, as
// AWS's documentation has it.
func (b *bench) serviceKey(t testing.TB, group string) *kmsshape.KeyMetadata {
	t.Helper()
	return apitest.Must[kmsshape.CreateKeyOutput](t, b.admin, "kms:CreateKey", &kmsshape.CreateKeyInput{Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + apitest.Account + `:root"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Allow","Principal":{"Service":"logs.` + apitest.Region + `.amazonaws.com"},
		 "Action":["kms:Encrypt*","kms:Decrypt*","kms:ReEncrypt*","kms:GenerateDataKey*","kms:Describe*"],"Resource":"*",
		 "Condition":{"ArnEquals":{"kms:EncryptionContext:aws:logs:arn":"arn:aws:logs:` + apitest.Region + `:` + apitest.Account + `:log-group:` + group + `"}}}]}`}).KeyMetadata
}
