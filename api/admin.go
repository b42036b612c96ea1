package api

import (
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/policy"
)

// Paths of the operator's socket. Who can open the socket is the operator;
// nothing of this is reachable over the network.
const (
	AdminSocket   = "admin.sock" // in the data folder, mode 0600
	AdminInvite   = "/admin/invite"
	AdminPolicy   = "/admin/policy" // GET, and POST of a policy.Policy
	AdminDisable  = "/admin/disable"
	AdminEnable   = "/admin/enable"
	AdminUnlock   = "/admin/unlock"
	AdminExplain  = "/admin/explain"  // Explain -> AdminExplained
	AdminActivity = "/admin/activity" // AdminAccount -> Activities
	AdminAccounts = "/admin/accounts" // GET -> AdminAccountList
	AdminMetrics  = "/metrics"
	AdminBackup   = "/backup" // GET; see AdminBackupFault

	AdminDeskAdd    = "/admin/desk/add"
	AdminDeskRemove = "/admin/desk/remove"
	AdminDesk       = "/admin/desk" // GET -> AdminAgents
)

// AdminBackupFault is a trailer of a backup: why it was not finished.
const AdminBackupFault = "Readmit-Fault"

// AdminAccount names the account an operator's call is about.
type AdminAccount struct {
	Account string `json:"account"`
}

// AdminInvitation allows one sign-up, or, for an account that exists, one more
// enrolment without a code.
type AdminInvitation struct {
	Account    string `json:"account"`
	Invitation string `json:"invitation"`
	Expires    int64  `json:"expires"` // Unix seconds
}

// AdminAccountList lists the accounts.
type AdminAccountList struct {
	Accounts []AdminAccountState `json:"accounts"`
}

// AdminAccountState is an account as the operator sees it.
type AdminAccountState struct {
	Account  string `json:"account"`
	Created  int64  `json:"created"`            // Unix seconds
	Disabled int64  `json:"disabled,omitempty"` // Unix seconds
	Devices  int    `json:"devices"`
	Locked   int64  `json:"locked_until,omitempty"` // strangers, Unix seconds
}

// AdminPolicyState is the answer of AdminPolicy.
type AdminPolicyState struct {
	Policy policy.Policy `json:"policy"`
}

// AdminExplained is a finding for the operator, and whose account it is about.
type AdminExplained struct {
	cause.Report
	Account string `json:"account,omitempty"`
}

// AdminAgents lists who works at the support desk.
type AdminAgents struct {
	Agents []AdminAgent `json:"agents"`
}

// AdminAgent is one of them.
type AdminAgent struct {
	Account string `json:"account"`
	Added   int64  `json:"added"` // Unix seconds
}

// Services that get the news of changes.
const (
	AdminServices      = "/admin/services"        // GET -> AdminServiceList
	AdminServiceShow   = "/admin/services/show"   // AdminServiceName -> AdminServiceState
	AdminServiceAdd    = "/admin/services/add"    // AdminServiceNew -> AdminServiceAdded
	AdminServiceResume = "/admin/services/resume" // AdminServiceName
	AdminServiceRemove = "/admin/services/remove" // AdminServiceName
)

// AdminServiceName names a service.
type AdminServiceName struct {
	Name string `json:"name"`
}

// AdminServiceNew registers a service; one without an address polls.
type AdminServiceNew struct {
	Name     string `json:"name"`
	Audience string `json:"audience"`
	Push     string `json:"push,omitempty"`
}

// AdminServiceAdded tells what a service needs, once.
type AdminServiceAdded struct {
	Name     string `json:"name"`
	Audience string `json:"audience"`
	Push     string `json:"push,omitempty"`
	Stream   string `json:"stream_id"`
	Secret   string `json:"secret,omitempty"`     // the service shows it to the account server
	Token    string `json:"push_token,omitempty"` // the account server shows it to the service
}

// AdminServiceList lists the services.
type AdminServiceList struct {
	Services []AdminService `json:"services"`
}

// AdminService is one service; moments are Unix seconds, 0 for none.
type AdminService struct {
	Name     string  `json:"name"`
	Audience string  `json:"audience"`
	Push     string  `json:"push,omitempty"`
	Stream   string  `json:"stream_id"`
	Added    int64   `json:"added"`
	Status   string  `json:"status"`
	Why      string  `json:"why,omitempty"`
	Since    int64   `json:"since,omitempty"`  // the stream is paused or disabled
	Parked   int64   `json:"parked,omitempty"` // the same, where this server has paused it
	Heard    int64   `json:"last_receipt,omitempty"`
	Waiting  int     `json:"waiting"`
	Oldest   int64   `json:"waiting_since,omitempty"`
	Lag      float64 `json:"lag_seconds"`
}

// AdminServiceState is one service with the oldest change that it has not taken.
type AdminServiceState struct {
	AdminService
	Applied int64         `json:"last_applied,omitempty"` // 0 also where it was long ago
	First   *AdminWaiting `json:"first_waiting,omitempty"`
}

// AdminWaiting is a change on its way to a service; moments are Unix seconds.
type AdminWaiting struct {
	Account string `json:"account,omitempty"` // none where it is about the stream, or the account is closed
	Epoch   int64  `json:"epoch,omitempty"`
	Kind    string `json:"kind"`
	Since   int64  `json:"waiting_since"`
	Tries   int    `json:"tries"`
	Why     string `json:"why,omitempty"` // the last try failed
}
