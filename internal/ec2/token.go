package ec2

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/store"
)

// How long a client token is remembered, and how long it may be, as at AWS.
const (
	tokenLife = 24 * time.Hour
	maxToken  = 64
)

// once runs make unless the same request, by its ClientToken, was served before:
// then it answers the ids that were made then. Without a token it always runs.
func once(tx *store.Tx, c *api.Call, operation, token string, in any, make func() ([]string, error)) ([]string, error) {
	if token == "" {
		return make()
	}
	if len(token) > maxToken {
		return nil, invalidValue(token, "clientToken", "A token has at most 64 characters.")
	}
	text, err := json.Marshal(in, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(text)
	if _, err := tx.Exec("DELETE FROM ec2_tokens WHERE created < ?", c.Now.Add(-tokenLife).UnixMicro()); err != nil {
		return nil, err
	}
	var before []byte
	var ids string
	err = tx.QueryRow("SELECT input, resources FROM ec2_tokens WHERE account = ? AND operation = ? AND token = ?", c.Account, operation, token).
		Scan(&before, &ids)
	switch {
	case err == nil && bytes.Equal(before, digest[:]):
		return strings.Fields(ids), nil
	case err == nil:
		return nil, fail("IdempotentParameterMismatch", "The client token %s was used before with other parameters.", token)
	case !errors.Is(err, sql.ErrNoRows):
		return nil, err
	}
	made, err := make()
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec("INSERT INTO ec2_tokens (account, operation, token, input, resources, created) VALUES (?, ?, ?, ?, ?, ?)",
		c.Account, operation, token, digest[:], strings.Join(made, " "), c.Now.UnixMicro())
	return made, err
}
