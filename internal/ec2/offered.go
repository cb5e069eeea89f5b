package ec2

import (
	"crypto/sha256"
	"encoding/hex"

	"bawn.dev/internal/shape/ec2"
)

// offered lists the services that an endpoint can be made for: those that exist
// here. Each has the names that AWS's clients look for it under, in a region.
func offered() map[string]func(region string) []string {
	usual := func(label string) func(string) []string {
		return func(region string) []string {
			return []string{
				label + "." + region + ".amazonaws.com", label + "-fips." + region + ".amazonaws.com",
				label + "." + region + ".api.aws", label + "-fips." + region + ".api.aws",
			}
		}
	}
	return map[string]func(string) []string{
		"cloudtrail": usual("cloudtrail"),
		"ec2":        usual("ec2"),
		"iam": func(string) []string {
			return []string{"iam.amazonaws.com", "iam-fips.amazonaws.com", "iam.global.api.aws"}
		},
		"identitystore": usual("identitystore"),
		"kms":           usual("kms"),
		"logs":          usual("logs"),
		"organizations": func(string) []string {
			return []string{"organizations.us-east-1.amazonaws.com", "organizations-fips.us-east-1.amazonaws.com", "organizations.aws-global.api.aws"}
		},
		"s3": namesOfS3,
		"sagemaker.api": func(region string) []string {
			return []string{"api.sagemaker." + region + ".amazonaws.com", "api-fips.sagemaker." + region + ".amazonaws.com", "sagemaker." + region + ".api.aws"}
		},
		"sagemaker.runtime": func(region string) []string {
			return []string{"runtime.sagemaker." + region + ".amazonaws.com", "runtime-fips.sagemaker." + region + ".amazonaws.com", "runtime-sagemaker." + region + ".api.aws"}
		},
		// Old clients ask the global name.
		"sts": func(region string) []string { return append(usual("sts")(region), "sts.amazonaws.com") },
	}
}

// namesOfS3 are bucket names as labels too, and the accounts' of s3control.
func namesOfS3(region string) []string {
	var names []string
	for _, host := range []string{
		"s3.amazonaws.com", "s3." + region + ".amazonaws.com", "s3-fips." + region + ".amazonaws.com", "s3.dualstack." + region + ".amazonaws.com",
		"s3-fips.dualstack." + region + ".amazonaws.com",
	} {
		names = append(names, host, "*."+host)
	}
	return append(names, "*.s3-control."+region+".amazonaws.com", "*.s3-control.dualstack."+region+".amazonaws.com")
}

// offeredAs is the service of this list that a ServiceName names; empty for another
// name.
func (s *Service) offeredAs(name string) string {
	for service := range offered() {
		if s.serviceName(service) == name {
			return service
		}
	}
	return ""
}

// serviceName is what AWS calls what an endpoint leads to. The services that it has
// in one region only keep their names: they are where the machine is.
func (s *Service) serviceName(service string) string {
	switch {
	case service == "iam":
		return "com.amazonaws.iam"
	case service == "organizations":
		return "com.amazonaws.us-east-1.organizations"
	case service == "" || kindService.names(service):
		return "com.amazonaws.vpce." + s.Region + "." + service
	}
	return "com.amazonaws." + s.Region + "." + service
}

// supports says whether a service has endpoints of a type.
func supports(service string, t ec2.VpcEndpointType) bool {
	return t == ec2.VpcEndpointTypeInterface || t == ec2.VpcEndpointTypeGateway && service == "s3"
}

// prefixList is the id of the list that stands for a service in routes and rules.
// As at AWS it is one for all accounts of a region.
func (s *Service) prefixList(service string) string {
	sum := sha256.Sum256([]byte(s.serviceName(service)))
	return "pl-" + hex.EncodeToString(sum[:])[:idDigits]
}
