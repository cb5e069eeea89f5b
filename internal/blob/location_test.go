package blob

import "testing"

func TestLocation(t *testing.T) {
	for text, want := range map[string]Location{
		"s3://sealed":          {Bucket: "sealed"},
		"s3://sealed/of/bawn/": {Bucket: "sealed", Prefix: "of/bawn/"},
		"s3://sealed/p?endpoint=https://minio.example:9000&region=eu-west-1&profile=ours": {
			Bucket: "sealed", Prefix: "p/", Endpoint: "https://minio.example:9000", Region: "eu-west-1", Profile: "ours"},
		"s3://sealed?endpoint=http://127.0.0.1:7070": {Bucket: "sealed", Endpoint: "http://127.0.0.1:7070"},
	} {
		if got, err := ParseLocation(text); err != nil || got != want {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "sealed", "https://sealed", "s3:///prefix", "s3://key:secret@sealed", "s3://sealed#x", "s3://sealed?endpoint=minio",
		"s3://sealed?endpoint=http://minio.example", "s3://sealed?endpoint=http://10.0.0.1:9000", "s3://sealed?endpoint=https://a&endpoint=https://b",
		"s3://sealed?secret=x", "s3://sealed?region=", "s3://sealed?endpoint=ftp://127.0.0.1"} {
		if l, err := ParseLocation(text); err == nil {
			t.Errorf("%q is %+v", text, l)
		}
	}
}
