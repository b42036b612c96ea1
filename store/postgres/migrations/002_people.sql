-- +goose Up
-- How people are reached and get back in. Times and keys as in 001.

CREATE TABLE addresses (
    account     BYTEA  NOT NULL,
    id          BYTEA  NOT NULL,
    kind        TEXT   NOT NULL,
    value       TEXT   NOT NULL,
    language    TEXT   NOT NULL,
    added       BIGINT NOT NULL,
    added_by    BYTEA  NOT NULL,
    verified    BIGINT NOT NULL,
    code_hash   BYTEA  NOT NULL,
    code_until  BIGINT NOT NULL,
    code_tries  BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    failed_why  TEXT   NOT NULL,
    last_notice BIGINT NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE UNIQUE INDEX address_of_account ON addresses (account, kind, value);
CREATE INDEX address_by_value ON addresses (kind, value);

CREATE TABLE recovery_codes (
    account BYTEA  NOT NULL,
    hash    BYTEA  NOT NULL,
    created BIGINT NOT NULL,
    used    BIGINT NOT NULL,
    PRIMARY KEY (account, hash)
);

CREATE TABLE recoveries (
    id           BYTEA  NOT NULL PRIMARY KEY,
    account      BYTEA  NOT NULL,
    thumbprint   BYTEA  NOT NULL,
    name         TEXT   NOT NULL,
    system       TEXT   NOT NULL,
    client       TEXT   NOT NULL,
    address      TEXT   NOT NULL,
    opened       BIGINT NOT NULL,
    opens        BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    by_code      BIGINT NOT NULL,
    by_device    BYTEA  NOT NULL,
    by_device_at BIGINT NOT NULL,
    by_address   BIGINT NOT NULL,
    address_hash BYTEA  NOT NULL,
    wrong        BIGINT NOT NULL,
    cancelled    BIGINT NOT NULL,
    cancelled_by TEXT   NOT NULL,
    cancel_hash  BYTEA  NOT NULL,
    finished     BIGINT NOT NULL,
    agent        BYTEA  NOT NULL,
    told         BYTEA  NOT NULL
);
CREATE INDEX recoveries_of_account ON recoveries (account);

CREATE TABLE passkeys (
    account    BYTEA  NOT NULL,
    credential BYTEA  NOT NULL PRIMARY KEY,
    data       BYTEA  NOT NULL,
    name       TEXT   NOT NULL,
    added      BIGINT NOT NULL,
    added_by   BYTEA  NOT NULL,
    last_used  BIGINT NOT NULL,
    uses       BIGINT NOT NULL
);
CREATE INDEX passkeys_of_account ON passkeys (account);

CREATE TABLE approvals (
    account   BYTEA  NOT NULL,
    reference TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    made_by   TEXT   NOT NULL,
    revoked   BIGINT NOT NULL,
    PRIMARY KEY (account, reference)
);

CREATE TABLE agents (
    account BYTEA  NOT NULL PRIMARY KEY,
    added   BIGINT NOT NULL,
    removed BIGINT NOT NULL
);

CREATE TABLE desk_acts (
    id        BYTEA  NOT NULL PRIMARY KEY,
    account   BYTEA  NOT NULL,
    reference TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    asked_by  BYTEA  NOT NULL,
    asked     BIGINT NOT NULL,
    agreed_by BYTEA  NOT NULL,
    agreed    BIGINT NOT NULL,
    done      BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);
CREATE INDEX desk_acts_of_account ON desk_acts (account);

CREATE TABLE messages (
    id      BYTEA  NOT NULL PRIMARY KEY,
    account BYTEA  NOT NULL,
    address BYTEA  NOT NULL,
    channel TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    sealed  BYTEA  NOT NULL,
    created BIGINT NOT NULL,
    next    BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    sent    BIGINT NOT NULL,
    gave_up BIGINT NOT NULL,
    why     TEXT   NOT NULL
);
CREATE INDEX messages_of_account ON messages (account);
CREATE INDEX messages_due ON messages (next) WHERE sent = 0 AND gave_up = 0;
