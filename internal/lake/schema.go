package lake

import (
	"strconv"
	"strings"
)

// A column is what an event has under a name.
type column struct {
	name  string
	time  bool
	free  bool // what is below is the call's own, and has any names
	list  bool // what is below comes after an index
	below map[string]*column
}

// The columns of an event: those of a structure are written with dots, [] stands for
// the index of a list, * for names that each call has its own of.
var schema = columns(
	"eventVersion", "userIdentity.type", "userIdentity.principalId", "userIdentity.arn", "userIdentity.accountId", "userIdentity.accessKeyId",
	"userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.type", "userIdentity.sessionContext.sessionIssuer.principalId",
	"userIdentity.sessionContext.sessionIssuer.arn", "userIdentity.sessionContext.sessionIssuer.accountId",
	"userIdentity.sessionContext.sessionIssuer.userName", "userIdentity.sessionContext.attributes.*",
	"userIdentity.sessionContext.webIdFederationData.federatedProvider", "userIdentity.sessionContext.webIdFederationData.attributes.*",
	"userIdentity.sessionContext.sourceIdentity", "userIdentity.onBehalfOf.userId", "userIdentity.onBehalfOf.identityStoreArn",
	"userIdentity.invokedBy", "userIdentity.credentialId", "userIdentity.identityProvider", "userIdentity.inScopeOf.sourceArn",
	"userIdentity.inScopeOf.sourceAccount", "userIdentity.inScopeOf.issuerType", "userIdentity.inScopeOf.credentialsIssuedTo",
	"eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent", "errorCode", "errorMessage",
	"requestParameters.*", "responseElements.*", "additionalEventData.*", "requestID", "parentRequestID", "eventID", "readOnly",
	"resources.[].ARN", "resources.[].accountId", "resources.[].type", "eventType", "managementEvent", "recipientAccountId", "sharedEventID",
	"vpcEndpointId", "vpcEndpointAccountId", "eventCategory", "serviceEventDetails.*", "addendum.*", "sessionCredentialFromConsole",
	"tlsDetails.tlsVersion", "tlsDetails.cipherSuite", "tlsDetails.clientProvidedHostHeader",
)

// members are the columns of *.
var members = []string{
	"eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent", "errorCode", "errorMessage",
	"requestParameters", "responseElements", "additionalEventData", "requestID", "parentRequestID", "eventID", "readOnly", "resources", "eventType",
	"managementEvent", "recipientAccountId", "sharedEventID", "vpcEndpointId", "vpcEndpointAccountId", "eventCategory", "tlsDetails",
}

func columns(names ...string) *column {
	root := &column{}
	for _, name := range names {
		at := root
		for step := range strings.SplitSeq(name, ".") {
			if step == "*" {
				at.free = true
				break
			}
			if step == "[]" {
				at.list = true
				continue
			}
			if at.below == nil {
				at.below = map[string]*column{}
			}
			next := at.below[strings.ToLower(step)]
			if next == nil {
				next = &column{name: step, time: step == "eventTime"}
				at.below[strings.ToLower(step)] = next
			}
			at = next
		}
	}
	return root
}

// resolved is a path in the names that events have. One that leads nowhere in any event
// is an error.
func resolved(steps []string) (*path, error) { return within(schema, steps, false) }

// within is that below a column, or in the elements of a list.
func within(at *column, steps []string, inList bool) (*path, error) {
	n := &path{}
	for i, step := range steps {
		if at.free {
			n.steps, n.of = append(n.steps, steps[i:]...), at
			return n, nil
		}
		if at.list && !inList {
			if _, err := strconv.Atoi(step); err != nil {
				return nil, invalid("column %s is a list: write %s[1]", at.name, at.name)
			}
			n.steps, inList = append(n.steps, step), true
			continue
		}
		next := at.below[strings.ToLower(step)]
		if next == nil {
			return nil, invalid("column %s cannot be resolved: events do not have it", token{quoted, strings.Join(steps[:i+1], ".")}.brief())
		}
		n.steps, at, inList = append(n.steps, next.name), next, false
	}
	n.of = at
	return n, nil
}
