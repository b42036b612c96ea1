-- name: Find :many
-- Always two rows, so that a known identifier costs what an unknown one does:
-- the account and its ghost, or a second ghost and the ghost. The key is looked
-- for in the index, there or not, and then two rows are fetched.
SELECT a.* FROM subjects AS a WHERE a.lookup = coalesce((SELECT k.lookup FROM subjects AS k WHERE k.lookup = @lookup), @second)
UNION ALL
SELECT b.* FROM subjects AS b WHERE b.lookup = @stand;

-- name: CountLookup :one
SELECT count(*) FROM subjects WHERE lookup = ?;

-- name: Subject :one
SELECT * FROM subjects WHERE id = ?;

-- name: Accounts :many
SELECT * FROM subjects WHERE ghost = 0 ORDER BY identifier;

-- name: AddSubject :exec
INSERT INTO subjects (id, lookup, ghost, identifier, record, stretch, epoch, created, disabled, password_changed, password_changed_by,
    stranger_failures, code_failures, seq0, seq1, seq2, seq3)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SaveSubject :execrows
UPDATE subjects SET lookup = ?, identifier = ?, record = ?, stretch = ?, epoch = ?, created = ?, disabled = ?, password_changed = ?, password_changed_by = ?
WHERE id = ?;

-- name: SaveSubjectHot :execrows
UPDATE subjects SET stranger_failures = ?, code_failures = ?, seq0 = ?, seq1 = ?, seq2 = ?, seq3 = ?
WHERE id = ?;

-- name: FindLane :one
SELECT * FROM lanes WHERE lane = ?;

-- name: SaveLane :exec
INSERT INTO lanes (lane, failed, open, locks, open_until, locked_until, last_failure) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (lane) DO UPDATE SET failed = excluded.failed, open = excluded.open, locks = excluded.locks,
    open_until = excluded.open_until, locked_until = excluded.locked_until, last_failure = excluded.last_failure;

-- name: Device :one
SELECT * FROM devices WHERE account = ? AND thumbprint = ?;

-- name: Devices :many
SELECT * FROM devices WHERE account = ? ORDER BY enrolled, id;

-- name: AddDevice :execrows
INSERT INTO devices (account, thumbprint, id, name, system, enrolled, removed, removed_by,
    failed, open, locks, open_until, locked_until, last_failure, last_seen, skew, last_code_step)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, thumbprint) DO UPDATE SET id = excluded.id, name = excluded.name, system = excluded.system,
    enrolled = excluded.enrolled, removed = excluded.removed, removed_by = excluded.removed_by, failed = excluded.failed,
    open = excluded.open, locks = excluded.locks, open_until = excluded.open_until, locked_until = excluded.locked_until,
    last_failure = excluded.last_failure, last_seen = excluded.last_seen, skew = excluded.skew, last_code_step = excluded.last_code_step
WHERE devices.removed <> 0;

-- name: SaveDevice :execrows
UPDATE devices SET name = ?, system = ?, removed = ?, removed_by = ? WHERE account = ? AND id = ?;

-- name: SaveDeviceHot :execrows
UPDATE devices SET failed = ?, open = ?, locks = ?, open_until = ?, locked_until = ?, last_failure = ?, last_seen = ?, skew = ?, last_code_step = ?
WHERE account = ? AND id = ?;

-- name: Session :one
SELECT * FROM sessions WHERE id = ?;

-- name: Sessions :many
SELECT * FROM sessions WHERE account = ? ORDER BY created DESC, id;

-- name: AddSession :exec
INSERT INTO sessions (id, account, device, created, last_used, ended, ended_by, ended_why) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: EndSessions :execrows
UPDATE sessions SET ended = ?, ended_by = ?, ended_why = ? WHERE account = ? AND ended = 0 AND id <> ?;

-- name: EndSessionsOfDevice :execrows
UPDATE sessions SET ended = ?, ended_by = ?, ended_why = ? WHERE account = ? AND device = ? AND ended = 0 AND id <> ?;

-- name: TouchSession :execrows
UPDATE sessions SET last_used = ? WHERE id = ? AND last_used < ?;

-- name: TrimSessions :exec
DELETE FROM sessions WHERE ended <> 0 AND ended < ?;

-- name: TrimRequests :exec
DELETE FROM requests WHERE expires < ?;

-- name: TrimPasses :exec
DELETE FROM passes WHERE expires < ?;

-- name: TrimInvitations :exec
DELETE FROM invitations WHERE expires < ?;

-- name: AppendEntry :exec
INSERT INTO ledger (account, ring, slot, seq, id, reference, at, open, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, ring, slot) DO UPDATE SET seq = excluded.seq, id = excluded.id, reference = excluded.reference,
    at = excluded.at, open = excluded.open, detail = excluded.detail;

-- name: Entry :one
SELECT * FROM ledger WHERE account = ? AND ring = ? AND slot = ? AND seq = ?;

-- name: CloseEntry :execrows
UPDATE ledger SET open = 0, detail = ? WHERE account = ? AND ring = ? AND slot = ? AND seq = ? AND id = ? AND open = 1;

-- name: Ledger :many
SELECT * FROM ledger WHERE account = ? ORDER BY at DESC, ring, seq DESC;

-- name: FindReference :many
SELECT * FROM ledger WHERE reference = ? ORDER BY at DESC;

-- name: Request :one
SELECT * FROM requests WHERE id = ?;

-- name: Requests :many
SELECT * FROM requests WHERE account = ? ORDER BY opened DESC, id;

-- name: AddRequest :exec
INSERT INTO requests (id, account, thumbprint, name, system, client, address, opened, expires, wrong_codes,
    seen, seen_by, allowed, allowed_by, denied, denied_by, done)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SaveRequest :execrows
UPDATE requests SET wrong_codes = ?, seen = ?, seen_by = ?, allowed = ?, allowed_by = ?, denied = ?, denied_by = ?, done = ? WHERE id = ?;

-- name: DropRequest :execrows
DELETE FROM requests WHERE id = ?;

-- name: Pass :one
SELECT * FROM passes WHERE hash = ?;

-- name: AddPass :exec
INSERT INTO passes (hash, account, made_by, created, expires, tries, used) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: SavePass :execrows
UPDATE passes SET tries = ?, used = ? WHERE hash = ?;

-- name: DropPasses :exec
DELETE FROM passes WHERE account = ?;

-- name: Invitation :one
SELECT * FROM invitations WHERE hash = ?;

-- name: AddInvitation :exec
INSERT INTO invitations (hash, identifier, created, expires, used) VALUES (?, ?, ?, ?, ?);

-- name: SaveInvitation :execrows
UPDATE invitations SET used = ? WHERE hash = ?;

-- name: Former :one
SELECT * FROM formers WHERE account = ?;

-- name: SaveFormer :exec
INSERT INTO formers (account, sealed, stretch, replaced) VALUES (?, ?, ?, ?)
ON CONFLICT (account) DO UPDATE SET sealed = excluded.sealed, stretch = excluded.stretch, replaced = excluded.replaced;

-- name: TrimFormers :exec
DELETE FROM formers WHERE replaced < ?;

-- name: Setting :one
SELECT value FROM settings WHERE name = ?;

-- name: SaveSetting :exec
INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: Keys :many
SELECT * FROM keys ORDER BY created, id;

-- name: AddKey :exec
INSERT INTO keys (id, purpose, created, retired, sealed) VALUES (?, ?, ?, ?, ?);

-- name: SaveKey :execrows
UPDATE keys SET retired = ? WHERE id = ?;

-- name: DropKey :execrows
DELETE FROM keys WHERE id = ?;

-- name: AddAddress :exec
INSERT INTO addresses (account, id, kind, value, language, added, added_by, verified, code_hash, code_until, code_tries, failed, failed_why, last_notice) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SaveAddress :execrows
UPDATE addresses SET kind = ?, value = ?, language = ?, added = ?, added_by = ?, verified = ?, code_hash = ?, code_until = ?, code_tries = ?, failed = ?, failed_why = ?, last_notice = ?
WHERE account = ? AND id = ?;

-- name: AddRecoveryCode :exec
INSERT INTO recovery_codes (account, hash, created, used) VALUES (?, ?, ?, ?);

-- name: AddRecovery :exec
INSERT INTO recoveries (id, account, thumbprint, name, system, client, address, opened, opens, expires, by_code, by_device, by_device_at, by_address, address_hash, wrong, cancelled, cancelled_by, cancel_hash, finished, agent, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SaveRecovery :execrows
UPDATE recoveries SET thumbprint = ?, name = ?, system = ?, client = ?, address = ?, opened = ?, opens = ?, expires = ?, by_code = ?, by_device = ?, by_device_at = ?, by_address = ?, address_hash = ?, wrong = ?, cancelled = ?, cancelled_by = ?, cancel_hash = ?, finished = ?, agent = ?, told = ?
WHERE id = ?;

-- name: Recovery :one
SELECT * FROM recoveries WHERE id = ?;

-- name: AddPasskey :exec
INSERT INTO passkeys (account, credential, data, name, added, added_by, last_used, uses) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: SavePasskey :execrows
UPDATE passkeys SET data = ?, name = ?, added = ?, added_by = ?, last_used = ?, uses = ?
WHERE credential = ?;

-- name: Passkey :one
SELECT * FROM passkeys WHERE credential = ?;

-- name: SaveApproval :exec
INSERT INTO approvals (account, reference, at, expires, made_by, revoked) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account, reference) DO UPDATE SET at = excluded.at, expires = excluded.expires, made_by = excluded.made_by, revoked = excluded.revoked;

-- name: SaveAgent :exec
INSERT INTO agents (account, added, removed) VALUES (?, ?, ?)
ON CONFLICT (account) DO UPDATE SET added = excluded.added, removed = excluded.removed;

-- name: Agent :one
SELECT * FROM agents WHERE account = ?;

-- name: Agents :many
SELECT * FROM agents ORDER BY added, account;

-- name: AddDeskAct :exec
INSERT INTO desk_acts (id, account, reference, kind, asked_by, asked, agreed_by, agreed, done, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SaveDeskAct :execrows
UPDATE desk_acts SET reference = ?, kind = ?, asked_by = ?, asked = ?, agreed_by = ?, agreed = ?, done = ?, expires = ?
WHERE id = ?;

-- name: DeskAct :one
SELECT * FROM desk_acts WHERE id = ?;

-- name: AddMessage :exec
INSERT INTO messages (id, account, address, channel, kind, sealed, created, next, tries, sent, gave_up, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SaveMessage :execrows
UPDATE messages SET address = ?, channel = ?, kind = ?, sealed = ?, created = ?, next = ?, tries = ?, sent = ?, gave_up = ?, why = ?
WHERE id = ?;

-- name: Addresses :many
SELECT * FROM addresses WHERE account = ? ORDER BY added, id;

-- name: FindAddresses :many
SELECT * FROM addresses WHERE kind = ? AND value = ? AND verified <> 0 ORDER BY account;

-- name: DropAddress :execrows
DELETE FROM addresses WHERE account = ? AND id = ?;

-- name: RecoveryCodes :many
SELECT * FROM recovery_codes WHERE account = ? ORDER BY created, hash;

-- name: DropRecoveryCodes :exec
DELETE FROM recovery_codes WHERE account = ?;

-- name: UseRecoveryCode :execrows
UPDATE recovery_codes SET used = ? WHERE account = ? AND hash = ? AND used = 0;

-- name: Recoveries :many
SELECT * FROM recoveries WHERE account = ? ORDER BY opened DESC, id;

-- name: Passkeys :many
SELECT * FROM passkeys WHERE account = ? ORDER BY added, credential;

-- name: DropPasskey :execrows
DELETE FROM passkeys WHERE account = ? AND credential = ?;

-- name: Approvals :many
SELECT * FROM approvals WHERE account = ? ORDER BY at DESC, reference;

-- name: DeskActs :many
SELECT * FROM desk_acts WHERE account = ? ORDER BY asked DESC, id;

-- name: DueMessages :many
SELECT * FROM messages WHERE sent = 0 AND gave_up = 0 AND next <= ? ORDER BY next, id LIMIT ?;

-- name: Messages :many
SELECT * FROM messages WHERE account = ? ORDER BY created DESC, id;

-- name: TrimRecoveries :exec
DELETE FROM recoveries WHERE expires < ?;

-- name: TrimApprovals :exec
DELETE FROM approvals WHERE expires < ?;

-- name: TrimDeskActs :exec
DELETE FROM desk_acts WHERE expires < ?;

-- name: TrimMessages :exec
DELETE FROM messages WHERE sent <> 0 AND sent < @before OR gave_up <> 0 AND gave_up < @before;

-- name: CloseDevices :exec
DELETE FROM devices WHERE account = ?;

-- name: CloseSessions :exec
DELETE FROM sessions WHERE account = ?;

-- name: CloseLedger :exec
DELETE FROM ledger WHERE account = ?;

-- name: CloseRequests :exec
DELETE FROM requests WHERE account = ?;

-- name: ClosePasses :exec
DELETE FROM passes WHERE account = ?;

-- name: CloseAddresses :exec
DELETE FROM addresses WHERE account = ?;

-- name: CloseRecoveryCodes :exec
DELETE FROM recovery_codes WHERE account = ?;

-- name: CloseRecoveries :exec
DELETE FROM recoveries WHERE account = ?;

-- name: ClosePasskeys :exec
DELETE FROM passkeys WHERE account = ?;

-- name: CloseApprovals :exec
DELETE FROM approvals WHERE account = ?;

-- name: CloseAgents :exec
DELETE FROM agents WHERE account = ?;

-- name: CloseDeskActs :exec
DELETE FROM desk_acts WHERE account = ?;

-- name: CloseMessages :exec
DELETE FROM messages WHERE account = ?;

-- name: CloseFormers :exec
DELETE FROM formers WHERE account = ?;

-- name: CloseInvitations :exec
DELETE FROM invitations WHERE identifier = ?;

-- name: CloseSubject :execrows
DELETE FROM subjects WHERE id = ? AND ghost = 0;
