-- +goose Up
-- Times are Unix microseconds; 0 is "never". Booleans are 0 and 1.
-- Columns are those of store/sqlite/migrations, in the same order.

CREATE TABLE subjects (
    id                  BYTEA   NOT NULL PRIMARY KEY,
    lookup              BYTEA   NOT NULL UNIQUE,
    ghost               BIGINT  NOT NULL,
    identifier          TEXT    NOT NULL,
    record              BYTEA   NOT NULL,
    stretch             TEXT    NOT NULL,
    epoch               BIGINT  NOT NULL,
    created             BIGINT  NOT NULL,
    disabled            BIGINT  NOT NULL,
    password_changed    BIGINT  NOT NULL,
    password_changed_by BYTEA   NOT NULL,
    stranger_failures   BIGINT  NOT NULL DEFAULT 0,
    code_failures       BIGINT  NOT NULL DEFAULT 0,
    seq0                BIGINT  NOT NULL DEFAULT 0,
    seq1                BIGINT  NOT NULL DEFAULT 0,
    seq2                BIGINT  NOT NULL DEFAULT 0,
    seq3                BIGINT  NOT NULL DEFAULT 0
);

-- Counters of strangers, at most store.Lanes of them.
CREATE TABLE lanes (
    lane         BIGINT NOT NULL PRIMARY KEY,
    failed       BIGINT NOT NULL,
    open         BIGINT NOT NULL,
    locks        BIGINT NOT NULL,
    open_until   BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    last_failure BIGINT NOT NULL
);

CREATE TABLE devices (
    account        BYTEA  NOT NULL,
    thumbprint     BYTEA  NOT NULL,
    id             BYTEA  NOT NULL,
    name           TEXT   NOT NULL,
    system         TEXT   NOT NULL,
    enrolled       BIGINT NOT NULL,
    removed        BIGINT NOT NULL,
    removed_by     BYTEA  NOT NULL,
    failed         BIGINT NOT NULL,
    open           BIGINT NOT NULL,
    locks          BIGINT NOT NULL,
    open_until     BIGINT NOT NULL,
    locked_until   BIGINT NOT NULL,
    last_failure   BIGINT NOT NULL,
    last_seen      BIGINT NOT NULL,
    skew           BIGINT NOT NULL,
    last_code_step BIGINT NOT NULL,
    PRIMARY KEY (account, thumbprint)
);

CREATE TABLE sessions (
    id        BYTEA  NOT NULL PRIMARY KEY,
    account   BYTEA  NOT NULL,
    device    BYTEA  NOT NULL,
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    ended     BIGINT NOT NULL,
    ended_by  BYTEA  NOT NULL,
    ended_why TEXT   NOT NULL
);
CREATE INDEX sessions_of_account ON sessions (account, ended);

CREATE TABLE ledger (
    account   BYTEA  NOT NULL,
    ring      BIGINT NOT NULL,
    slot      BIGINT NOT NULL,
    seq       BIGINT NOT NULL,
    id        BYTEA  NOT NULL,
    reference TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    open      BIGINT NOT NULL,
    detail    BYTEA  NOT NULL,
    PRIMARY KEY (account, ring, slot)
);

CREATE TABLE requests (
    id          BYTEA  NOT NULL PRIMARY KEY,
    account     BYTEA  NOT NULL,
    thumbprint  BYTEA  NOT NULL,
    name        TEXT   NOT NULL,
    system      TEXT   NOT NULL,
    client      TEXT   NOT NULL,
    address     TEXT   NOT NULL,
    opened      BIGINT NOT NULL,
    expires     BIGINT NOT NULL,
    wrong_codes BIGINT NOT NULL,
    seen        BIGINT NOT NULL,
    seen_by     BYTEA  NOT NULL,
    allowed     BIGINT NOT NULL,
    allowed_by  BYTEA  NOT NULL,
    denied      BIGINT NOT NULL,
    denied_by   BYTEA  NOT NULL,
    done        BIGINT NOT NULL
);
CREATE INDEX requests_of_account ON requests (account);

CREATE TABLE passes (
    hash    BYTEA  NOT NULL PRIMARY KEY,
    account BYTEA  NOT NULL,
    made_by BYTEA  NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    used    BIGINT NOT NULL
);

CREATE TABLE invitations (
    hash       BYTEA  NOT NULL PRIMARY KEY,
    identifier TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    used       BIGINT NOT NULL
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE keys (
    id      TEXT   NOT NULL PRIMARY KEY,
    purpose TEXT   NOT NULL,
    created BIGINT NOT NULL,
    retired BIGINT NOT NULL,
    sealed  BYTEA  NOT NULL
);
