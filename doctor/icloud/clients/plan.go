package clients

import (
	"context"
	"slices"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// signIn is how each client is asked to sign in anew.
var signIn = map[string][]string{
	icloudpd: {"icloudpd", "--username", "{account}", "--auth-only"},
	pyicloud: {"icloud", "--username", "{account}"},
	icloudpy: {"icloud", "--username", "{account}"},
	docker:   {"sync-icloud.sh", "--Initialise"},
}

// plan moves damaged cookies and a damaged session aside: a client that finds none
// asks for a new sign-in, one that cannot read them stops. Settings and keyrings
// are the person's own, and stay.
func (k *kept) plan(_ context.Context, j *doctor.Journal, found []cause.Finding) ([]doctor.Repair, []doctor.Declined, error) {
	const of cause.Code = "state-damaged"
	if !slices.ContainsFunc(found, func(f cause.Finding) bool { return f.Cause == of }) {
		return nil, nil, nil
	}
	r := doctor.Repair{
		Cause: of,
		Do:    "Stop " + k.client + " first. Then move what is damaged of its sign-in aside; it asks for a new one when it is started.",
		Guide: signIn[k.client],
	}
	var declined []doctor.Declined
	for _, f := range k.files {
		switch {
		case f.state == intact || f.state == missing:
		case f.name != "cookies" && f.name != "session":
			declined = append(declined, doctor.Declined{Cause: of, Why: "The file (" + f.name + ") holds settings, not only a sign-in: mend it by hand, or move it away and set the client up again."})
		case f.state == unreadable:
			declined = append(declined, doctor.Declined{Cause: of, Why: "The file (" + f.name + ") cannot be read by this user: run this as the user the client runs as."})
		default:
			a, err := j.Aside(f.path)
			if err != nil {
				return nil, nil, err
			}
			r.Aside = append(r.Aside, a)
		}
	}
	if len(r.Aside) == 0 {
		return nil, declined, nil
	}
	return []doctor.Repair{r}, declined, nil
}
