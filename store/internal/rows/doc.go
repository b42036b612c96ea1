// Package rows is made by sqlc from store/queries.sql; see sqlc.yaml.
package rows

import "context"

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate -f ../../../sqlc.yaml

// Texts of the queries that an engine may send along with another.
const (
	TextDevices  = devices
	TextServices = services
	TextFormer   = former
	TextFindLane = findLane
	TextSubject  = subject
)

// Exec runs a statement that was made for a table at hand.
func (q *Queries) Exec(ctx context.Context, query string, args ...any) error {
	_, err := q.db.ExecContext(ctx, query, args...)
	return err
}
