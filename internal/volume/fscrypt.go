package volume

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctls are those of the kernel's Documentation/filesystems/fscrypt.rst.

// identifier names a key without revealing it: the kernel derives it from the
// key and keeps it in the policy, so that a wrong key is recognized.
type identifier [unix.FSCRYPT_KEY_IDENTIFIER_SIZE]byte

// seal puts the policy on the fresh, empty directory.
func (v *Volume) seal(key []byte) error {
	d, err := os.Open(v.Path())
	if err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	defer d.Close()
	id, err := addKey(d, key)
	if err != nil {
		return err
	}
	policy := unix.FscryptPolicyV2{
		Version:                   unix.FSCRYPT_POLICY_V2,
		Contents_encryption_mode:  unix.FSCRYPT_MODE_AES_256_XTS,
		Filenames_encryption_mode: unix.FSCRYPT_MODE_AES_256_CTS,
		Flags:                     unix.FSCRYPT_POLICY_FLAGS_PAD_32,
		Master_key_identifier:     id,
	}
	if err := ioctl(d, unix.FS_IOC_SET_ENCRYPTION_POLICY, unsafe.Pointer(&policy)); err != nil {
		return fmt.Errorf("volume: setting the encryption policy: %w", err)
	}
	// Read it back: a directory that only seems sealed is the failure that
	// this package exists to prevent.
	got, err := policyOf(d)
	if err != nil {
		return err
	}
	if got != id {
		return errors.New("volume: the encryption policy did not take")
	}
	v.key = id
	return nil
}

// unseal gives the kernel the key of a sealed directory.
func (v *Volume) unseal(key []byte) error {
	d, err := os.Open(v.Path())
	if errors.Is(err, os.ErrNotExist) {
		return ErrUnfinished
	}
	if err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	defer d.Close()
	want, err := policyOf(d)
	if errors.Is(err, unix.ENODATA) {
		return ErrUnfinished
	}
	if err != nil {
		return err
	}
	got, err := addKey(d, key)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		_, err := removeKey(d, got)
		return errors.Join(ErrWrongKey, err)
	}
	v.key = got
	return nil
}

// addKey gives the file system that d lies on the key, and returns its name.
func addKey(d *os.File, key []byte) (identifier, error) {
	// AES-256-XTS takes 64 bytes, and the key that the kernel sees should be
	// of no use anywhere else.
	raw, err := hkdf.Expand(sha256.New, key, "bawn volume fscrypt v1", unix.FSCRYPT_MAX_KEY_SIZE)
	if err != nil {
		return identifier{}, fmt.Errorf("volume: deriving: %w", err)
	}
	var arg struct {
		unix.FscryptAddKeyArg
		raw [unix.FSCRYPT_MAX_KEY_SIZE]byte
	}
	arg.Key_spec.Type = unix.FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER
	arg.Raw_size = uint32(copy(arg.raw[:], raw))
	err = ioctl(d, unix.FS_IOC_ADD_ENCRYPTION_KEY, unsafe.Pointer(&arg))
	clear(raw)
	clear(arg.raw[:])
	if err != nil {
		return identifier{}, fmt.Errorf("volume: adding the key: %w", err)
	}
	return identifier(arg.Key_spec.U[:len(identifier{})]), nil
}

// removeKey makes the kernel forget a key, and reports whether files are still
// open under it. A key that is not there is no error.
func removeKey(d *os.File, id identifier) (busy bool, err error) {
	var arg unix.FscryptRemoveKeyArg
	arg.Key_spec.Type = unix.FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER
	copy(arg.Key_spec.U[:], id[:])
	err = ioctl(d, unix.FS_IOC_REMOVE_ENCRYPTION_KEY_ALL_USERS, unsafe.Pointer(&arg))
	if err != nil && !errors.Is(err, unix.ENOKEY) {
		return false, fmt.Errorf("volume: removing the key: %w", err)
	}
	return arg.Removal_status_flags&unix.FSCRYPT_KEY_REMOVAL_STATUS_FLAG_FILES_BUSY != 0, nil
}

// policyOf returns the name of the key that directory d is sealed under.
func policyOf(d *os.File) (identifier, error) {
	var arg unix.FscryptGetPolicyExArg
	arg.Size = uint64(len(arg.Policy))
	if err := ioctl(d, unix.FS_IOC_GET_ENCRYPTION_POLICY_EX, unsafe.Pointer(&arg)); err != nil {
		return identifier{}, fmt.Errorf("volume: reading the encryption policy: %w", err)
	}
	policy := (*unix.FscryptPolicyV2)(unsafe.Pointer(&arg.Policy))
	if policy.Version != unix.FSCRYPT_POLICY_V2 || policy.Contents_encryption_mode != unix.FSCRYPT_MODE_AES_256_XTS ||
		policy.Filenames_encryption_mode != unix.FSCRYPT_MODE_AES_256_CTS {
		return identifier{}, errors.New("volume: the encryption policy is not one of ours")
	}
	return policy.Master_key_identifier, nil
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg))
	runtime.KeepAlive(f)
	if errno != 0 {
		return errno
	}
	return nil
}
