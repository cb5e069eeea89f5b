package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

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
		"kms":        usual("kms"),
		"logs":       usual("logs"),
		"s3":         namesOfS3,
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

// serviceOf finds what a ServiceName names, such as com.amazonaws.us-east-1.kms.
func (s *Service) serviceOf(name string) (string, error) {
	service, ok := strings.CutPrefix(name, "com.amazonaws."+s.Region+".")
	if !ok || offered()[service] == nil {
		return "", fail("InvalidServiceName", "The Vpc Endpoint Service '%.128s' does not exist", name)
	}
	return service, nil
}

func (s *Service) serviceName(service string) string {
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
