package policy

import (
	"fmt"
	"strings"
	"testing"
)

const (
	home  = "111122223333"
	other = "444455556666"

	alice   = "arn:aws:iam::111122223333:user/alice"
	roleARN = "arn:aws:iam::111122223333:role/team/train"
	session = "arn:aws:sts::111122223333:assumed-role/train/job-1"
	object  = "arn:aws:s3:::data/train/x.csv"
)

var (
	aUser    = Principal{Kind: User, Account: home, ARN: alice, ID: "AIDAEXAMPLEEXAMPLE01"}
	aSession = Principal{Kind: Session, Account: home, ARN: session, RoleARN: roleARN, ID: "AROAEXAMPLEEXAMPLE01:job-1"}
	aRoot    = Principal{Kind: Root, Account: home, ARN: "arn:aws:iam::" + home + ":root"}
	aToken   = Principal{Kind: Federated, Account: home, ARN: "arn:aws:sts::" + home + ":federated-user/bob", RoleARN: alice, UserID: "AIDAEXAMPLEEXAMPLE01", ID: home + ":bob"}
	aService = Principal{Kind: Service, Service: "sagemaker.amazonaws.com"}
	aBearer  = Principal{Kind: WebIdentity, Federated: "arn:aws:iam::" + home + ":oidc-provider/idp.example"}
)

func mustParse(t testing.TB, kind Kind, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text), kind)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// statements wraps statements into a document.
func statements(s ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(s, ",") + `]}`
}

// doc is a Doc that is named after its kind.
func doc(t testing.TB, kind Kind, s ...string) Doc {
	t.Helper()
	return Doc{Name: kind.String(), Policy: mustParse(t, kind, statements(s...))}
}

func docs(d ...Doc) []Doc { return d }

func ptr(d Doc) *Doc { return &d }

// Statements in short: for whom nothing is said, and for a principal.
func allow(action, resource string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q}`, action, resource)
}

func deny(action, resource string) string {
	return fmt.Sprintf(`{"Effect":"Deny","Action":%q,"Resource":%q}`, action, resource)
}

func allowTo(principal, action string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Principal":%s,"Action":%q,"Resource":"*"}`, principal, action)
}

func denyTo(principal, action string) string {
	return fmt.Sprintf(`{"Effect":"Deny","Principal":%s,"Action":%q,"Resource":"*"}`, principal, action)
}

func aws(names ...string) string { return `{"AWS":["` + strings.Join(names, `","`) + `"]}` }

// verdict decides, checks that Explain agrees, and prints shortly.
func verdict(t testing.TB, in *Input) string {
	t.Helper()
	d := Decide(in)
	if x := Explain(in); x.Decision != d {
		t.Fatalf("Decide says %+v, Explain %+v", d, x.Decision)
	}
	switch {
	case d.Allowed:
		return "allowed by " + d.Gate.String()
	case d.Explicit:
		return "denied by " + d.Gate.String()
	}
	return "not allowed by " + d.Gate.String()
}

// knows is a Catalogue that knows the names in it, which are in lower case.
type knows map[string]bool

func (k knows) KnownAction(a string) bool { return k[fold(a)] }
func (k knows) KnownKey(key string) bool  { return k[key] }
