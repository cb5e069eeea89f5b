package iam

import (
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// The documents of AWS-managed policies, written for what Bawn serves under the
// names that people know. Directories are the paths in their ARNs.
//
//go:embed supplied
var suppliedFiles embed.FS

// suppliedPolicies reads them, by ARN. Their ids follow from their ARNs, since
// sessions and attachments outlive a release.
func suppliedPolicies() (map[string]*managed, error) {
	all := map[string]*managed{}
	err := fs.WalkDir(suppliedFiles, "supplied", func(file string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		document, err := suppliedFiles.ReadFile(file)
		if err != nil {
			return err
		}
		m := &managed{
			account: supplier, path: "/", name: strings.TrimSuffix(f.Name(), ".json"), document: string(document),
			standard: 1, latest: 1, created: time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC),
		}
		if dir := strings.TrimPrefix(path.Dir(file), "supplied"); dir != "" {
			m.path = dir + "/"
		}
		m.id, m.updated = suppliedID(m.arn()), m.created
		if m.doc, err = parsedManaged(m.arn(), m.document); err != nil {
			return fmt.Errorf("iam: supplied policy %s: %w", m.name, err)
		}
		all[m.arn()] = m
		return nil
	})
	return all, err
}

func suppliedID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
