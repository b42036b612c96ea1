-- +goose Up
-- The record of the password before the last change, sealed; one an account.
CREATE TABLE formers (
    account  BYTEA  NOT NULL PRIMARY KEY,
    sealed   BYTEA  NOT NULL,
    stretch  TEXT   NOT NULL,
    replaced BIGINT NOT NULL
);
