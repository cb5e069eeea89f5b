package trail

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const eventVersion = "1.11"

// event is CloudTrail's JSON, as it is read. parentRequestID is ours: it ties a call that a
// service made to the call that it served.
type event struct {
	EventVersion         string         `json:"eventVersion"`
	UserIdentity         identity       `json:"userIdentity"`
	EventTime            string         `json:"eventTime"`
	EventSource          string         `json:"eventSource"`
	EventName            string         `json:"eventName"`
	Region               string         `json:"awsRegion"`
	SourceIP             string         `json:"sourceIPAddress"`
	UserAgent            string         `json:"userAgent"`
	ErrorCode            string         `json:"errorCode,omitzero"`
	ErrorMessage         string         `json:"errorMessage,omitzero"`
	RequestParameters    jsontext.Value `json:"requestParameters"`
	ResponseElements     jsontext.Value `json:"responseElements"`
	AdditionalEventData  jsontext.Value `json:"additionalEventData,omitzero"`
	RequestID            string         `json:"requestID"`
	ParentRequestID      string         `json:"parentRequestID,omitzero"`
	EventID              string         `json:"eventID"`
	SharedEventID        string         `json:"sharedEventID,omitzero"`
	ReadOnly             bool           `json:"readOnly"`
	Resources            []resource     `json:"resources,omitempty"`
	EventType            string         `json:"eventType"`
	ManagementEvent      bool           `json:"managementEvent"`
	Account              string         `json:"recipientAccountId"`
	VpcEndpointID        string         `json:"vpcEndpointId,omitzero"`
	VpcEndpointAccountID string         `json:"vpcEndpointAccountId,omitzero"`
	EventCategory        string         `json:"eventCategory"`
	TLS                  tlsDetails     `json:"tlsDetails,omitzero"`
}

type identity struct {
	Type             string    `json:"type"`
	PrincipalID      string    `json:"principalId,omitzero"`
	ARN              string    `json:"arn,omitzero"`
	AccountID        string    `json:"accountId,omitzero"`
	AccessKeyID      string    `json:"accessKeyId,omitzero"`
	UserName         string    `json:"userName,omitzero"`
	SessionContext   *session  `json:"sessionContext,omitzero"`
	OnBehalfOf       *onBehalf `json:"onBehalfOf,omitzero"`
	InvokedBy        string    `json:"invokedBy,omitzero"`
	CredentialID     string    `json:"credentialId,omitzero"`
	IdentityProvider string    `json:"identityProvider,omitzero"`
	InScopeOf        *scope    `json:"inScopeOf,omitzero"`
}

type scope struct {
	SourceARN           string `json:"sourceArn,omitzero"`
	SourceAccount       string `json:"sourceAccount,omitzero"`
	IssuerType          string `json:"issuerType,omitzero"`
	CredentialsIssuedTo string `json:"credentialsIssuedTo,omitzero"`
}

type session struct {
	SessionIssuer  issuer     `json:"sessionIssuer,omitzero"`
	Attributes     attributes `json:"attributes"`
	WebIdentity    *federated `json:"webIdFederationData,omitzero"`
	SourceIdentity string     `json:"sourceIdentity,omitzero"`
}

type federated struct {
	Provider   string            `json:"federatedProvider"`
	Attributes map[string]string `json:"attributes"`
}

type issuer struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
	ARN         string `json:"arn"`
	AccountID   string `json:"accountId"`
	UserName    string `json:"userName,omitzero"`
}

type attributes struct {
	CreationDate     string `json:"creationDate"`
	MFAAuthenticated string `json:"mfaAuthenticated"` // "true" or "false"
}

type onBehalf struct {
	UserID           string `json:"userId"`
	IdentityStoreARN string `json:"identityStoreArn"`
}

type resource struct {
	ARN     string `json:"ARN"`
	Account string `json:"accountId,omitzero"`
	Type    string `json:"type,omitzero"`
}

type tlsDetails struct {
	Version     string `json:"tlsVersion,omitzero"`
	CipherSuite string `json:"cipherSuite,omitzero"`
	Host        string `json:"clientProvidedHostHeader,omitzero"`
}

// UnmarshalEvent reads what MarshalEvent gave. Times come back in seconds.
func UnmarshalEvent(data []byte) (*Record, error) {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("trail: not an event: %w", err)
	}
	u := e.UserIdentity
	r := &Record{
		EventID: e.EventID, SharedEventID: e.SharedEventID, RequestID: e.RequestID, ParentRequestID: e.ParentRequestID,
		EventSource: e.EventSource, EventName: e.EventName, Region: e.Region, Account: e.Account,
		UserIdentity: UserIdentity{Type: u.Type, PrincipalID: u.PrincipalID, ARN: u.ARN, AccountID: u.AccountID,
			AccessKeyID: u.AccessKeyID, UserName: u.UserName, InvokedBy: u.InvokedBy, IdentityProvider: u.IdentityProvider, CredentialID: u.CredentialID},
		SourceIP: e.SourceIP, UserAgent: e.UserAgent,
		VpcEndpointID: e.VpcEndpointID, VpcEndpointAccountID: e.VpcEndpointAccountID,
		RequestParameters: notNull(e.RequestParameters), ResponseElements: notNull(e.ResponseElements),
		AdditionalEventData: notNull(e.AdditionalEventData),
		ErrorCode:           e.ErrorCode, ErrorMessage: e.ErrorMessage, ReadOnly: e.ReadOnly,
		EventType: e.EventType, EventCategory: e.EventCategory, ManagementEvent: e.ManagementEvent,
		TLS: TLS(e.TLS),
	}
	var err error
	if r.EventTime, err = unstamp(e.EventTime); err != nil {
		return nil, err
	}
	if s := u.SessionContext; s != nil {
		r.UserIdentity.SessionContext = &SessionContext{SessionIssuer: SessionIssuer(s.SessionIssuer),
			MFA: s.Attributes.MFAAuthenticated == "true", SourceIdentity: s.SourceIdentity}
		if r.UserIdentity.SessionContext.CreationDate, err = unstamp(s.Attributes.CreationDate); err != nil {
			return nil, err
		}
		if f := s.WebIdentity; f != nil {
			r.UserIdentity.SessionContext.FederatedProvider, r.UserIdentity.SessionContext.Attributes = f.Provider, f.Attributes
		}
	}
	if i := u.InScopeOf; i != nil {
		r.UserIdentity.InScopeOf = &InScopeOf{i.SourceARN, i.SourceAccount, i.IssuerType, i.CredentialsIssuedTo}
	}
	if p := u.OnBehalfOf; p != nil {
		r.UserIdentity.OnBehalfOf = &OnBehalfOf{p.UserID, p.IdentityStoreARN}
	}
	for _, x := range e.Resources {
		r.Resources = append(r.Resources, Resource(x))
	}
	return r, nil
}

// Username is the name that LookupEvents shows and searches: the user's, or the
// name of the role's session.
func (r *Record) Username() string {
	if r.UserIdentity.UserName != "" {
		return r.UserIdentity.UserName
	}
	if i := strings.LastIndexByte(r.UserIdentity.ARN, '/'); i >= 0 {
		return r.UserIdentity.ARN[i+1:]
	}
	return ""
}

func notNull(v jsontext.Value) jsontext.Value {
	if len(v) == 0 || string(v) == "null" {
		return nil
	}
	return v
}

const stampFormat = "2006-01-02T15:04:05Z"

func unstamp(s string) (time.Time, error) {
	t, err := time.Parse(stampFormat, s)
	if err != nil {
		return t, fmt.Errorf("trail: not an event's time: %w", err)
	}
	return t, nil
}
