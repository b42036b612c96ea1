-- +goose Up
-- The record of the password before the last change, sealed; one an account.
CREATE TABLE formers (
    account  BLOB   NOT NULL PRIMARY KEY,
    sealed   BLOB   NOT NULL,
    stretch  TEXT   NOT NULL,
    replaced BIGINT NOT NULL
) WITHOUT ROWID;
