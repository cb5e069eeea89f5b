package policy

// An Explanation is a decision with its entire derivation.
type Explanation struct {
	Decision Decision
	Policies []PolicyTrace
}

// A PolicyTrace says what one policy had to say.
type PolicyTrace struct {
	Gate       Gate
	Level      int // for SCPs and RCPs: 0 is the organization's root
	Doc        string
	Statements []StatementTrace
}

// A StatementTrace says whether a statement matched and, if not, for the want of
// what.
type StatementTrace struct {
	Index   int
	Sid     string
	Effect  string // Allow or Deny
	Matched bool
	Why     string
}

// Explain decides as Decide does and tells how it came to that.
func Explain(in *Input) Explanation { return Explanation{} }
