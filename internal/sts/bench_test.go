package sts_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	shape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/sigv4"
)

// BenchmarkGetCallerIdentity is the whole call from inside, with a durable record:
// one caller, and as many as share a commit.
func BenchmarkGetCallerIdentity(b *testing.B) {
	h := newHouse(b)
	arn := h.role(b, "r", trust(anyone, assume, ""), document(admin))
	in := &shape.GetCallerIdentityInput{}
	for name, who := range map[string]api.Claim{"user": h.admin, "session": h.session(b, h.admin, &shape.AssumeRoleInput{RoleArn: arn})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				apitest.CallAs[shape.GetCallerIdentityOutput](b, h.Rig, who, "", "sts:GetCallerIdentity", in)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := apitest.CallAs[shape.GetCallerIdentityOutput](b, h.Rig, h.admin, "", "sts:GetCallerIdentity", in); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkSignedGetCallerIdentity is the same over HTTP on loopback, signed: what
// a client of one connection sees, and what 64 of them share. The client's own
// work is in it.
func BenchmarkSignedGetCallerIdentity(b *testing.B) {
	h := newHouse(b)
	arn := h.role(b, "r", trust(anyone, assume, ""), document(admin))
	made, refusal := h.assume(h.admin, &shape.AssumeRoleInput{RoleArn: arn}, b)
	if refusal != nil {
		b.Fatal(refusal)
	}
	user := sigv4.Credential{AccessKeyID: h.key.AccessKeyID, Secret: h.key.Secret}
	session := sigv4.Credential{AccessKeyID: made.Credentials.AccessKeyId, Secret: made.Credentials.SecretAccessKey, Token: made.Credentials.SessionToken}
	body := []byte("Action=GetCallerIdentity&Version=2011-06-15")
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	b.Cleanup(client.CloseIdleConnections)
	call := func(b *testing.B, who sigv4.Credential) {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, h.URL+"/", bytes.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		if err := sigv4.Sign(r, who, "sts", apitest.Region, h.Now(), digest); err != nil {
			b.Error(err)
			return
		}
		answer, err := client.Do(r)
		if err != nil {
			b.Error(err)
			return
		}
		defer answer.Body.Close()
		if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			b.Errorf("%d %s %v", answer.StatusCode, text, err)
		}
	}
	for name, who := range map[string]sigv4.Credential{"user": user, "session": session} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call(b, who)
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				call(b, session)
			}
		})
	})
}
