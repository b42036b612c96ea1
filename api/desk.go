package api

// Paths of the support desk, and of the owner's say in it.
const (
	PathApprovals       = "/v1/approvals"         // Signed -> Approvals
	PathApprovalsGive   = "/v1/approvals/approve" // ApprovalGive -> 204
	PathApprovalsRevoke = "/v1/approvals/revoke"  // SignedReference -> 204

	PathDesk        = "/v1/desk"         // Signed -> 204 for an agent with a fresh proof
	PathDeskAccount = "/v1/desk/account" // DeskAsk -> DeskAccount
	PathDeskAsk     = "/v1/desk/ask"     // DeskAsk -> 204
	PathDeskExplain = "/v1/desk/explain" // DeskAsk -> a report
	PathDeskAct     = "/v1/desk/act"     // DeskDo -> DeskDone
	PathDeskAgree   = "/v1/desk/agree"   // SignedID -> DeskDone
)

// Acts of the desk. This is all that an agent can do.
const (
	ActStartRecovery = "start-recovery"
	ActEndSessions   = "end-sessions"
	ActUnlock        = "unlock"
	ActRemoveFactors = "remove-factors" // needs a second agent
)

// SignedReference is the body of calls on a session about an incident.
type SignedReference struct {
	Session   string `json:"session"`
	Reference string `json:"reference"`
}

// Approval lets support see one incident.
type Approval struct {
	Reference string `json:"reference"`
	At        int64  `json:"at"`                // Unix seconds
	Expires   int64  `json:"expires"`           // Unix seconds
	By        string `json:"by"`                // the device, or "recovery-code"
	Revoked   int64  `json:"revoked,omitempty"` // Unix seconds
}

// ApprovalAsked is what support asks for.
type ApprovalAsked struct {
	Reference string `json:"reference"`
	Agent     string `json:"agent"` // identifier
	Kind      string `json:"kind"`  // "ask", to see it; or an act that waits for a second agent
	At        int64  `json:"at"`    // Unix seconds
}

// Approvals lists both for the owner, newest first.
type Approvals struct {
	Approvals []Approval      `json:"approvals"`
	Asked     []ApprovalAsked `json:"asked"`
}

// ApprovalGive approves: on a session, or, for an owner without a device, with
// the account's identifier and a recovery code.
type ApprovalGive struct {
	Reference string `json:"reference"`
	Session   string `json:"session,omitempty"`
	Account   string `json:"account,omitempty"`
	Code      string `json:"code,omitempty"`
}

// DeskAsk is an agent's call about an account, and an incident of it.
type DeskAsk struct {
	Session    string `json:"session"`
	Identifier string `json:"identifier"`
	Reference  string `json:"reference,omitempty"`
}

// DeskAccount is what an agent sees of an account.
type DeskAccount struct {
	Account  string        `json:"account"`
	Approved []Approval    `json:"approved"`
	Waiting  []DeskWaiting `json:"waiting"`
}

// DeskWaiting is an act that waits for a second agent.
type DeskWaiting struct {
	Act       string `json:"act"`
	Kind      string `json:"kind"`
	Reference string `json:"reference"`
	AskedBy   string `json:"asked_by"`
	Asked     int64  `json:"asked"`   // Unix seconds
	Expires   int64  `json:"expires"` // Unix seconds
	Own       bool   `json:"own,omitempty"`
}

// DeskDo asks for an act.
type DeskDo struct {
	Session    string `json:"session"`
	Identifier string `json:"identifier"`
	Reference  string `json:"reference"`
	Kind       string `json:"kind"`
}

// DeskDone tells what came of it.
type DeskDone struct {
	Done bool   `json:"done"`
	Act  string `json:"act,omitempty"`  // that waits for a second agent
	Word string `json:"word,omitempty"` // of a recovery: read it to the person, who types it
}
