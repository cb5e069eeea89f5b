package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

const (
	keySize  = 32
	ivSize   = 12
	tagSize  = 16
	wrapForm = 0x01 // first byte of what wrap answers
)

// A token is one that is logged in to.
type token struct {
	ctx     *pkcs11.Ctx
	session pkcs11.SessionHandle
}

// open loads the library and logs in to the one token with the label.
func (t *token) open(module, label string, pin []byte) error {
	if t.ctx != nil {
		return errors.New("a token is open already")
	}
	ctx := pkcs11.New(module)
	if ctx == nil {
		return fmt.Errorf("the PKCS#11 module %s cannot be loaded", module)
	}
	if err := ctx.Initialize(); err != nil {
		ctx.Destroy()
		return said("the module does not start", err)
	}
	t.ctx = ctx
	slot, err := t.find(label)
	if err == nil {
		t.session, err = ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	}
	if err == nil {
		err = ctx.Login(t.session, pkcs11.CKU_USER, string(pin))
	}
	if err != nil {
		t.close()
		return said("logging in", err)
	}
	return nil
}

// find answers the slot that holds the token.
func (t *token) find(label string) (uint, error) {
	slots, err := t.ctx.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	var found []uint
	for _, slot := range slots {
		if info, err := t.ctx.GetTokenInfo(slot); err == nil && info.Label == label && info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 {
			found = append(found, slot)
		}
	}
	switch len(found) {
	case 0:
		return 0, errors.New("it is not there: is it connected, and are label and module right?")
	case 1:
		return found[0], nil
	}
	return 0, errors.New("several tokens have this label")
}

func (t *token) close() {
	if t.ctx == nil {
		return
	}
	t.ctx.Logout(t.session) // what fails here ends with the process
	t.ctx.CloseSession(t.session)
	t.ctx.Finalize()
	t.ctx.Destroy()
	t.ctx = nil
}

// make has the token make an AES-256 key that can never leave it.
func (t *token) make(label string) error {
	if label == "" {
		return errors.New("a key needs a label")
	}
	if keys, err := t.labelled(label); err != nil || len(keys) > 0 {
		return errors.Join(err, errors.New("there is a key with this label already"))
	}
	_, err := t.ctx.GenerateKey(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, keySize),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_WRAP, false),
		pkcs11.NewAttribute(pkcs11.CKA_UNWRAP, false),
	})
	return said("making the key", err)
}

func (t *token) labelled(label string) ([]pkcs11.ObjectHandle, error) {
	err := t.ctx.FindObjectsInit(t.session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	})
	if err != nil {
		return nil, said("looking for the key", err)
	}
	keys, _, err := t.ctx.FindObjects(t.session, 2)
	return keys, said("looking for the key", errors.Join(err, t.ctx.FindObjectsFinal(t.session)))
}

// key answers the one key with a label. One that could leave the token is refused:
// somebody put it there.
func (t *token) key(label string) (pkcs11.ObjectHandle, error) {
	keys, err := t.labelled(label)
	if err != nil {
		return 0, err
	}
	if len(keys) != 1 {
		return 0, fmt.Errorf("it holds %d keys with the label %s, not one", len(keys), label)
	}
	kept, err := t.ctx.GetAttributeValue(t.session, keys[0], []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, nil), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, nil),
	})
	if err != nil {
		return 0, said("looking at the key", err)
	}
	if !bytes.Equal(kept[0].Value, []byte{1}) || !bytes.Equal(kept[1].Value, []byte{0}) {
		return 0, fmt.Errorf("the key %s may leave it: that is not the key that bawn made", label)
	}
	return keys[0], nil
}

// wrap encrypts data with AES-GCM on the token. The token may make the nonce itself,
// as validated ones must; else it is random.
func (t *token) wrap(label string, data, aad []byte) ([]byte, error) {
	if len(data) != keySize {
		return nil, errors.New("only keys of 32 bytes are wrapped")
	}
	key, err := t.key(label)
	if err != nil {
		return nil, err
	}
	iv := make([]byte, ivSize)
	rand.Read(iv)
	sealed, used, err := t.encrypt(key, iv, data, aad)
	if errors.Is(err, pkcs11.Error(pkcs11.CKR_MECHANISM_PARAM_INVALID)) || errors.Is(err, pkcs11.Error(pkcs11.CKR_ARGUMENTS_BAD)) {
		// A token that insists on its own wants room for it, zeroed.
		if sealed, used, err = t.encrypt(key, make([]byte, ivSize), data, aad); err == nil && bytes.Equal(used, make([]byte, ivSize)) {
			err = errors.New("it makes no nonce")
		}
	}
	if err != nil {
		return nil, said("encrypting with AES-GCM", err)
	}
	if len(used) != ivSize || len(sealed) != keySize+tagSize {
		return nil, errors.New("what it encrypted has another form than AES-GCM's")
	}
	return append(append([]byte{wrapForm}, used...), sealed...), nil
}

func (t *token) encrypt(key pkcs11.ObjectHandle, iv, data, aad []byte) (sealed, used []byte, err error) {
	params := pkcs11.NewGCMParams(iv, aad, tagSize*8)
	defer params.Free()
	if err := t.ctx.EncryptInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, nil, err
	}
	if sealed, err = t.ctx.Encrypt(t.session, data); err != nil {
		return nil, nil, err
	}
	return sealed, append([]byte(nil), params.IV()...), nil
}

// unwrap answers what wrap was given.
func (t *token) unwrap(label string, wrapped, aad []byte) ([]byte, error) {
	if len(wrapped) != 1+ivSize+keySize+tagSize || wrapped[0] != wrapForm {
		return nil, errors.New("this was not wrapped here")
	}
	key, err := t.key(label)
	if err != nil {
		return nil, err
	}
	params := pkcs11.NewGCMParams(wrapped[1:1+ivSize], aad, tagSize*8)
	defer params.Free()
	if err := t.ctx.DecryptInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, said("decrypting", err)
	}
	data, err := t.ctx.Decrypt(t.session, wrapped[1+ivSize:])
	if err != nil {
		return nil, said("its key does not open this", err)
	}
	return data, nil
}

// said names what failed, and in words what can be helped.
func said(what string, err error) error {
	code, ok := errors.AsType[pkcs11.Error](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return fmt.Errorf("%s: %w", what, err)
	case code == pkcs11.CKR_PIN_INCORRECT, code == pkcs11.CKR_PIN_INVALID, code == pkcs11.CKR_PIN_LEN_RANGE:
		return errors.New("the PIN is wrong; the token counts wrong ones, and locks itself after some")
	case code == pkcs11.CKR_PIN_LOCKED:
		return errors.New("its PIN is locked, after too many wrong ones: its security officer can set another")
	}
	return fmt.Errorf("%s: %w", what, err)
}
