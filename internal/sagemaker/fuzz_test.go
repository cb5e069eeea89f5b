package sagemaker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A key that may be a file's name stays below its channel, whatever it is.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"a.csv", "a/b", "../a", "a/../../b", "/etc/passwd", "a//b", ".", "..", "a/./b", "a\x00b", "..\\a", "a/", "\n"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		if !plain(name) {
			return
		}
		joined := filepath.Join(dir, "data/train", name)
		if !strings.HasPrefix(joined, dir+"/data/train/") || joined != dir+"/data/train/"+name {
			t.Errorf("%q becomes %q", name, joined)
		}
		if strings.ContainsRune(name, os.PathSeparator) && strings.HasPrefix(name, "/") {
			t.Errorf("%q is absolute", name)
		}
	})
}

func FuzzS3URI(f *testing.F) {
	for _, seed := range []string{"s3://b/k", "s3://b", "s3:///k", "https://b/k", "s3://", "s3://b//k"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		bucket, key, ok := cutS3(uri)
		if ok && (bucket == "" || strings.Contains(bucket, "/") || !strings.HasPrefix(uri, "s3://"+bucket) || !strings.HasSuffix(uri, key)) {
			t.Errorf("%q is %q, %q", uri, bucket, key)
		}
	})
}
