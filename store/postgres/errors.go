package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

// SQLSTATE codes and classes (PostgreSQL, Appendix A).
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeUnique        = "23505"
	codeCancelled     = "57014" // by statement_timeout
	codeLocked        = "55P03" // by lock_timeout
	codeReadOnly      = "25006"
	codeIdle          = "25P03" // by idle_in_transaction_session_timeout
	codeNoDatabase    = "3D000"
	codeForbidden     = "42501"
	codeNoParameter   = "42704"
	codeNoTable       = "42P01"
	codeBadParameter  = "22023"
	codeUnsupported   = "0A000" // SERIALIZABLE on a standby

	classConnection = "08"
	classData       = "22"
	classConstraint = "23"
	classLogin      = "28"
	classResources  = "53"
	classOperator   = "57"
)

// tell is the sqltx.Tell of this engine.
func tell(err error) (told error, lost bool) {
	own := new(ownError)
	switch {
	case errors.Is(err, errRow):
		return store.ErrConflict, false
	case errors.Is(err, sqltx.ErrReads):
		return sqltx.ErrReads, false
	case errors.As(err, &own):
		return unavailable(err), false
	}
	return unavailable(err), true
}

// unavailable marks an error of the database as the store's own.
func unavailable(err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNewer) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// advise adds to an error what the operator can do about it. The address is
// one without a password.
func advise(err error, address string) error {
	if err == nil || errors.Is(err, store.ErrNewer) || errors.Is(err, errMoving) || errors.Is(err, ErrOthers) || errors.Is(err, ErrTaken) || errors.Is(err, ErrOtherMove) {
		return err
	}
	var e *pgconn.PgError
	var network net.Error
	var name *net.DNSError
	hint := ""
	switch {
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		hint = onlyReads
	case errors.As(err, &e):
		switch {
		case e.Code[:2] == classLogin:
			hint = "the user or the password is not accepted: see the user in the address, and the password in the file that store_password names or in ~/.pgpass (mode 0600)"
		case e.Code == codeNoDatabase:
			hint = "make the database first: createdb, with the user of the address as its owner"
		case e.Code == codeNoParameter || e.Code == codeBadParameter:
			hint = "correct that parameter of the address, or leave it out"
		case e.Code == codeForbidden:
			hint = "the user of the address must own the database: ALTER DATABASE … OWNER TO …"
		case e.Code == codeReadOnly || e.Code == codeUnsupported:
			hint = onlyReads
		case e.Code == codeCancelled || e.Code == codeLocked:
			hint = "the database answers too slowly: see what it is busy with (pg_stat_activity)"
		case e.Code[:2] == classResources:
			hint = "the database has no more connections, memory or disk: see max_connections and its log"
		case e.Code[:2] == classOperator:
			hint = "the database is starting or stopping"
		}
	case errors.As(err, &name):
		hint = "the host's name is not known: see the address"
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout():
		hint = "the database does not answer: see that it runs and that no firewall is between"
	case strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "no such file"):
		hint = "nothing listens there: start PostgreSQL, or correct host and port"
	case strings.Contains(err.Error(), "tls"), strings.Contains(err.Error(), "certificate"), strings.Contains(err.Error(), "SSL"):
		hint = "see sslmode and sslrootcert of the address: beyond this machine TLS is needed"
	}
	err = unavailable(clean(err))
	if hint == "" {
		return fmt.Errorf("%s: %w", address, err)
	}
	return fmt.Errorf("%s: %w: %s", address, err, hint)
}

const onlyReads = "this is a standby or set to read only: give the address of the primary, or several of which one is"

// plainError prints one line.
type plainError struct{ error }

func (e plainError) Error() string {
	return strings.Join(strings.Fields(e.error.Error()), " ")
}
func (e plainError) Unwrap() error { return e.error }

func clean(err error) error { return plainError{err} }
