package cloudtrail

import (
	"regexp"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
)

const maxTrails = 5 // of an account, as AWS has it

func versionKey(account, name string) string { return "cloudtrail:trail/" + account + "/" + name }

// listKey changes with every trail.
const listKey = "cloudtrail:trails"

func (s *Service) arn(account, name string) string {
	return "arn:aws:cloudtrail:" + s.Region + ":" + account + ":trail/" + name
}

var (
	trailName = regexp.MustCompile(`^[A-Za-z0-9]([._-]?[A-Za-z0-9])*$`)
	address   = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

func checkName(name string) error {
	switch {
	case name == "":
		return badName("Trail name cannot be blank!")
	case len(name) < 3:
		return badName("Trail name too short. Minimum allowed length: 3 characters. Specified name length: %d characters.", len(name))
	case len(name) > 128:
		return badName("Trail name too long. Maximum allowed length: 128 characters. Specified name length: %d characters.", len(name))
	case !trailName.MatchString(name):
		return badName("Trail name must start and end with a letter or number, and can contain only ASCII letters, numbers, periods, underscores and dashes, no two of which are adjacent.")
	case address.MatchString(name):
		return badName("Trail name must not be formatted as an IP address.")
	}
	return nil
}

// found is a trail that a request names, or the fact that there is none.
type found struct {
	*row
	named    string // as policies and answers name it
	resource api.Resource
}

// find looks up a trail by name or ARN. With shadows, an organization's trail is found
// from each of its accounts by ARN; who may see it, her own account's policies say.
func (s *Service) find(c *api.Call, name string, shadows bool) (*found, error) {
	account := c.Account
	if strings.HasPrefix(name, "arn:") {
		a, err := arn.Parse(name)
		own, ok := strings.CutPrefix(a.Resource, "trail/")
		if err != nil || !ok || a.Service != "cloudtrail" {
			return nil, fail("CloudTrailARNInvalidException", "Invalid trail ARN: %s", name)
		}
		if a.Region != s.Region {
			return nil, fail("InvalidHomeRegionException", "Trail %s is not of this region.", name)
		}
		account, name = a.Account, own
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	f := &found{named: s.arn(account, name)}
	f.resource = api.Resource{ARN: f.named, Account: c.Account, Type: "AWS::CloudTrail::Trail", Missing: noTrail(f.named, c.Account)}
	version, err := c.Snapshot.Version(versionKey(account, name))
	if err != nil || version == 0 {
		return f, err
	}
	t, err := one(trailRows(c.Snapshot, "account = ? AND name = ?", account, name))
	if err != nil || t == nil {
		return f, err
	}
	switch {
	case account == c.Account:
	case !t.organization:
		return f, nil
	case !shadows:
		f.resource.Missing = fail("NotOrganizationMasterAccountException", "The trail is the organization's: its management account changes it.")
		return f, nil
	}
	if t.tags, err = tagsOf(c.Snapshot, t.id); err != nil {
		return nil, err
	}
	f.row, f.resource.Missing, f.resource.Tags = t, nil, t.tags
	return f, nil
}

// on is find, and the demand for an action on the trail.
func (s *Service) on(c *api.Call, action, name string, shadows bool) (*found, []api.Demand, error) {
	f, err := s.find(c, name, shadows)
	if err != nil {
		return nil, nil, err
	}
	return f, api.On("cloudtrail:"+action, f.resource), nil
}
