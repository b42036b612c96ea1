-- +goose Up
-- How people are reached and get back in. Times and keys as in 001.

CREATE TABLE addresses (
    account     BLOB   NOT NULL,
    id          BLOB   NOT NULL,
    kind        TEXT   NOT NULL,
    value       TEXT   NOT NULL,
    language    TEXT   NOT NULL,
    added       BIGINT NOT NULL,
    added_by    BLOB   NOT NULL,
    verified    BIGINT NOT NULL,
    code_hash   BLOB   NOT NULL,
    code_until  BIGINT NOT NULL,
    code_tries  BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    failed_why  TEXT   NOT NULL,
    last_notice BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX address_of_account ON addresses (account, kind, value);
CREATE INDEX address_by_value ON addresses (kind, value);

CREATE TABLE recovery_codes (
    account BLOB   NOT NULL,
    hash    BLOB   NOT NULL,
    created BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    PRIMARY KEY (account, hash)
) WITHOUT ROWID;

CREATE TABLE recoveries (
    id           BLOB   NOT NULL PRIMARY KEY,
    account      BLOB   NOT NULL,
    thumbprint   BLOB   NOT NULL,
    name         TEXT   NOT NULL,
    system       TEXT   NOT NULL,
    client       TEXT   NOT NULL,
    address      TEXT   NOT NULL,
    opened       BIGINT NOT NULL,
    opens        BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    by_code      BIGINT NOT NULL,
    by_device    BLOB   NOT NULL,
    by_device_at BIGINT NOT NULL,
    by_address   BIGINT NOT NULL,
    address_hash BLOB   NOT NULL,
    wrong        BIGINT NOT NULL,
    cancelled    BIGINT NOT NULL,
    cancelled_by TEXT   NOT NULL,
    cancel_hash  BLOB   NOT NULL,
    finished     BIGINT NOT NULL,
    agent        BLOB   NOT NULL,
    told         BLOB   NOT NULL
) WITHOUT ROWID;
CREATE INDEX recoveries_of_account ON recoveries (account);

CREATE TABLE passkeys (
    account    BLOB   NOT NULL,
    credential BLOB   NOT NULL PRIMARY KEY,
    data       BLOB   NOT NULL,
    name       TEXT   NOT NULL,
    added      BIGINT NOT NULL,
    added_by   BLOB   NOT NULL,
    last_used  BIGINT NOT NULL,
    uses       BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX passkeys_of_account ON passkeys (account);

CREATE TABLE approvals (
    account   BLOB   NOT NULL,
    reference TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    made_by   TEXT   NOT NULL,
    revoked   BIGINT NOT NULL,
    PRIMARY KEY (account, reference)
) WITHOUT ROWID;

CREATE TABLE agents (
    account BLOB   NOT NULL PRIMARY KEY,
    added   BIGINT NOT NULL,
    removed BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE desk_acts (
    id        BLOB   NOT NULL PRIMARY KEY,
    account   BLOB   NOT NULL,
    reference TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    asked_by  BLOB   NOT NULL,
    asked     BIGINT NOT NULL,
    agreed_by BLOB   NOT NULL,
    agreed    BIGINT NOT NULL,
    done      BIGINT NOT NULL,
    expires   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX desk_acts_of_account ON desk_acts (account);

CREATE TABLE messages (
    id      BLOB   NOT NULL PRIMARY KEY,
    account BLOB   NOT NULL,
    address BLOB   NOT NULL,
    channel TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    sealed  BLOB   NOT NULL,
    created BIGINT NOT NULL,
    next    BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    sent    BIGINT NOT NULL,
    gave_up BIGINT NOT NULL,
    why     TEXT   NOT NULL
) WITHOUT ROWID;
CREATE INDEX messages_of_account ON messages (account);
CREATE INDEX messages_due ON messages (next) WHERE sent = 0 AND gave_up = 0;
