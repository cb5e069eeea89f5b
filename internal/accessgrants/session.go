package accessgrants

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	shape "bawn.dev/internal/shape/s3control"
)

type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]string `json:",omitzero"`
}

// literal is text that a policy takes for itself, whatever it holds.
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

// sessionPolicy says what a session may reach: objects in scope, their names, and
// the keys that seal them, by way of S3 only.
func (s *Service) sessionPolicy(of scope, permission shape.Permission) (string, error) {
	bucket, key := "arn:aws:s3:::"+of.bucket, literal.Replace(of.key)
	if !of.exact {
		key += "*"
	}
	var objects, keys []string
	var list []statement
	if allows(permission, shape.PermissionRead) {
		objects = append(objects, "s3:GetObject")
		keys = append(keys, "kms:Decrypt")
		names := statement{Effect: "Allow", Action: []string{"s3:ListBucket"}, Resource: []string{bucket}}
		if key != "*" {
			names.Condition = map[string]map[string]string{"StringLike": {"s3:prefix": key}}
		}
		list = append(list, names)
	}
	if allows(permission, shape.PermissionWrite) {
		objects = append(objects, "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
		keys = append(keys, "kms:GenerateDataKey", "kms:Decrypt")
	}
	list = append(list, statement{Effect: "Allow", Action: objects, Resource: []string{bucket + "/" + key}}, statement{
		Effect: "Allow", Action: slices.Compact(slices.Sorted(slices.Values(keys))), Resource: []string{"*"},
		Condition: map[string]map[string]string{"StringEquals": {"kms:ViaService": "s3." + s.Region + ".amazonaws.com"}},
	})
	text, err := json.Marshal(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", list}, json.Deterministic(true))
	return string(text), err
}
