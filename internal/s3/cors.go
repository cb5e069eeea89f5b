package s3

import (
	"context"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

const (
	maxCORSRules = 100
	maxCORS      = 64 << 10 // bytes of all rules
)

// checkCORS applies S3's rules for rules.
func checkCORS(rules []s3.CORSRule) error {
	if len(rules) == 0 || len(rules) > maxCORSRules {
		return malformedXML()
	}
	for _, r := range rules {
		if len(r.AllowedMethods) == 0 || len(r.AllowedOrigins) == 0 || len(r.ID) > 255 {
			return malformedXML()
		}
		for _, method := range r.AllowedMethods {
			if !corsMethod(method) {
				return badRequest("Found unsupported HTTP method in CORS config. Unsupported method is " + method)
			}
		}
		for _, origin := range r.AllowedOrigins {
			if strings.Count(origin, "*") > 1 {
				return badRequest(`AllowedOrigin "` + origin + `" can not have more than one wildcard.`)
			}
		}
		for _, header := range r.AllowedHeaders {
			if strings.Count(header, "*") > 1 {
				return badRequest(`AllowedHeader "` + header + `" can not have more than one wildcard.`)
			}
		}
		for _, header := range r.ExposeHeaders {
			if strings.Contains(header, "*") {
				return badRequest(`ExposeHeader "` + header + `" contains wildcard. We currently do not support wildcard for ExposeHeader.`)
			}
			if !headerName(header) {
				return badRequest(`ExposeHeader "` + header + `" is not the name of a header.`)
			}
		}
		if r.MaxAgeSeconds != nil && *r.MaxAgeSeconds < 0 {
			return malformedXML()
		}
	}
	if len(settingText(rules, false)) > maxCORS {
		return badRequest("The CORS configuration is larger than 64 KB.")
	}
	return nil
}

func corsMethod(s string) bool {
	switch s {
	case "GET", "PUT", "POST", "DELETE", "HEAD":
		return true
	}
	return false
}

// headerName says whether s can be the name of a header: what is put is answered to
// others, as a header.
func headerName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte(`"(),/:;<=>?@[\]{}`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

func (s *Service) readCORS(_ context.Context, c *api.Call, in *s3.GetBucketCorsInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketCORS", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getCORS(_ context.Context, _ *api.Call, _ *s3.GetBucketCorsInput, f *found) (*s3.GetBucketCorsOutput, error) {
	if len(f.origins) == 0 {
		return nil, f.none("NoSuchCORSConfiguration", "The CORS configuration does not exist")
	}
	return &s3.GetBucketCorsOutput{CORSRules: f.origins}, nil
}

func (s *Service) replacedCORS(_ context.Context, c *api.Call, in *s3.PutBucketCorsInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketCORS", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) putCORS(_ context.Context, _ *api.Call, in *s3.PutBucketCorsInput, _ *found) (api.Commit[s3.PutBucketCorsOutput], error) {
	rules := in.CORSConfiguration.CORSRules
	if err := checkCORS(rules); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*s3.PutBucketCorsOutput, error) {
		return &s3.PutBucketCorsOutput{}, setBucket(tx, in.Bucket, "cors", settingText(rules, false))
	}, nil
}

func (s *Service) droppedCORS(_ context.Context, c *api.Call, in *s3.DeleteBucketCorsInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketCORS", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) deleteCORS(_ context.Context, _ *api.Call, in *s3.DeleteBucketCorsInput, _ *found) (api.Commit[s3.DeleteBucketCorsOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteBucketCorsOutput, error) {
		return &s3.DeleteBucketCorsOutput{}, setBucket(tx, in.Bucket, "cors", "")
	}, nil
}
