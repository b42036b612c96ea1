-- +goose Up
-- The news of changes, the services that get it, and its way to them. Times and
-- keys as in 001; there is one index for each way rows are found.

CREATE TABLE signals (
    at      BIGINT NOT NULL,
    id      BYTEA  NOT NULL,
    account BYTEA  NOT NULL,
    epoch   BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    detail  BYTEA  NOT NULL,
    PRIMARY KEY (at, id)
);
CREATE INDEX signals_of_account ON signals (account);

CREATE TABLE services (
    id       BYTEA  NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL,
    audience TEXT   NOT NULL,
    push     TEXT   NOT NULL,
    secret   BYTEA  NOT NULL,
    added    BIGINT NOT NULL,
    status   TEXT   NOT NULL,
    why      TEXT   NOT NULL,
    parked   BIGINT NOT NULL,
    events   TEXT   NOT NULL,
    about    TEXT   NOT NULL
);
CREATE UNIQUE INDEX service_by_name ON services (name);
CREATE UNIQUE INDEX service_by_secret ON services (secret);

-- Apart from services, which every change reads: nothing that sending writes
-- is read by a change.
CREATE TABLE works (
    service BYTEA  NOT NULL PRIMARY KEY,
    node    BYTEA  NOT NULL,
    lease   BIGINT NOT NULL,
    heard   BIGINT NOT NULL
);

CREATE TABLE receipts (
    signal    BYTEA  NOT NULL,
    service   BYTEA  NOT NULL,
    account   BYTEA  NOT NULL,
    epoch     BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    made      BIGINT NOT NULL,
    next      BIGINT NOT NULL,
    tries     BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    applied   BIGINT NOT NULL,
    why       TEXT   NOT NULL,
    PRIMARY KEY (signal, service)
);
CREATE INDEX receipts_of_account ON receipts (account, made);
CREATE INDEX receipts_due ON receipts (service, next) WHERE delivered = 0;
CREATE INDEX receipts_waiting ON receipts (service, account, epoch) WHERE delivered = 0;
