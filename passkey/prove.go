package passkey

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Words of cause.CheckPasskey.
const (
	proved         = "proved"
	notProved      = "not-proved"
	notOfAccount   = "not-of-account"
	wrongOrigin    = "wrong-origin"
	wrongChallenge = "wrong-challenge"
	notVerified    = "user-not-verified"
)

func note(word string) cause.Fact {
	return cause.Note(cause.CheckPasskey, cause.Word(proved), cause.Word(word), cause.ByServer)
}

// suspect finds the word for what of an answer shows by itself. Whether the
// answer is good is the library's to say.
func (s *Service) suspect(st ceremony, said protocol.CollectedClientData, data protocol.AuthenticatorData) string {
	id := sha256.Sum256([]byte(s.party.Config.RPID))
	switch {
	case said.CrossOrigin, said.TopOrigin != "", !protocol.IsOriginInHaystack(said.Origin, s.party.Config.RPOrigins),
		subtle.ConstantTimeCompare(data.RPIDHash, id[:]) != 1:
		return wrongOrigin
	case said.Challenge != st.Challenge:
		return wrongChallenge
	case !data.Flags.HasUserPresent(), !data.Flags.HasUserVerified():
		return notVerified
	}
	return proved
}

// proof is what came of checking a signature.
type proof struct {
	word  string
	id    []byte        // the credential's
	owner store.ID      // whose the authenticator says it is
	kept  store.Passkey // as it was when the signature was checked; zero for one that is unknown
	count int64
	data  []byte // what is kept of the credential from now on
}

// prove checks an answer to a challenge. A credential that nobody knows costs
// what a known one does.
func (s *Service) prove(ctx context.Context, st ceremony, answer []byte) (proof, error) {
	a, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return proof{}, signin.ErrForm
	}
	p := proof{id: a.RawID, count: int64(a.Response.AuthenticatorData.Counter)}
	if len(a.Response.UserHandle) == len(p.owner) {
		p.owner = store.ID(a.Response.UserHandle)
	}
	err = s.Store.View(ctx, func(tx store.Tx) error {
		kept, err := tx.Passkey(p.id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		p.kept = kept
		return err
	})
	if err != nil {
		return proof{}, err
	}
	credential := webauthn.Credential{ID: p.id, PublicKey: s.stand}
	if known := !p.kept.Account.IsZero(); known {
		if err := json.Unmarshal(p.kept.Data, &credential); err != nil {
			return proof{}, err
		}
	}
	now, err := s.party.ValidateLogin(user{id: p.owner[:], credentials: []webauthn.Credential{credential}}, webauthn.SessionData{
		Challenge: st.Challenge, UserID: p.owner[:], UserVerification: protocol.VerificationRequired,
	}, a)
	p.word = s.suspect(st, a.Response.CollectedClientData, a.Response.AuthenticatorData)
	switch {
	case p.kept.Account.IsZero(), p.kept.Account != p.owner:
		p.word = notOfAccount
	case p.word == proved && err != nil:
		p.word = notProved
	case p.word == proved:
		p.data, err = json.Marshal(now)
		return p, err
	}
	return p, nil
}

// still looks the passkey up again, inside the transaction that acts on the
// proof: it may have been removed, and another made in its place.
func (p *proof) still(tx store.Tx) error {
	now, err := tx.Passkey(p.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err != nil || now.Account != p.kept.Account || !now.Added.Equal(p.kept.Added) {
		p.kept, p.word = store.Passkey{}, notOfAccount
		return nil
	}
	p.kept = now
	return nil
}

// facts are what is against a proof. The counter says something only where the
// signature is right; zero, twice, is that of a passkey that does not count.
func (p *proof) facts() (facts []cause.Fact, back bool) {
	named := func() {
		facts = append(facts, cause.Note(cause.CheckPasskeyName, cause.Value{}, cause.Name(p.kept.Name), cause.ByServer))
	}
	switch {
	case p.word == notOfAccount:
		facts = append(facts, note(p.word))
	case p.word != proved:
		facts = append(facts, note(p.word))
		named()
	case p.count <= p.kept.Count && p.count|p.kept.Count != 0:
		back = true
		facts = append(facts, cause.Note(cause.CheckPasskeyCounter, cause.Count(int(p.kept.Count)+1), cause.Count(int(p.count)), cause.ByServer))
		named()
	}
	return facts, back
}
