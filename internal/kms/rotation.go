package kms

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
)

const (
	// usualRotation is how many days lie between rotations when nobody says.
	usualRotation = 365
	// maxOnDemand is how often a key can be rotated by hand.
	maxOnDemand = 25
	// imminent is how shortly before an automatic rotation none can be asked for.
	imminent = 20 * time.Minute
)

// rotatable refuses keys whose material never changes.
func (k *key) rotatable() error {
	if k.spec != kms.KeySpecSymmetricDefault {
		return fail("UnsupportedOperationException", "%s key spec is %s which is not valid for this operation.", k.arn, k.spec)
	}
	return nil
}

// scheduled refuses keys that do not rotate by themselves.
func (k *key) scheduled() error {
	if err := k.rotatable(); err != nil {
		return err
	}
	if k.origin != kms.OriginTypeAwsKms {
		return k.wrongOrigin()
	}
	return nil
}

func (k *key) wrongOrigin() error {
	return fail("UnsupportedOperationException", "%s origin is %s which is not valid for this operation.", k.arn, k.origin)
}

func (s *Service) rotatedKey(ctx context.Context, c *api.Call, in *kms.EnableKeyRotationInput) (*named, []api.Demand, error) {
	n, demands, err := s.on(ctx, c, "EnableKeyRotation", in.KeyId, ownKey)
	if err != nil {
		return nil, nil, err
	}
	demands[0].Keys.Set("kms:RotationPeriodInDays", strconv.Itoa(int(period(in))))
	return n, demands, nil
}

func period(in *kms.EnableKeyRotationInput) int32 {
	if in.RotationPeriodInDays == nil {
		return usualRotation
	}
	return *in.RotationPeriodInDays
}

func (s *Service) enableKeyRotation(_ context.Context, c *api.Call, in *kms.EnableKeyRotationInput, n *named) (api.Commit[kms.EnableKeyRotationOutput], error) {
	if err := cmp.Or(n.scheduled(), n.ready(c.Now)); err != nil {
		return nil, err
	}
	days := int(period(in))
	next := c.Now.AddDate(0, 0, days)
	if days == n.rotation {
		next = n.rotates // asking again puts nothing off
	}
	return func(tx *store.Tx) (*kms.EnableKeyRotationOutput, error) {
		if err := n.set(tx, "rotation", days); err != nil {
			return nil, err
		}
		return &kms.EnableKeyRotationOutput{}, n.set(tx, "rotates", micros(next))
	}, nil
}

func (s *Service) unrotatedKey(ctx context.Context, c *api.Call, in *kms.DisableKeyRotationInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "DisableKeyRotation", in.KeyId, ownKey)
}

func (s *Service) disableKeyRotation(_ context.Context, c *api.Call, _ *kms.DisableKeyRotationInput, n *named) (api.Commit[kms.DisableKeyRotationOutput], error) {
	if err := cmp.Or(n.scheduled(), n.ready(c.Now)); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.DisableKeyRotationOutput, error) {
		if err := n.set(tx, "rotation", 0); err != nil {
			return nil, err
		}
		return &kms.DisableKeyRotationOutput{}, n.set(tx, "rotates", 0)
	}, nil
}

func (s *Service) rotationKey(ctx context.Context, c *api.Call, in *kms.GetKeyRotationStatusInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "GetKeyRotationStatus", in.KeyId, anyKey)
}

// getKeyRotationStatus shows no rotation on demand in progress: there is none after
// the call that asked for it.
func (s *Service) getKeyRotationStatus(_ context.Context, _ *api.Call, _ *kms.GetKeyRotationStatusInput, n *named) (*kms.GetKeyRotationStatusOutput, error) {
	if err := n.rotatable(); err != nil {
		return nil, err
	}
	on := n.rotation > 0 && n.deletion.IsZero()
	out := &kms.GetKeyRotationStatusOutput{KeyId: n.id, KeyRotationEnabled: &on}
	if on {
		days := int32(n.rotation) //nolint:gosec // at most 2560
		out.RotationPeriodInDays, out.NextRotationDate = &days, n.rotates
	}
	return out, nil
}

func (s *Service) turnedKey(ctx context.Context, c *api.Call, in *kms.RotateKeyOnDemandInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "RotateKeyOnDemand", in.KeyId, ownKey)
}

// rotateKeyOnDemand rotates at once. Of two who ask at the same time one does.
func (s *Service) rotateKeyOnDemand(_ context.Context, c *api.Call, _ *kms.RotateKeyOnDemandInput, n *named) (api.Commit[kms.RotateKeyOnDemandOutput], error) {
	if err := cmp.Or(n.rotatable(), n.ready(c.Now)); err != nil {
		return nil, err
	}
	all, err := generations(c.Snapshot, n.id)
	if err != nil {
		return nil, err
	}
	asked := 0
	for _, g := range all {
		if g.rotation == kms.RotationTypeOnDemand {
			asked++
		}
		if !g.rotated.IsZero() && !g.rotated.Before(c.Now) {
			return nil, fail("ConflictException", "A rotation of %s is in progress.", n.arn)
		}
	}
	switch {
	case asked >= maxOnDemand:
		return nil, fail("LimitExceededException", "%s was rotated on demand %d times, which is the limit.", n.arn, maxOnDemand)
	case n.rotation > 0 && n.rotates.Sub(c.Now) < imminent:
		return nil, fail("ConflictException", "An automatic rotation of %s is in progress or begins within the next 20 minutes.", n.arn)
	}
	change, err := s.turn(n.key, all, kms.RotationTypeOnDemand)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*kms.RotateKeyOnDemandOutput, error) {
		return &kms.RotateKeyOnDemandOutput{KeyId: n.id}, change(tx)
	}, nil
}

// turn prepares a rotation: to new material or, where it is imported, to that which
// waits. What encrypts from then on is the new one; what the others sealed still
// opens.
func (s *Service) turn(k *key, all []*generation, how kms.RotationType) (func(*store.Tx) error, error) {
	if k.origin == kms.OriginTypeExternal {
		i := slices.IndexFunc(all, func(g *generation) bool {
			return g.pending && g.present && (g.expires.IsZero() || s.Now().Before(g.expires))
		})
		if i < 0 {
			return nil, fail("KMSInvalidStateException", "%s has no key material that is pending rotation.", k.arn)
		}
		return func(tx *store.Tx) error {
			if _, err := tx.Exec("UPDATE kms_materials SET pending = FALSE, rotated = ?, rotation = ? WHERE key = ? AND version = ?",
				s.Now().UnixMicro(), string(how), k.id, all[i].version); err != nil {
				return err
			}
			if err := k.set(tx, "material", all[i].version); err != nil {
				return err
			}
			return restate(tx, k.id)
		}, nil
	}
	next := all[len(all)-1].version + 1
	material, _, err := generate(k.spec)
	if err != nil {
		return nil, err
	}
	defer clear(material)
	wrapped, err := s.wrap(k, next, material)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) error {
		now := s.Now()
		if err := insertGeneration(tx, k.id, &generation{version: next, created: now, rotated: now, rotation: how}, wrapped); err != nil {
			return err
		}
		return k.set(tx, "material", next)
	}, nil
}

// rotateDue rotates a key whose time has come, unless that changed.
func (s *Service) rotateDue(ctx context.Context, st *store.Store, id string) error {
	sn, err := st.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer sn.Close()
	k, err := s.get(sn, id)
	if err != nil || k == nil {
		return err
	}
	all, err := generations(sn, id)
	if err != nil {
		return err
	}
	seen := sn.Dependencies()
	sn.Close()
	now := s.Now()
	if k.rotation == 0 || now.Before(k.rotates) || k.state(now) != kms.KeyStateEnabled || k.scheduled() != nil {
		return nil
	}
	change, err := s.turn(k, all, kms.RotationTypeAutomatic)
	if err != nil {
		return err
	}
	event := s.event("RotateKey", k.account, k.arn, map[string]any{
		"keyId": k.id, "rotationType": kms.RotationTypeAutomatic, "keyOrigin": k.origin,
	})
	return settled(s.Happened(ctx, event, func(tx *store.Tx) error {
		if tx.Unchanged(seen) != nil {
			return errSettled // it is looked at again
		}
		if err := change(tx); err != nil {
			return err
		}
		// A key that was disabled when it was due begins its periods anew.
		return k.set(tx, "rotates", now.AddDate(0, 0, k.rotation).UnixMicro())
	}))
}

func (s *Service) listingRotations(ctx context.Context, c *api.Call, in *kms.ListKeyRotationsInput) (*named, []api.Demand, error) {
	return s.on(ctx, c, "ListKeyRotations", in.KeyId, ownKey)
}

func (s *Service) listKeyRotations(_ context.Context, c *api.Call, in *kms.ListKeyRotationsInput, n *named) (*kms.ListKeyRotationsOutput, error) {
	if err := n.rotatable(); err != nil {
		return nil, err
	}
	p, err := pageOf(in.Limit, in.Marker, 100, 1000)
	if err != nil {
		return nil, err
	}
	all, err := generations(c.Snapshot, n.id)
	if err != nil {
		return nil, err
	}
	everything := in.IncludeKeyMaterial == kms.IncludeKeyMaterialAllKeyMaterial
	all = slices.DeleteFunc(all, func(g *generation) bool {
		return g.discarded() || !everything && g.rotated.IsZero()
	})
	// The first material, then rotations as they came, then what waits for one.
	slices.SortStableFunc(all, func(a, b *generation) int {
		if a.pending != b.pending {
			return map[bool]int{false: -1, true: 1}[a.pending]
		}
		return a.rotated.Compare(b.rotated)
	})
	version := func(g *generation) string { return strconv.FormatInt(g.version, 10) }
	if p.after != "" {
		i := slices.IndexFunc(all, func(g *generation) bool { return version(g) == p.after })
		if i < 0 {
			return nil, fail("InvalidMarkerException", "Could not deserialize marker '%s'", in.Marker)
		}
		all = all[i+1:]
	}
	all, next, more := cut(p, all, version)
	out := &kms.ListKeyRotationsOutput{NextMarker: next, Truncated: &more}
	for _, g := range all {
		out.Rotations = append(out.Rotations, n.rotationOf(g, c.Now))
	}
	return out, nil
}

// rotationOf is what ListKeyRotations shows of a generation.
func (k *key) rotationOf(g *generation, now time.Time) kms.RotationsListEntry {
	e := kms.RotationsListEntry{
		KeyId: k.id, KeyMaterialId: k.materialName(g.version), RotationDate: g.rotated, RotationType: g.rotation,
		KeyMaterialState: kms.KeyMaterialStateNonCurrent,
	}
	switch {
	case g.pending:
		e.KeyMaterialState = kms.KeyMaterialStatePendingRotation
	case g.version == k.version:
		e.KeyMaterialState = kms.KeyMaterialStateCurrent
	}
	if k.origin != kms.OriginTypeExternal {
		return e
	}
	e.KeyMaterialDescription, e.ImportState = g.description, kms.ImportStatePendingImport
	if !g.present || !g.expires.IsZero() && !now.Before(g.expires) {
		return e
	}
	e.ImportState, e.ExpirationModel = kms.ImportStateImported, kms.ExpirationModelTypeKeyMaterialDoesNotExpire
	if !g.expires.IsZero() {
		e.ExpirationModel, e.ValidTo = kms.ExpirationModelTypeKeyMaterialExpires, g.expires
	}
	return e
}
