package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

// Schema is the version of the schema that this program has.
func (s *Store) Schema() int { return schema }

// Export hands out every row of every table, as they were after one commit.
// Writes go on meanwhile.
func (s *Store) Export(ctx context.Context, each func(store.Row) error) (err error) {
	if !s.isOpen() {
		return errClosed
	}
	defer func() { err = damage(err) }()
	c, err := s.connect(true)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.exec("BEGIN"); err != nil {
		return s.failed(err)
	}
	tables, err := texts(ctx, c, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%' ORDER BY name")
	if err != nil {
		return s.failed(err)
	}
	for _, t := range tables {
		columns, err := texts(ctx, c, "SELECT name FROM pragma_table_info('"+t+"')")
		if err != nil {
			return s.failed(err)
		}
		if err := s.exportTable(ctx, c, t, columns, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) exportTable(ctx context.Context, c *conn, table string, columns []string, each func(store.Row) error) error {
	list, err := c.one.QueryContext(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+table)
	if err != nil {
		return s.failed(err)
	}
	defer list.Close()
	types, err := list.ColumnTypes()
	if err != nil {
		return s.failed(err)
	}
	for list.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := list.Scan(into...); err != nil {
			return s.failed(err)
		}
		for i, v := range values {
			if values[i], err = plain(v, types[i]); err != nil {
				return fmt.Errorf("%s.%s: %w", table, columns[i], err)
			}
		}
		if err := each(store.Row{Table: table, Columns: columns, Values: values}); err != nil {
			return err
		}
	}
	return s.failedIf(list.Err())
}

// plain is a value as store.Row has it: the driver gives an empty BLOB as nil.
func plain(v any, of *sql.ColumnType) (any, error) {
	switch v := v.(type) {
	case nil:
		if of.DatabaseTypeName() == "BLOB" {
			return []byte{}, nil
		}
	case []byte:
		return append([]byte{}, v...), nil
	case int64, string:
		return v, nil
	}
	return nil, fmt.Errorf("a value of type %T", v)
}

func (s *Store) failedIf(err error) error {
	if err == nil {
		return nil
	}
	return s.failed(err)
}

func texts(ctx context.Context, c *conn, query string) (out []string, err error) {
	list, err := c.one.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	for list.Next() {
		var s string
		if err := list.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, list.Err()
}

// Import adds rows to a store that has none of them.
func (s *Store) Import(ctx context.Context, list []store.Row) error {
	return s.Update(ctx, func(tx store.Tx) error { return put(tx, list) })
}

// Clear deletes every row, the ghosts too: what is imported brings its own.
func (s *Store) Clear(ctx context.Context) error {
	c, err := s.connect(true)
	if err != nil {
		return err
	}
	tables, err := texts(ctx, c, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'goose%'")
	c.close()
	if err != nil {
		return s.failed(err)
	}
	return s.Update(ctx, func(tx store.Tx) error {
		for _, t := range tables {
			if err := tx.(*sqltx.Tx).Wipe(t); err != nil {
				return err
			}
		}
		return nil
	})
}

func put(tx store.Tx, list []store.Row) error {
	for _, r := range list {
		if err := tx.(*sqltx.Tx).Put(r); err != nil {
			return err
		}
	}
	return nil
}
