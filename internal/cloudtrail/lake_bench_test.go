package cloudtrail

import (
	"context"
	"fmt"
	"testing"

	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/cloudtrail"
	"bawn.dev/internal/trail"
)

// What looking at an event costs a query: without rest, and with all of the work.
func BenchmarkQuery(b *testing.B) {
	rig := newBench(b)
	arn := rig.lake(b, rig.admin, &shape.CreateEventDataStoreInput{Name: "all"})
	const events = 20_000
	for range events / 100 {
		var all []*trail.Record
		for i := range 100 {
			all = append(all, &trail.Record{
				EventTime: rig.Now(), Account: apitest.Account, EventSource: "kms.amazonaws.com", EventName: "Decrypt", Region: apitest.Region, ReadOnly: true,
				EventCategory: "Management", UserIdentity: trail.UserIdentity{Type: "IAMUser", ARN: fmt.Sprintf("arn:aws:iam::%s:user/u%d", apitest.Account, i), UserName: fmt.Sprint("u", i)},
				RequestParameters: []byte(`{"keyId":"arn:aws:kms:us-east-1:123456789012:key/0123","encryptionContext":{"a":"b"}}`),
				Resources:         []trail.Resource{{ARN: "arn:aws:kms:us-east-1:123456789012:key/0123", Account: apitest.Account, Type: "AWS::KMS::Key"}},
			})
		}
		if err := rig.Trail.Write(context.Background(), all...); err != nil {
			b.Fatal(err)
		}
	}
	for name, statement := range map[string]string{
		"everything":   "SELECT userIdentity.userName, count(*) FROM $ GROUP BY userIdentity.userName",
		"by the index": "SELECT count(*) FROM $ WHERE userIdentity.userName = 'u7'",
	} {
		b.Run(name, func(b *testing.B) {
			var worked, looked int64
			for b.Loop() {
				query := rig.ask(b, rig.admin, arn, statement)
				rig.answering(b)
				stats := rig.described(b, rig.admin, query).QueryStatistics
				worked, looked = worked+int64(*stats.ExecutionTimeInMillis), looked+*stats.EventsScanned
			}
			b.ReportMetric(float64(worked)/float64(b.N), "ms-work/op")
			b.ReportMetric(float64(looked)/float64(b.N), "events/op")
		})
	}
}
