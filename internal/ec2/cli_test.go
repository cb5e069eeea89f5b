package ec2

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
)

// The AWS CLI has shorthands of its own for rules.
func TestCLI(t *testing.T) {
	b := newBench(t)
	cli := func(args ...string) (string, error) {
		cmd := exec.Command("aws", append([]string{"--endpoint-url", b.URL, "--output", "text", "ec2"}, args...)...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + b.Dir, "AWS_ACCESS_KEY_ID=" + b.admin.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + b.admin.Secret,
			"AWS_DEFAULT_REGION=" + apitest.Region, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := cli(args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(out)
	}
	vpc := run("create-vpc", "--cidr-block", "10.0.0.0/16", "--tag-specifications", "ResourceType=vpc,Tags=[{Key=Name,Value=main}]", "--query", "Vpc.VpcId")
	run("create-subnet", "--vpc-id", vpc, "--cidr-block", "10.0.1.0/24")
	sg := run("create-security-group", "--vpc-id", vpc, "--group-name", "web", "--description", "d", "--query", "GroupId")
	for _, source := range [][]string{{"--cidr", "10.0.0.0/8"}, {"--source-group", sg}} {
		run(append([]string{"authorize-security-group-ingress", "--group-id", sg, "--protocol", "tcp", "--port", "443"}, source...)...)
		run(append([]string{"revoke-security-group-ingress", "--group-id", sg, "--protocol", "tcp", "--port", "443"}, source...)...)
	}
	if n := run("describe-security-group-rules", "--filters", "Name=group-id,Values="+sg, "--query", "length(SecurityGroupRules)"); n != "1" {
		t.Errorf("%s rules are left", n)
	}
	if got := run("describe-vpcs", "--vpc-ids", vpc, "--query", "Vpcs[0].Tags[0].Value"); got != "main" {
		t.Errorf("the VPC is called %q", got)
	}
	if out, err := cli("create-route", "--route-table-id", run("describe-route-tables", "--query", "RouteTables[0].RouteTableId"),
		"--destination-cidr-block", "0.0.0.0/0", "--gateway-id", "igw-0123456789abcdef0"); err == nil || !strings.Contains(out, "InvalidGatewayID.NotFound") {
		t.Errorf("a way out: %v\n%s", err, out)
	}
}
