package passkey

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// algorithms are what every authenticator has one of, the shortest first.
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// StartAdd begins to add a passkey. It needs a fresh proof, of the session or by
// a grant: whoever holds a device could otherwise make himself a way in that
// outlasts it.
func (s *Service) StartAdd(ctx context.Context, actor session.Actor, grant []byte, c gate.Caller) (Begun, error) {
	if !s.Possible() {
		return Begun{}, ErrName
	}
	if !s.fresh(actor, grant, c) {
		return Begun{}, ErrFresh
	}
	var a store.Subject
	var have []store.Passkey
	err := s.Store.View(ctx, func(tx store.Tx) error {
		var err error
		if a, err = tx.Subject(actor.Account.ID); err != nil {
			return err
		}
		have, err = tx.Passkeys(a.ID)
		return err
	})
	if err != nil {
		return Begun{}, err
	}
	if len(have) >= Max {
		return Begun{}, ErrMany
	}
	var known []protocol.CredentialDescriptor
	for _, p := range have {
		known = append(known, protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: p.Credential})
	}
	creation, begun, err := s.party.BeginRegistration(user{id: a.ID[:], name: a.Identifier},
		webauthn.WithCredentialParameters(algorithms), webauthn.WithExclusions(known))
	if err != nil {
		return Begun{}, err
	}
	return s.begun(creation.Response, ceremony{
		Purpose: toAdd, ID: signin.NewID(), Key: c.Key, Challenge: begun.Challenge, Begun: s.Gate.Now(),
		Account: a.ID, Session: actor.Session.ID, Epoch: a.Epoch,
	})
}

func (s *Service) fresh(actor session.Actor, grant []byte, c gate.Caller) bool {
	if len(grant) == 0 {
		return s.Gate.Fresh(actor.Session)
	}
	g, err := s.SignIn.OpenGrant(grant)
	return err == nil && g.Key == c.Key && g.Account == actor.Account.ID && g.Purpose == signin.ToChangeSettings &&
		!actor.Account.PasswordChanged.After(g.Proved)
}

// FinishAdd adds the passkey. The epoch it raises ends its challenge, and every
// other that was asked for before.
func (s *Service) FinishAdd(ctx context.Context, actor session.Actor, sealed, made []byte, name string, c gate.Caller) (store.Passkey, *gate.Refusal, error) {
	if !s.Possible() {
		return store.Passkey{}, nil, ErrName
	}
	st, err := s.resume(toAdd, sealed, c.Key)
	if err != nil {
		return store.Passkey{}, nil, err
	}
	if st.Account != actor.Account.ID || st.Session != actor.Session.ID {
		return store.Passkey{}, nil, signin.ErrOver
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(made)
	if err != nil {
		return store.Passkey{}, nil, signin.ErrForm
	}
	if name == "" {
		name = actor.Device.Name
	}
	p := store.Passkey{Account: st.Account, Name: cause.CleanName(name), Added: s.Gate.Now(), AddedBy: actor.Device.ID}
	word := s.judgeNew(st, parsed, &p)
	var content incident.Content
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.acting(tx, actor, c)
		if err != nil {
			return err
		}
		if a.Epoch != st.Epoch {
			return signin.ErrOver
		}
		content = incident.Content{
			Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: "add passkey", Outcome: incident.Done,
			Device: actor.Device.Name, Client: c.Shown, Address: c.Address,
		}
		if word != proved {
			content.Outcome, content.Facts = incident.Refused, []cause.Fact{note(word)}
			return incident.Record(tx, &a, store.RingDevices, content)
		}
		have, err := tx.Passkeys(a.ID)
		if err != nil {
			return err
		}
		if len(have) >= Max {
			return ErrMany
		}
		if err := tx.AddPasskey(p); errors.Is(err, store.ErrConflict) {
			return ErrKnown
		} else if err != nil {
			return err
		}
		return s.changed(tx, a, message.PasskeyAdded, "passkey added", p.Name, actor, c)
	})
	if err != nil {
		return store.Passkey{}, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return store.Passkey{}, refusal, err
	}
	return p, nil, nil
}

// judgeNew checks what an authenticator made, and completes the passkey.
func (s *Service) judgeNew(st ceremony, made *protocol.ParsedCredentialCreationData, p *store.Passkey) string {
	data := made.Response.AttestationObject.AuthData
	word := s.suspect(st, made.Response.CollectedClientData, data)
	credential, err := s.party.CreateCredential(user{id: st.Account[:]}, webauthn.SessionData{
		Challenge: st.Challenge, UserID: st.Account[:], UserVerification: protocol.VerificationRequired, CredParams: algorithms,
	}, made)
	switch {
	case word != proved:
		return word
	case err != nil:
		return notProved
	}
	// Who made the authenticator is not asked, so what would tell is not kept.
	credential.Attestation = webauthn.CredentialAttestation{}
	p.Credential, p.Count = credential.ID, int64(credential.Authenticator.SignCount)
	if p.Data, err = json.Marshal(credential); err != nil {
		return notProved
	}
	return proved
}
