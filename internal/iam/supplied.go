package iam

import (
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
)

// The documents of AWS-managed policies, written for what Bawn serves under the
// names that people know.
//
//go:embed supplied/*.json
var suppliedFiles embed.FS

// suppliedPolicies reads them. Their ids follow from their names, since sessions
// and attachments outlive a release.
func suppliedPolicies() (map[string]*managed, error) {
	files, err := suppliedFiles.ReadDir("supplied")
	if err != nil {
		return nil, err
	}
	all := map[string]*managed{}
	for _, f := range files {
		document, err := suppliedFiles.ReadFile("supplied/" + f.Name())
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(f.Name(), ".json")
		m := &managed{
			id: suppliedID(name), account: supplier, path: "/", name: name, document: string(document),
			created: time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC),
		}
		if m.doc, err = parsedManaged(m.arn(), m.document); err != nil {
			return nil, fmt.Errorf("iam: supplied policy %s: %w", name, err)
		}
		all[m.arn()] = m
	}
	return all, nil
}

func suppliedID(name string) string {
	sum := sha256.Sum256([]byte("arn:aws:iam::aws:policy/" + name))
	return "ANPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
