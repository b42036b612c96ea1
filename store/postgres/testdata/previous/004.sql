-- name: Accounts :many
SELECT id, lookup, ghost, identifier, record, stretch, epoch, created, disabled, password_changed, password_changed_by, stranger_failures, code_failures, seq0, seq1, seq2, seq3 FROM subjects WHERE ghost = 0 ORDER BY identifier

-- name: AddAddress :exec
INSERT INTO addresses (account, id, kind, value, language, added, added_by, verified, code_hash, code_until, code_tries, failed, failed_why, last_notice) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: AddDeskAct :exec
INSERT INTO desk_acts (id, account, reference, kind, asked_by, asked, agreed_by, agreed, done, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: AddDevice :execrows
INSERT INTO devices (account, thumbprint, id, name, system, enrolled, removed, removed_by,
    failed, open, locks, open_until, locked_until, last_failure, last_seen, skew, last_code_step)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (account, thumbprint) DO UPDATE SET id = excluded.id, name = excluded.name, system = excluded.system,
    enrolled = excluded.enrolled, removed = excluded.removed, removed_by = excluded.removed_by, failed = excluded.failed,
    open = excluded.open, locks = excluded.locks, open_until = excluded.open_until, locked_until = excluded.locked_until,
    last_failure = excluded.last_failure, last_seen = excluded.last_seen, skew = excluded.skew, last_code_step = excluded.last_code_step
WHERE devices.removed <> 0

-- name: AddInvitation :exec
INSERT INTO invitations (hash, identifier, created, expires, used) VALUES ($1, $2, $3, $4, $5)

-- name: AddKey :exec
INSERT INTO keys (id, purpose, created, retired, sealed) VALUES ($1, $2, $3, $4, $5)

-- name: AddMessage :exec
INSERT INTO messages (id, account, address, channel, kind, sealed, created, next, tries, sent, gave_up, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: AddPass :exec
INSERT INTO passes (hash, account, made_by, created, expires, tries, used) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: AddPasskey :exec
INSERT INTO passkeys (account, credential, data, name, added, added_by, last_used, uses) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: AddReceipt :exec
INSERT INTO receipts (signal, service, account, epoch, kind, made, next, tries, delivered, applied, why)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: AddReceipts :exec
INSERT INTO receipts (signal, service, account, epoch, kind, made, next, tries, delivered, applied, why)
SELECT coalesce($1, s.id) AS signal, s.id, coalesce($2, s.id) AS account, coalesce($3, s.added) AS epoch,
    coalesce($4, s.name) AS kind, coalesce($5, s.added) AS made, coalesce($5, s.added) AS next, 0, 0, 0, ''
FROM services AS s WHERE s.status <> 'disabled'

-- name: AddRecovery :exec
INSERT INTO recoveries (id, account, thumbprint, name, system, client, address, opened, opens, expires, by_code, by_device, by_device_at, by_address, address_hash, wrong, cancelled, cancelled_by, cancel_hash, finished, agent, told) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)

-- name: AddRecoveryCode :exec
INSERT INTO recovery_codes (account, hash, created, used) VALUES ($1, $2, $3, $4)

-- name: AddRequest :exec
INSERT INTO requests (id, account, thumbprint, name, system, client, address, opened, expires, wrong_codes,
    seen, seen_by, allowed, allowed_by, denied, denied_by, done)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)

-- name: AddService :exec
INSERT INTO services (id, name, audience, push, secret, added, status, why, parked, events, about)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: AddSession :exec
INSERT INTO sessions (id, account, device, created, last_used, ended, ended_by, ended_why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)

-- name: AddSignal :exec
INSERT INTO signals (at, id, account, epoch, kind, detail) VALUES ($1, $2, $3, $4, $5, $6)

-- name: AddSubject :exec
INSERT INTO subjects (id, lookup, ghost, identifier, record, stretch, epoch, created, disabled, password_changed, password_changed_by,
    stranger_failures, code_failures, seq0, seq1, seq2, seq3)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)

-- name: Addresses :many
SELECT account, id, kind, value, language, added, added_by, verified, code_hash, code_until, code_tries, failed, failed_why, last_notice FROM addresses WHERE account = $1 ORDER BY added, id

-- name: Afresh :exec
UPDATE receipts SET next = $1, tries = 0 WHERE service = $2 AND delivered = 0

-- name: Agent :one
SELECT account, added, removed FROM agents WHERE account = $1

-- name: Agents :many
SELECT account, added, removed FROM agents ORDER BY added, account

-- name: AppendEntry :exec
INSERT INTO ledger (account, ring, slot, seq, id, reference, at, open, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (account, ring, slot) DO UPDATE SET seq = excluded.seq, id = excluded.id, reference = excluded.reference,
    at = excluded.at, open = excluded.open, detail = excluded.detail

-- name: Apply :exec
UPDATE receipts SET applied = $1 WHERE signal = $2 AND service = $3 AND applied = 0

-- name: Approvals :many
SELECT account, reference, at, expires, made_by, revoked FROM approvals WHERE account = $1 ORDER BY at DESC, reference

-- name: Backlogs :many
SELECT service, count(*) AS waiting, CAST(min(made) AS BIGINT) AS oldest FROM receipts WHERE delivered = 0 GROUP BY service ORDER BY service

-- name: CloseAddresses :exec
DELETE FROM addresses WHERE account = $1

-- name: CloseAgents :exec
DELETE FROM agents WHERE account = $1

-- name: CloseApprovals :exec
DELETE FROM approvals WHERE account = $1

-- name: CloseDeskActs :exec
DELETE FROM desk_acts WHERE account = $1

-- name: CloseDevices :exec
DELETE FROM devices WHERE account = $1

-- name: CloseEntry :execrows
UPDATE ledger SET open = 0, detail = $1 WHERE account = $2 AND ring = $3 AND slot = $4 AND seq = $5 AND id = $6 AND open = 1

-- name: CloseFormers :exec
DELETE FROM formers WHERE account = $1

-- name: CloseInvitations :exec
DELETE FROM invitations WHERE identifier = $1

-- name: CloseLedger :exec
DELETE FROM ledger WHERE account = $1

-- name: CloseMessages :exec
DELETE FROM messages WHERE account = $1

-- name: ClosePasses :exec
DELETE FROM passes WHERE account = $1

-- name: ClosePasskeys :exec
DELETE FROM passkeys WHERE account = $1

-- name: CloseReceipts :exec
DELETE FROM receipts WHERE account = $1

-- name: CloseRecoveries :exec
DELETE FROM recoveries WHERE account = $1

-- name: CloseRecoveryCodes :exec
DELETE FROM recovery_codes WHERE account = $1

-- name: CloseRequests :exec
DELETE FROM requests WHERE account = $1

-- name: CloseSessions :exec
DELETE FROM sessions WHERE account = $1

-- name: CloseSignals :exec
DELETE FROM signals WHERE account = $1

-- name: CloseSubject :execrows
DELETE FROM subjects WHERE id = $1 AND ghost = 0

-- name: CountLookup :one
SELECT count(*) FROM subjects WHERE lookup = $1

-- name: Deliver :exec
UPDATE receipts SET delivered = $1, why = $2 WHERE signal = $3 AND service = $4 AND delivered = 0

-- name: DeskAct :one
SELECT id, account, reference, kind, asked_by, asked, agreed_by, agreed, done, expires FROM desk_acts WHERE id = $1

-- name: DeskActs :many
SELECT id, account, reference, kind, asked_by, asked, agreed_by, agreed, done, expires FROM desk_acts WHERE account = $1 ORDER BY asked DESC, id

-- name: Device :one
SELECT account, thumbprint, id, name, system, enrolled, removed, removed_by, failed, open, locks, open_until, locked_until, last_failure, last_seen, skew, last_code_step FROM devices WHERE account = $1 AND thumbprint = $2

-- name: Devices :many
SELECT account, thumbprint, id, name, system, enrolled, removed, removed_by, failed, open, locks, open_until, locked_until, last_failure, last_seen, skew, last_code_step FROM devices WHERE account = $1 ORDER BY enrolled, id

-- name: DropAddress :execrows
DELETE FROM addresses WHERE account = $1 AND id = $2

-- name: DropKey :execrows
DELETE FROM keys WHERE id = $1

-- name: DropPasses :exec
DELETE FROM passes WHERE account = $1

-- name: DropPasskey :execrows
DELETE FROM passkeys WHERE account = $1 AND credential = $2

-- name: DropRecoveryCodes :exec
DELETE FROM recovery_codes WHERE account = $1

-- name: DropRequest :execrows
DELETE FROM requests WHERE id = $1

-- name: DropService :execrows
DELETE FROM services WHERE id = $1

-- name: DropSetting :execrows
DELETE FROM settings WHERE name = $1

-- name: DropWaiting :exec
DELETE FROM receipts WHERE service = $1 AND delivered = 0

-- name: DropWork :exec
DELETE FROM works WHERE service = $1

-- name: DueMessages :many
SELECT id, account, address, channel, kind, sealed, created, next, tries, sent, gave_up, why FROM messages WHERE sent = 0 AND gave_up = 0 AND next <= $1 ORDER BY next, id LIMIT $2

-- name: DueReceipts :many
SELECT r.signal, r.service, r.account, r.epoch, r.kind, r.made, r.next, r.tries, r.delivered, r.applied, r.why FROM receipts AS r WHERE r.service = $1 AND r.delivered = 0 AND r.next <= $2 AND NOT EXISTS (
    SELECT 1 FROM receipts AS b WHERE b.service = r.service AND b.account = r.account AND b.delivered = 0
    AND (b.epoch < r.epoch OR b.epoch = r.epoch AND (b.made < r.made OR b.made = r.made AND b.signal < r.signal)))
ORDER BY r.next, r.made LIMIT $3

-- name: EndSessions :execrows
UPDATE sessions SET ended = $1, ended_by = $2, ended_why = $3 WHERE account = $4 AND ended = 0 AND id <> $5

-- name: EndSessionsOfDevice :execrows
UPDATE sessions SET ended = $1, ended_by = $2, ended_why = $3 WHERE account = $4 AND device = $5 AND ended = 0 AND id <> $6

-- name: Entry :one
SELECT account, ring, slot, seq, id, reference, at, open, detail FROM ledger WHERE account = $1 AND ring = $2 AND slot = $3 AND seq = $4

-- name: Find :many
SELECT a.id, a.lookup, a.ghost, a.identifier, a.record, a.stretch, a.epoch, a.created, a.disabled, a.password_changed, a.password_changed_by, a.stranger_failures, a.code_failures, a.seq0, a.seq1, a.seq2, a.seq3 FROM subjects AS a WHERE a.lookup = coalesce((SELECT k.lookup FROM subjects AS k WHERE k.lookup = $1), $2)
UNION ALL
SELECT b.id, b.lookup, b.ghost, b.identifier, b.record, b.stretch, b.epoch, b.created, b.disabled, b.password_changed, b.password_changed_by, b.stranger_failures, b.code_failures, b.seq0, b.seq1, b.seq2, b.seq3 FROM subjects AS b WHERE b.lookup = $3

-- name: FindAddresses :many
SELECT account, id, kind, value, language, added, added_by, verified, code_hash, code_until, code_tries, failed, failed_why, last_notice FROM addresses WHERE kind = $1 AND value = $2 AND verified <> 0 ORDER BY account

-- name: FindLane :one
SELECT lane, failed, open, locks, open_until, locked_until, last_failure FROM lanes WHERE lane = $1

-- name: FindReference :many
SELECT account, ring, slot, seq, id, reference, at, open, detail FROM ledger WHERE reference = $1 ORDER BY at DESC

-- name: Former :one
SELECT account, sealed, stretch, replaced FROM formers WHERE account = $1

-- name: Hurry :exec
UPDATE receipts SET next = $1 WHERE service = $2 AND delivered = 0 AND next > $1

-- name: Invitation :one
SELECT hash, identifier, created, expires, used FROM invitations WHERE hash = $1

-- name: Keys :many
SELECT id, purpose, created, retired, sealed FROM keys ORDER BY created, id

-- name: Ledger :many
SELECT account, ring, slot, seq, id, reference, at, open, detail FROM ledger WHERE account = $1 ORDER BY at DESC, ring, seq DESC

-- name: Messages :many
SELECT id, account, address, channel, kind, sealed, created, next, tries, sent, gave_up, why FROM messages WHERE account = $1 ORDER BY created DESC, id

-- name: Pass :one
SELECT hash, account, made_by, created, expires, tries, used FROM passes WHERE hash = $1

-- name: Passkey :one
SELECT account, credential, data, name, added, added_by, last_used, uses FROM passkeys WHERE credential = $1

-- name: Passkeys :many
SELECT account, credential, data, name, added, added_by, last_used, uses FROM passkeys WHERE account = $1 ORDER BY added, credential

-- name: PutOff :exec
UPDATE receipts SET next = $1, tries = tries + 1, why = $2 WHERE signal = $3 AND service = $4 AND delivered = 0

-- name: Receipts :many
SELECT signal, service, account, epoch, kind, made, next, tries, delivered, applied, why FROM receipts WHERE account = $1 ORDER BY made DESC, epoch DESC, signal, service LIMIT $2

-- name: Recoveries :many
SELECT id, account, thumbprint, name, system, client, address, opened, opens, expires, by_code, by_device, by_device_at, by_address, address_hash, wrong, cancelled, cancelled_by, cancel_hash, finished, agent, told FROM recoveries WHERE account = $1 ORDER BY opened DESC, id

-- name: Recovery :one
SELECT id, account, thumbprint, name, system, client, address, opened, opens, expires, by_code, by_device, by_device_at, by_address, address_hash, wrong, cancelled, cancelled_by, cancel_hash, finished, agent, told FROM recoveries WHERE id = $1

-- name: RecoveryCodes :many
SELECT account, hash, created, used FROM recovery_codes WHERE account = $1 ORDER BY created, hash

-- name: Request :one
SELECT id, account, thumbprint, name, system, client, address, opened, expires, wrong_codes, seen, seen_by, allowed, allowed_by, denied, denied_by, done FROM requests WHERE id = $1

-- name: Requests :many
SELECT id, account, thumbprint, name, system, client, address, opened, expires, wrong_codes, seen, seen_by, allowed, allowed_by, denied, denied_by, done FROM requests WHERE account = $1 ORDER BY opened DESC, id

-- name: SaveAddress :execrows
UPDATE addresses SET kind = $1, value = $2, language = $3, added = $4, added_by = $5, verified = $6, code_hash = $7, code_until = $8, code_tries = $9, failed = $10, failed_why = $11, last_notice = $12
WHERE account = $13 AND id = $14

-- name: SaveAgent :exec
INSERT INTO agents (account, added, removed) VALUES ($1, $2, $3)
ON CONFLICT (account) DO UPDATE SET added = excluded.added, removed = excluded.removed

-- name: SaveApproval :exec
INSERT INTO approvals (account, reference, at, expires, made_by, revoked) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account, reference) DO UPDATE SET at = excluded.at, expires = excluded.expires, made_by = excluded.made_by, revoked = excluded.revoked

-- name: SaveDeskAct :execrows
UPDATE desk_acts SET reference = $1, kind = $2, asked_by = $3, asked = $4, agreed_by = $5, agreed = $6, done = $7, expires = $8
WHERE id = $9

-- name: SaveDevice :execrows
UPDATE devices SET name = $1, system = $2, removed = $3, removed_by = $4 WHERE account = $5 AND id = $6

-- name: SaveDeviceHot :execrows
UPDATE devices SET failed = $1, open = $2, locks = $3, open_until = $4, locked_until = $5, last_failure = $6, last_seen = $7, skew = $8, last_code_step = $9
WHERE account = $10 AND id = $11

-- name: SaveFormer :exec
INSERT INTO formers (account, sealed, stretch, replaced) VALUES ($1, $2, $3, $4)
ON CONFLICT (account) DO UPDATE SET sealed = excluded.sealed, stretch = excluded.stretch, replaced = excluded.replaced

-- name: SaveInvitation :execrows
UPDATE invitations SET used = $1 WHERE hash = $2

-- name: SaveKey :execrows
UPDATE keys SET retired = $1 WHERE id = $2

-- name: SaveLane :exec
INSERT INTO lanes (lane, failed, open, locks, open_until, locked_until, last_failure) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (lane) DO UPDATE SET failed = excluded.failed, open = excluded.open, locks = excluded.locks,
    open_until = excluded.open_until, locked_until = excluded.locked_until, last_failure = excluded.last_failure

-- name: SaveMessage :execrows
UPDATE messages SET address = $1, channel = $2, kind = $3, sealed = $4, created = $5, next = $6, tries = $7, sent = $8, gave_up = $9, why = $10
WHERE id = $11

-- name: SavePass :execrows
UPDATE passes SET tries = $1, used = $2 WHERE hash = $3

-- name: SavePasskey :execrows
UPDATE passkeys SET data = $1, name = $2, added = $3, added_by = $4, last_used = $5, uses = $6
WHERE credential = $7

-- name: SaveRecovery :execrows
UPDATE recoveries SET thumbprint = $1, name = $2, system = $3, client = $4, address = $5, opened = $6, opens = $7, expires = $8, by_code = $9, by_device = $10, by_device_at = $11, by_address = $12, address_hash = $13, wrong = $14, cancelled = $15, cancelled_by = $16, cancel_hash = $17, finished = $18, agent = $19, told = $20
WHERE id = $21

-- name: SaveRequest :execrows
UPDATE requests SET wrong_codes = $1, seen = $2, seen_by = $3, allowed = $4, allowed_by = $5, denied = $6, denied_by = $7, done = $8 WHERE id = $9

-- name: SaveService :execrows
UPDATE services SET name = $1, audience = $2, push = $3, secret = $4, added = $5, status = $6, why = $7, parked = $8, events = $9, about = $10
WHERE id = $11

-- name: SaveSetting :exec
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: SaveSubject :execrows
UPDATE subjects SET lookup = $1, identifier = $2, record = $3, stretch = $4, epoch = $5, created = $6, disabled = $7, password_changed = $8, password_changed_by = $9
WHERE id = $10

-- name: SaveSubjectHot :execrows
UPDATE subjects SET stranger_failures = $1, code_failures = $2, seq0 = $3, seq1 = $4, seq2 = $5, seq3 = $6
WHERE id = $7

-- name: SaveWork :exec
INSERT INTO works (service, node, lease, heard) VALUES ($1, $2, $3, $4)
ON CONFLICT (service) DO UPDATE SET node = excluded.node, lease = excluded.lease, heard = excluded.heard

-- name: ServiceOf :one
SELECT id, name, audience, push, secret, added, status, why, parked, events, about FROM services WHERE secret = $1

-- name: Services :many
SELECT id, name, audience, push, secret, added, status, why, parked, events, about FROM services ORDER BY name

-- name: Session :one
SELECT id, account, device, created, last_used, ended, ended_by, ended_why FROM sessions WHERE id = $1

-- name: Sessions :many
SELECT id, account, device, created, last_used, ended, ended_by, ended_why FROM sessions WHERE account = $1 ORDER BY created DESC, id

-- name: Setting :one
SELECT value FROM settings WHERE name = $1

-- name: Signal :one
SELECT at, id, account, epoch, kind, detail FROM signals WHERE at = $1 AND id = $2

-- name: Signals :many
SELECT at, id, account, epoch, kind, detail FROM signals WHERE at >= $1 AND (at > $1 OR id > $2) ORDER BY at, id LIMIT $3

-- name: Subject :one
SELECT id, lookup, ghost, identifier, record, stretch, epoch, created, disabled, password_changed, password_changed_by, stranger_failures, code_failures, seq0, seq1, seq2, seq3 FROM subjects WHERE id = $1

-- name: Supersede :exec
UPDATE sessions SET ended = $1, ended_by = $2, ended_why = $3 WHERE account = $4 AND device = $2 AND ended = 0 AND id <> $5

-- name: TouchSession :execrows
UPDATE sessions SET last_used = CASE WHEN last_used < $1 THEN $1 ELSE last_used END WHERE id = $2

-- name: TrimApprovals :exec
DELETE FROM approvals WHERE expires < $1

-- name: TrimDeskActs :exec
DELETE FROM desk_acts WHERE expires < $1

-- name: TrimFormers :exec
DELETE FROM formers WHERE replaced < $1

-- name: TrimInvitations :exec
DELETE FROM invitations WHERE expires < $1

-- name: TrimMessages :exec
DELETE FROM messages WHERE sent <> 0 AND sent < $1 OR gave_up <> 0 AND gave_up < $1

-- name: TrimPasses :exec
DELETE FROM passes WHERE expires < $1

-- name: TrimReceipts :exec
DELETE FROM receipts WHERE signal IN (SELECT id FROM signals WHERE at < $1)

-- name: TrimRecoveries :exec
DELETE FROM recoveries WHERE expires < $1

-- name: TrimRequests :exec
DELETE FROM requests WHERE expires < $1

-- name: TrimSessions :exec
DELETE FROM sessions WHERE ended <> 0 AND ended < $1

-- name: TrimSignals :exec
DELETE FROM signals WHERE at < $1

-- name: UseRecoveryCode :execrows
UPDATE recovery_codes SET used = $1 WHERE account = $2 AND hash = $3 AND used = 0

-- name: Work :one
SELECT service, node, lease, heard FROM works WHERE service = $1
