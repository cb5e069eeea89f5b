// Package shape describes AWS API operations as data: what an operation is called on the wire, what it takes, what it answers and
// which constraints its members carry. The packages below it, one per service, hold the Go structs and the descriptor, generated
// from the trimmed models in models/.
//
// It trusts the models, which are reviewed and committed, and sees no request. It has no behaviour that an attacker could reach:
// package wire reads the descriptors to decode, check and encode.
package shape

//go:generate go run ./generate -models ../../models -out .

// Protocol is the wire form that a service speaks.
type Protocol string

// The protocols of AWS that are served.
const (
	Query    Protocol = "query"     // form in, XML out (IAM, STS)
	EC2      Protocol = "ec2"       // the same with EC2's own naming
	JSON     Protocol = "json"      // X-Amz-Target and a JSON body, version 1.1
	RestJSON Protocol = "rest-json" // method and path, JSON bodies
	RestXML  Protocol = "rest-xml"  // method and path, XML bodies (S3)
)

// Service is one API of AWS as far as it is served.
type Service struct {
	Name           string   // model name, such as "sso-admin"
	ID             string   // service id of the SDKs, such as "SSO Admin"
	Package        string   // Go package name, such as "ssoadmin"
	SigningName    string   // name in the credential scope, such as "sso"
	EndpointPrefix string   // first label of the host name, such as "portal.sso"
	Protocol       Protocol // wire form
	JSONVersion    string   // "1.0" or "1.1" for JSON
	TargetPrefix   string   // before the dot in X-Amz-Target
	APIVersion     string   // such as "2010-05-08"
	XMLNamespace   string   // of answers in XML
	Operations     []*Operation
	Types          map[string]*Type // every named type below the operations, by name
	Errors         map[string]*Error
}

// Operation finds an operation by name, or returns nil.
func (s *Service) Operation(name string) *Operation {
	for _, op := range s.Operations {
		if op.Name == name {
			return op
		}
	}
	return nil
}

// Operation is one call.
type Operation struct {
	Name          string
	Method        string // HTTP method
	URI           string // path template with {Label} and {Label+}, and a fixed query, as the model states it
	Status        int    // HTTP status of success; 0 means 200
	ResultWrapper string // XML element round the answer of a query operation
	Input         *Struct
	Output        *Struct
	Errors        []string   // names of the errors that the model lists
	Advisory      []string   // reviewed input members that are answered as disabled: ignored, not refused
	NewInput      func() any // makes a pointer to the zero <Name>Input
	NewOutput     func() any // makes a pointer to the zero <Name>Output
	StreamingIn   bool       // the body is a stream of bytes, not a document
	StreamingOut  bool       // the answer's body is a stream of bytes
}

// Error is an error that an API model defines.
type Error struct {
	Name    string   // shape name, such as "NoSuchEntityException"
	Code    string   // code on the wire, such as "NoSuchEntity"
	Status  int      // HTTP status
	Server  bool     // the server's fault
	Message string   // wire name of its message member; "" means "message"
	Members []string // further members than the message, by wire name
}

// Struct is a structure, in the order of its Go fields: Fields[i] describes field i of the Go struct.
type Struct struct {
	Name    string
	Fields  []Field
	Refused []Refused // members that AWS knows here and that are not served
	Payload string    // name of the member that is the whole body, if any
	XMLName string    // root element of the body in rest-xml
	XMLNS   string    // its namespace
}

// Field is a member of a structure.
type Field struct {
	Name     string // the model's member name
	GoName   string // the Go field
	Type     *Type  // set by Link
	TypeName string
	Location Location
	Wire     string // name at its location: header, query parameter, label, JSON member, XML element
	Query    string // its name in a query form, where it is not Wire
	Required bool
	Token    bool // an SDK fills it with a random token when the caller does not

	Flattened   bool   // a list or map without an element round it
	Attribute   bool   // an XML attribute
	Namespace   string // of the XML element
	NSPrefix    string
	TimeFormat  TimeFormat
	Streaming   bool
	JSONInValue bool // a JSON document in a header
}

// Refused names a member of an input that AWS has and that is not served.
type Refused struct {
	Name     string
	Location Location
	Wire     string
}

// Location is where a member travels.
type Location uint8

// The places of an HTTP message that hold a member.
const (
	Body Location = iota
	Header
	HeaderPrefix // a map in headers that share a prefix
	QueryString
	Label // a piece of the path
	Payload
	StatusCode
)

// Kind is the kind of a value.
type Kind uint8

// The kinds of values. Zero is no kind, and refused.
const (
	Invalid Kind = iota
	String
	Boolean
	Integer // 32 bits
	Long    // 64 bits
	Float
	Double
	Blob
	Timestamp
	Any // any JSON value, kept as its bytes
	List
	Map
	Structure
)

// TimeFormat is the written form of a timestamp.
type TimeFormat uint8

// The forms of a timestamp. The default depends on protocol and location.
const (
	DefaultTime TimeFormat = iota
	ISO8601                // 2006-01-02T15:04:05Z
	RFC822                 // Mon, 02 Jan 2006 15:04:05 GMT
	UnixTime               // seconds
)

// Type is a named type.
type Type struct {
	Name      string
	Kind      Kind
	Min, Max  *int64 // of a number, of a string's runes, of a blob's bytes, of a collection's count
	Pattern   string // a regular expression that the whole string must match
	Enum      []string
	Sensitive bool // never in a log or a record
	Flattened bool

	Elem     *Type // of a list, or a map's value; set by Link
	ElemName string
	ElemWire string // element name of a list's member or a map's value; "" means the protocol's default
	Key      *Type
	KeyName  string
	KeyWire  string
	Struct   *Struct
	Union    bool // exactly one member is set
	Time     TimeFormat
}

// Document is the JSON of a value whose structure the API leaves open. It is kept as it came, after a strict syntax check.
type Document []byte

// Int makes a pointer to a bound; generated descriptors use it.
func Int(n int64) *int64 { return &n }

// Link connects the type names of a descriptor with the types that they name and returns the service. It panics on a name without a
// type: the descriptor is generated, and a test links every one.
func Link(s *Service, types ...*Type) *Service {
	s.Types = make(map[string]*Type, len(types))
	for _, t := range types {
		s.Types[t.Name] = t
	}
	find := func(name, from string) *Type {
		t := s.Types[name]
		if t == nil {
			panic("shape: " + s.Name + ": " + from + " names no type: " + name)
		}
		return t
	}
	link := func(st *Struct) {
		for i := range st.Fields {
			st.Fields[i].Type = find(st.Fields[i].TypeName, st.Name)
		}
	}
	for _, t := range types {
		if t.ElemName != "" {
			t.Elem = find(t.ElemName, t.Name)
		}
		if t.KeyName != "" {
			t.Key = find(t.KeyName, t.Name)
		}
		if t.Struct != nil {
			link(t.Struct)
		}
	}
	for _, op := range s.Operations {
		link(op.Input)
		link(op.Output)
	}
	return s
}
