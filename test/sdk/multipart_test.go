package sdk

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The SDK's transfer manager, with the checksum that it chooses and with others.
func TestTransferManager(t *testing.T) {
	b := start(t)
	client := s3.NewFromConfig(b.admin(t), quiet)
	bucket := aws.String("models")
	call(t, client.CreateBucket, s3.CreateBucketInput{Bucket: bucket})
	content := make([]byte, 23<<20+5)
	rand.Read(content)
	up := manager.NewUploader(client, func(u *manager.Uploader) { u.PartSize = 8 << 20 })
	down := manager.NewDownloader(client, func(d *manager.Downloader) { d.PartSize = 5 << 20 })
	for name, algorithm := range map[string]types.ChecksumAlgorithm{
		"default": "", "CRC64NVME": types.ChecksumAlgorithmCrc64nvme, "SHA256": types.ChecksumAlgorithmSha256,
	} {
		t.Run(name, func(t *testing.T) {
			key := aws.String("large/" + name)
			out, err := up.Upload(t.Context(), &s3.PutObjectInput{
				Bucket: bucket, Key: key, Body: bytes.NewReader(content), ChecksumAlgorithm: algorithm, ContentType: aws.String("application/x-model")})
			if err != nil {
				t.Fatal(err)
			}
			back := manager.NewWriteAtBuffer(nil)
			if n, err := down.Download(t.Context(), back, &s3.GetObjectInput{Bucket: bucket, Key: key}); err != nil || n != int64(len(content)) || !bytes.Equal(back.Bytes(), content) {
				t.Fatalf("%d bytes came back: %v", n, err)
			}
			head := call(t, client.HeadObject, s3.HeadObjectInput{Bucket: bucket, Key: key, PartNumber: aws.Int32(3)})
			if aws.ToInt32(head.PartsCount) != 3 || aws.ToInt64(head.ContentLength) != 7<<20+5 || aws.ToString(head.ETag) != aws.ToString(out.ETag) {
				t.Errorf("%+v", head)
			}
			copied := call(t, client.CopyObject, s3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("models/large/" + name)})
			got := call(t, client.GetObject, s3.GetObjectInput{Bucket: bucket, Key: aws.String("copy")})
			defer got.Body.Close()
			whole := new(bytes.Buffer)
			if _, err := whole.ReadFrom(got.Body); err != nil || !bytes.Equal(whole.Bytes(), content) || aws.ToString(got.ETag) != aws.ToString(copied.CopyObjectResult.ETag) {
				t.Errorf("the copy: %v", err)
			}
		})
	}
	fails(t, "NoSuchUpload", client.AbortMultipartUpload, s3.AbortMultipartUploadInput{Bucket: bucket, Key: aws.String("k"), UploadId: aws.String("none")})
}
