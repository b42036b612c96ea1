-- +goose Up
-- Times are Unix microseconds; 0 is "never". Booleans are 0 and 1.
-- Tables are their primary key's tree (WITHOUT ROWID): rows come in no order,
-- and with a tree beside it for the key each row would dirty two pages.

CREATE TABLE subjects (
    id                  BLOB    NOT NULL PRIMARY KEY,
    lookup              BLOB    NOT NULL UNIQUE,
    ghost               BIGINT  NOT NULL,
    identifier          TEXT    NOT NULL,
    record              BLOB    NOT NULL,
    stretch             TEXT    NOT NULL,
    epoch               BIGINT  NOT NULL,
    created             BIGINT  NOT NULL,
    disabled            BIGINT  NOT NULL,
    password_changed    BIGINT  NOT NULL,
    password_changed_by BLOB    NOT NULL,
    stranger_failures   BIGINT  NOT NULL DEFAULT 0,
    code_failures       BIGINT  NOT NULL DEFAULT 0,
    seq0                BIGINT  NOT NULL DEFAULT 0,
    seq1                BIGINT  NOT NULL DEFAULT 0,
    seq2                BIGINT  NOT NULL DEFAULT 0,
    seq3                BIGINT  NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Counters of strangers, at most store.Lanes of them.
CREATE TABLE lanes (
    lane         BIGINT NOT NULL PRIMARY KEY,
    failed       BIGINT NOT NULL,
    open         BIGINT NOT NULL,
    locks        BIGINT NOT NULL,
    open_until   BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    last_failure BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE devices (
    account        BLOB   NOT NULL,
    thumbprint     BLOB   NOT NULL,
    id             BLOB   NOT NULL,
    name           TEXT   NOT NULL,
    system         TEXT   NOT NULL,
    enrolled       BIGINT NOT NULL,
    removed        BIGINT NOT NULL,
    removed_by     BLOB   NOT NULL,
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
) WITHOUT ROWID;

CREATE TABLE sessions (
    id        BLOB   NOT NULL PRIMARY KEY,
    account   BLOB   NOT NULL,
    device    BLOB   NOT NULL,
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    ended     BIGINT NOT NULL,
    ended_by  BLOB   NOT NULL,
    ended_why TEXT   NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_of_account ON sessions (account, ended);

CREATE TABLE ledger (
    account   BLOB   NOT NULL,
    ring      BIGINT NOT NULL,
    slot      BIGINT NOT NULL,
    seq       BIGINT NOT NULL,
    id        BLOB   NOT NULL,
    reference TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    open      BIGINT NOT NULL,
    detail    BLOB   NOT NULL,
    PRIMARY KEY (account, ring, slot)
) WITHOUT ROWID;

CREATE TABLE requests (
    id          BLOB   NOT NULL PRIMARY KEY,
    account     BLOB   NOT NULL,
    thumbprint  BLOB   NOT NULL,
    name        TEXT   NOT NULL,
    system      TEXT   NOT NULL,
    client      TEXT   NOT NULL,
    address     TEXT   NOT NULL,
    opened      BIGINT NOT NULL,
    expires     BIGINT NOT NULL,
    wrong_codes BIGINT NOT NULL,
    seen        BIGINT NOT NULL,
    seen_by     BLOB   NOT NULL,
    allowed     BIGINT NOT NULL,
    allowed_by  BLOB   NOT NULL,
    denied      BIGINT NOT NULL,
    denied_by   BLOB   NOT NULL,
    done        BIGINT NOT NULL
);
CREATE INDEX requests_of_account ON requests (account);

CREATE TABLE passes (
    hash    BLOB   NOT NULL PRIMARY KEY,
    account BLOB   NOT NULL,
    made_by BLOB   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    used    BIGINT NOT NULL
);

CREATE TABLE invitations (
    hash       BLOB   NOT NULL PRIMARY KEY,
    identifier TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    used       BIGINT NOT NULL
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE keys (
    id      TEXT   NOT NULL PRIMARY KEY,
    purpose TEXT   NOT NULL,
    created BIGINT NOT NULL,
    retired BIGINT NOT NULL,
    sealed  BLOB   NOT NULL
);
