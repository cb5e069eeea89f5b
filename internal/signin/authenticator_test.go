package signin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"
)

// An authenticator holds one passkey and does what a browser and its authenticator do,
// or, with a field changed, what an attacker's does.
type authenticator struct {
	key     *ecdsa.PrivateKey
	id      []byte
	user    []byte // handle
	count   uint32
	rp      string
	origin  string
	flags   byte   // user present, user verified
	kind    string // of the ceremony, where it is not the one offered for
	format  string // of the attestation
	dodging string // a challenge to answer instead of the one offered
}

const testOrigin = "https://bawn.test:4680"

func newAuthenticator(t testing.TB) *authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	rand.Read(id)
	return &authenticator{key: key, id: id, rp: "bawn.test", origin: testOrigin, flags: 0x05, format: "none"}
}

var b64 = base64.RawURLEncoding

// offered is what an authenticator reads of options.
type offered struct {
	PublicKey struct {
		Challenge        string                       `json:"challenge"`
		User             struct{ ID string }          `json:"user"`
		AllowCredentials []struct{ ID string }        `json:"allowCredentials"`
		UserVerification string                       `json:"userVerification"`
		RPID             string                       `json:"rpId"`
		Params           []struct{ Alg int }          `json:"pubKeyCredParams"`
		Selection        struct{ ResidentKey string } `json:"authenticatorSelection"`
	} `json:"publicKey"`
}

func readOptions(t testing.TB, options string) offered {
	t.Helper()
	var a offered
	if err := json.Unmarshal([]byte(options), &a); err != nil || a.PublicKey.Challenge == "" {
		t.Fatalf("options %q: %v", options, err)
	}
	return a
}

func (a *authenticator) clientData(kind, challenge string) []byte {
	if a.kind != "" {
		kind = a.kind
	}
	if a.dodging != "" {
		challenge = a.dodging
	}
	raw, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	return raw
}

func (a *authenticator) data(more ...byte) []byte {
	rp := sha256.Sum256([]byte(a.rp))
	flags := a.flags
	if len(more) > 0 {
		flags |= 0x40
	}
	return append(binary.BigEndian.AppendUint32(append(rp[:], flags), a.count), more...)
}

// create answers an offer to register.
func (a *authenticator) create(t testing.TB, options string) string {
	t.Helper()
	o := readOptions(t, options)
	user, err := b64.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	a.user = user
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	cose := slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33], []byte{0x22, 0x58, 32}, point[33:])
	data := a.data(slices.Concat(make([]byte, 16), []byte{0, byte(len(a.id))}, a.id, cose)...)
	client := a.clientData("webauthn.create", o.PublicKey.Challenge)
	statement := []byte{0xa0}
	if a.format == "packed" { // by a maker
		statement = slices.Concat([]byte{0xa3, 0x63}, []byte("alg"), []byte{0x26, 0x63}, []byte("sig"), []byte{0x41, 0, 0x63}, []byte("x5c"), []byte{0x81, 0x41, 0})
	}
	object := slices.Concat([]byte{0xa3, 0x63}, []byte("fmt"), []byte{0x60 + byte(len(a.format))}, []byte(a.format), []byte{0x67}, []byte("attStmt"), statement,
		[]byte{0x68}, []byte("authData"), []byte{0x59, byte(len(data) >> 8), byte(len(data))}, data)
	return a.response(map[string]any{"clientDataJSON": b64.EncodeToString(client), "attestationObject": b64.EncodeToString(object), "transports": []string{"internal"}})
}

// get answers a challenge.
func (a *authenticator) get(t testing.TB, options string) string {
	t.Helper()
	o := readOptions(t, options)
	a.count++
	data, client := a.data(), a.clientData("webauthn.get", o.PublicKey.Challenge)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(slices.Clone(data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return a.response(map[string]any{
		"clientDataJSON": b64.EncodeToString(client), "authenticatorData": b64.EncodeToString(data),
		"signature": b64.EncodeToString(signature), "userHandle": b64.EncodeToString(a.user),
	})
}

func (a *authenticator) response(of map[string]any) string {
	raw, _ := json.Marshal(map[string]any{
		"id": b64.EncodeToString(a.id), "rawId": b64.EncodeToString(a.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{}, "response": of,
	})
	return string(raw)
}
