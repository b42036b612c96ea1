-- +goose Up
-- The news of changes, the services that get it, and its way to them. Times and
-- keys as in 001; there is one index for each way rows are found.

CREATE TABLE signals (
    at      BIGINT NOT NULL,
    id      BLOB   NOT NULL,
    account BLOB   NOT NULL,
    epoch   BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    detail  BLOB   NOT NULL,
    PRIMARY KEY (at, id)
) WITHOUT ROWID;
CREATE INDEX signals_of_account ON signals (account);

CREATE TABLE services (
    id       BLOB   NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL,
    audience TEXT   NOT NULL,
    push     TEXT   NOT NULL,
    secret   BLOB   NOT NULL,
    added    BIGINT NOT NULL,
    status   TEXT   NOT NULL,
    why      TEXT   NOT NULL,
    parked   BIGINT NOT NULL,
    events   TEXT   NOT NULL,
    about    TEXT   NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX service_by_name ON services (name);
CREATE UNIQUE INDEX service_by_secret ON services (secret);

-- Apart from services, which every change reads: nothing that sending writes
-- is read by a change.
CREATE TABLE works (
    service BLOB   NOT NULL PRIMARY KEY,
    node    BLOB   NOT NULL,
    lease   BIGINT NOT NULL,
    heard   BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE receipts (
    signal    BLOB   NOT NULL,
    service   BLOB   NOT NULL,
    account   BLOB   NOT NULL,
    epoch     BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    made      BIGINT NOT NULL,
    next      BIGINT NOT NULL,
    tries     BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    applied   BIGINT NOT NULL,
    why       TEXT   NOT NULL,
    PRIMARY KEY (signal, service)
) WITHOUT ROWID;
CREATE INDEX receipts_of_account ON receipts (account, made);
CREATE INDEX receipts_due ON receipts (service, next) WHERE delivered = 0;
CREATE INDEX receipts_waiting ON receipts (service, account, epoch) WHERE delivered = 0;
