-- name: Find :one
-- The account, or the ghost where there is none. The key is looked for in the
-- index, there or not, and then one row is fetched: the same for both.
SELECT a.* FROM subjects AS a WHERE a.lookup = coalesce((SELECT k.lookup FROM subjects AS k WHERE k.lookup = @lookup), @stand);

-- name: CountLookup :one
SELECT count(*) FROM subjects WHERE lookup = @lookup;

-- name: Subject :one
SELECT * FROM subjects WHERE id = @id;

-- name: Accounts :many
SELECT * FROM subjects WHERE ghost = 0 ORDER BY identifier;

-- name: AddSubject :exec
INSERT INTO subjects (id, lookup, ghost, identifier, record, stretch, epoch, created, disabled, password_changed, password_changed_by,
    stranger_failures, code_failures, seq0, seq1, seq2, seq3)
VALUES (@id, @lookup, @ghost, @identifier, @record, @stretch, @epoch, @created, @disabled, @password_changed, @password_changed_by, @stranger_failures, @code_failures, @seq0, @seq1, @seq2, @seq3);

-- name: SaveSubject :execrows
UPDATE subjects SET lookup = @lookup, identifier = @identifier, record = @record, stretch = @stretch, epoch = @epoch, created = @created, disabled = @disabled, password_changed = @password_changed, password_changed_by = @password_changed_by
WHERE id = @id;

-- name: SaveSubjectHot :execrows
UPDATE subjects SET stranger_failures = @stranger_failures, code_failures = @code_failures, seq0 = @seq0, seq1 = @seq1, seq2 = @seq2, seq3 = @seq3
WHERE id = @id;

-- name: FindLane :one
SELECT * FROM lanes WHERE lane = @lane;

-- name: SaveLane :exec
INSERT INTO lanes (lane, failed, open, locks, open_until, locked_until, last_failure) VALUES (@lane, @failed, @open, @locks, @open_until, @locked_until, @last_failure)
ON CONFLICT (lane) DO UPDATE SET failed = excluded.failed, open = excluded.open, locks = excluded.locks,
    open_until = excluded.open_until, locked_until = excluded.locked_until, last_failure = excluded.last_failure;

-- name: Device :one
SELECT * FROM devices WHERE account = @account AND thumbprint = @thumbprint;

-- name: Devices :many
SELECT * FROM devices WHERE account = @account ORDER BY enrolled, id;

-- name: AddDevice :execrows
INSERT INTO devices (account, thumbprint, id, name, system, enrolled, removed, removed_by,
    failed, open, locks, open_until, locked_until, last_failure, last_seen, skew, last_code_step)
VALUES (@account, @thumbprint, @id, @name, @system, @enrolled, @removed, @removed_by, @failed, @open, @locks, @open_until, @locked_until, @last_failure, @last_seen, @skew, @last_code_step)
ON CONFLICT (account, thumbprint) DO UPDATE SET id = excluded.id, name = excluded.name, system = excluded.system,
    enrolled = excluded.enrolled, removed = excluded.removed, removed_by = excluded.removed_by, failed = excluded.failed,
    open = excluded.open, locks = excluded.locks, open_until = excluded.open_until, locked_until = excluded.locked_until,
    last_failure = excluded.last_failure, last_seen = excluded.last_seen, skew = excluded.skew, last_code_step = excluded.last_code_step
WHERE devices.removed <> 0;

-- name: SaveDevice :execrows
UPDATE devices SET name = @name, system = @system, removed = @removed, removed_by = @removed_by WHERE account = @account AND id = @id;

-- name: SaveDeviceHot :execrows
UPDATE devices SET failed = @failed, open = @open, locks = @locks, open_until = @open_until, locked_until = @locked_until, last_failure = @last_failure, last_seen = @last_seen, skew = @skew, last_code_step = @last_code_step
WHERE account = @account AND id = @id;

-- name: Session :one
SELECT * FROM sessions WHERE id = @id;

-- name: Sessions :many
SELECT * FROM sessions WHERE account = @account ORDER BY created DESC, id;

-- name: AddSession :exec
INSERT INTO sessions (id, account, device, created, last_used, ended, ended_by, ended_why) VALUES (@id, @account, @device, @created, @last_used, @ended, @ended_by, @ended_why);

-- name: EndSessions :execrows
UPDATE sessions SET ended = @ended, ended_by = @ended_by, ended_why = @ended_why WHERE account = @account AND ended = 0 AND id <> @id;

-- name: EndSessionsOfDevice :execrows
UPDATE sessions SET ended = @ended, ended_by = @ended_by, ended_why = @ended_why WHERE account = @account AND device = @device AND ended = 0 AND id <> @id;

-- name: Supersede :exec
UPDATE sessions SET ended = @ended, ended_by = @device, ended_why = @ended_why WHERE account = @account AND device = @device AND ended = 0 AND id <> @id;

-- name: TouchSession :execrows
-- It never goes back: refreshes that pass each other are the same use.
UPDATE sessions SET last_used = CASE WHEN last_used < @last_used THEN @last_used ELSE last_used END WHERE id = @id;

-- name: AppendEntry :exec
INSERT INTO ledger (account, ring, slot, seq, id, reference, at, open, detail) VALUES (@account, @ring, @slot, @seq, @id, @reference, @at, @open, @detail)
ON CONFLICT (account, ring, slot) DO UPDATE SET seq = excluded.seq, id = excluded.id, reference = excluded.reference,
    at = excluded.at, open = excluded.open, detail = excluded.detail;

-- name: Entry :one
SELECT * FROM ledger WHERE account = @account AND ring = @ring AND slot = @slot AND seq = @seq;

-- name: CloseEntry :execrows
UPDATE ledger SET open = 0, detail = @detail WHERE account = @account AND ring = @ring AND slot = @slot AND seq = @seq AND id = @id AND open = 1;

-- name: Ledger :many
SELECT * FROM ledger WHERE account = @account ORDER BY at DESC, ring, seq DESC;

-- name: FindReference :many
SELECT * FROM ledger WHERE reference = @reference ORDER BY at DESC;

-- name: Request :one
SELECT * FROM requests WHERE id = @id;

-- name: Requests :many
SELECT * FROM requests WHERE account = @account ORDER BY opened DESC, id;

-- name: AddRequest :exec
INSERT INTO requests (id, account, thumbprint, name, system, client, address, opened, expires, wrong_codes,
    seen, seen_by, allowed, allowed_by, denied, denied_by, done)
VALUES (@id, @account, @thumbprint, @name, @system, @client, @address, @opened, @expires, @wrong_codes, @seen, @seen_by, @allowed, @allowed_by, @denied, @denied_by, @done);

-- name: SaveRequest :execrows
UPDATE requests SET wrong_codes = @wrong_codes, seen = @seen, seen_by = @seen_by, allowed = @allowed, allowed_by = @allowed_by, denied = @denied, denied_by = @denied_by, done = @done WHERE id = @id;

-- name: DropRequest :execrows
DELETE FROM requests WHERE id = @id;

-- name: Pass :one
SELECT * FROM passes WHERE hash = @hash;

-- name: AddPass :exec
INSERT INTO passes (hash, account, made_by, created, expires, tries, used) VALUES (@hash, @account, @made_by, @created, @expires, @tries, @used);

-- name: SavePass :execrows
UPDATE passes SET tries = @tries, used = @used WHERE hash = @hash;

-- name: DropPasses :exec
DELETE FROM passes WHERE account = @account;

-- name: Invitation :one
SELECT * FROM invitations WHERE hash = @hash;

-- name: AddInvitation :exec
INSERT INTO invitations (hash, identifier, created, expires, used) VALUES (@hash, @identifier, @created, @expires, @used);

-- name: SaveInvitation :execrows
UPDATE invitations SET used = @used WHERE hash = @hash;

-- name: Former :one
SELECT * FROM formers WHERE account = @account;

-- name: SaveFormer :exec
INSERT INTO formers (account, sealed, stretch, replaced) VALUES (@account, @sealed, @stretch, @replaced)
ON CONFLICT (account) DO UPDATE SET sealed = excluded.sealed, stretch = excluded.stretch, replaced = excluded.replaced;

-- name: Setting :one
SELECT value FROM settings WHERE name = @name;

-- name: SaveSetting :exec
INSERT INTO settings (name, value) VALUES (@name, @value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: DropSetting :execrows
DELETE FROM settings WHERE name = @name;

-- name: Keys :many
SELECT * FROM keys ORDER BY created, id;

-- name: AddKey :exec
INSERT INTO keys (id, purpose, created, retired, sealed) VALUES (@id, @purpose, @created, @retired, @sealed);

-- name: SaveKey :execrows
UPDATE keys SET retired = @retired WHERE id = @id;

-- name: DropKey :execrows
DELETE FROM keys WHERE id = @id;

-- name: AddAddress :exec
INSERT INTO addresses (account, id, kind, value, language, added, added_by, verified, code_hash, code_until, code_tries, failed, failed_why, last_notice) VALUES (@account, @id, @kind, @value, @language, @added, @added_by, @verified, @code_hash, @code_until, @code_tries, @failed, @failed_why, @last_notice);

-- name: SaveAddress :execrows
UPDATE addresses SET kind = @kind, value = @value, language = @language, added = @added, added_by = @added_by, verified = @verified, code_hash = @code_hash, code_until = @code_until, code_tries = @code_tries, failed = @failed, failed_why = @failed_why, last_notice = @last_notice
WHERE account = @account AND id = @id;

-- name: AddRecoveryCode :exec
INSERT INTO recovery_codes (account, hash, created, used) VALUES (@account, @hash, @created, @used);

-- name: AddRecovery :exec
INSERT INTO recoveries (id, account, thumbprint, name, system, client, address, opened, opens, expires, by_code, by_device, by_device_at, by_address, address_hash, wrong, cancelled, cancelled_by, cancel_hash, finished, agent, told) VALUES (@id, @account, @thumbprint, @name, @system, @client, @address, @opened, @opens, @expires, @by_code, @by_device, @by_device_at, @by_address, @address_hash, @wrong, @cancelled, @cancelled_by, @cancel_hash, @finished, @agent, @told);

-- name: SaveRecovery :execrows
UPDATE recoveries SET thumbprint = @thumbprint, name = @name, system = @system, client = @client, address = @address, opened = @opened, opens = @opens, expires = @expires, by_code = @by_code, by_device = @by_device, by_device_at = @by_device_at, by_address = @by_address, address_hash = @address_hash, wrong = @wrong, cancelled = @cancelled, cancelled_by = @cancelled_by, cancel_hash = @cancel_hash, finished = @finished, agent = @agent, told = @told
WHERE id = @id;

-- name: Recovery :one
SELECT * FROM recoveries WHERE id = @id;

-- name: AddPasskey :exec
INSERT INTO passkeys (account, credential, data, name, added, added_by, last_used, uses) VALUES (@account, @credential, @data, @name, @added, @added_by, @last_used, @uses);

-- name: SavePasskey :execrows
UPDATE passkeys SET data = @data, name = @name, added = @added, added_by = @added_by, last_used = @last_used, uses = @uses
WHERE credential = @credential;

-- name: Passkey :one
SELECT * FROM passkeys WHERE credential = @credential;

-- name: SaveApproval :exec
INSERT INTO approvals (account, reference, at, expires, made_by, revoked) VALUES (@account, @reference, @at, @expires, @made_by, @revoked)
ON CONFLICT (account, reference) DO UPDATE SET at = excluded.at, expires = excluded.expires, made_by = excluded.made_by, revoked = excluded.revoked;

-- name: SaveAgent :exec
INSERT INTO agents (account, added, removed) VALUES (@account, @added, @removed)
ON CONFLICT (account) DO UPDATE SET added = excluded.added, removed = excluded.removed;

-- name: Agent :one
SELECT * FROM agents WHERE account = @account;

-- name: Agents :many
SELECT * FROM agents ORDER BY added, account;

-- name: AddDeskAct :exec
INSERT INTO desk_acts (id, account, reference, kind, asked_by, asked, agreed_by, agreed, done, expires) VALUES (@id, @account, @reference, @kind, @asked_by, @asked, @agreed_by, @agreed, @done, @expires);

-- name: SaveDeskAct :execrows
UPDATE desk_acts SET reference = @reference, kind = @kind, asked_by = @asked_by, asked = @asked, agreed_by = @agreed_by, agreed = @agreed, done = @done, expires = @expires
WHERE id = @id;

-- name: DeskAct :one
SELECT * FROM desk_acts WHERE id = @id;

-- name: AddMessage :exec
INSERT INTO messages (id, account, address, channel, kind, sealed, created, next, tries, sent, gave_up, why) VALUES (@id, @account, @address, @channel, @kind, @sealed, @created, @next, @tries, @sent, @gave_up, @why);

-- name: SaveMessage :execrows
UPDATE messages SET address = @address, channel = @channel, kind = @kind, sealed = @sealed, created = @created, next = @next, tries = @tries, sent = @sent, gave_up = @gave_up, why = @why
WHERE id = @id;

-- name: Addresses :many
SELECT * FROM addresses WHERE account = @account ORDER BY added, id;

-- name: FindAddresses :many
SELECT * FROM addresses WHERE kind = @kind AND value = @value AND verified <> 0 ORDER BY account;

-- name: DropAddress :execrows
DELETE FROM addresses WHERE account = @account AND id = @id;

-- name: RecoveryCodes :many
SELECT * FROM recovery_codes WHERE account = @account ORDER BY created, hash;

-- name: DropRecoveryCodes :exec
DELETE FROM recovery_codes WHERE account = @account;

-- name: UseRecoveryCode :execrows
UPDATE recovery_codes SET used = @used WHERE account = @account AND hash = @hash AND used = 0;

-- name: Recoveries :many
SELECT * FROM recoveries WHERE account = @account ORDER BY opened DESC, id;

-- name: Passkeys :many
SELECT * FROM passkeys WHERE account = @account ORDER BY added, credential;

-- name: DropPasskey :execrows
DELETE FROM passkeys WHERE account = @account AND credential = @credential;

-- name: Approvals :many
SELECT * FROM approvals WHERE account = @account ORDER BY at DESC, reference;

-- name: DeskActs :many
SELECT * FROM desk_acts WHERE account = @account ORDER BY asked DESC, id;

-- name: DueMessages :many
SELECT * FROM messages WHERE sent = 0 AND gave_up = 0 AND next <= @next ORDER BY next, id LIMIT @most;

-- name: Messages :many
SELECT * FROM messages WHERE account = @account ORDER BY created DESC, id;

-- name: CloseDevices :exec
DELETE FROM devices WHERE account = @account;

-- name: CloseSessions :exec
DELETE FROM sessions WHERE account = @account;

-- name: CloseLedger :exec
DELETE FROM ledger WHERE account = @account;

-- name: CloseRequests :exec
DELETE FROM requests WHERE account = @account;

-- name: ClosePasses :exec
DELETE FROM passes WHERE account = @account;

-- name: CloseAddresses :exec
DELETE FROM addresses WHERE account = @account;

-- name: CloseRecoveryCodes :exec
DELETE FROM recovery_codes WHERE account = @account;

-- name: CloseRecoveries :exec
DELETE FROM recoveries WHERE account = @account;

-- name: ClosePasskeys :exec
DELETE FROM passkeys WHERE account = @account;

-- name: CloseApprovals :exec
DELETE FROM approvals WHERE account = @account;

-- name: CloseAgents :exec
DELETE FROM agents WHERE account = @account;

-- name: CloseDeskActs :exec
DELETE FROM desk_acts WHERE account = @account;

-- name: CloseMessages :exec
DELETE FROM messages WHERE account = @account;

-- name: CloseFormers :exec
DELETE FROM formers WHERE account = @account;

-- name: CloseInvitations :exec
DELETE FROM invitations WHERE identifier = @identifier;

-- name: CloseSubject :execrows
DELETE FROM subjects WHERE id = @id AND ghost = 0;

-- name: AddSignal :exec
INSERT INTO signals (at, id, account, epoch, kind, detail) VALUES (@at, @id, @account, @epoch, @kind, @detail);

-- name: AddReceipts :exec
-- The values are the caller's, and not read from signals: its newest rows stand
-- on one page, and who reads there meets everybody who adds. Beside a column,
-- coalesce tells PostgreSQL of what type each of them is.
INSERT INTO receipts (signal, service, account, epoch, kind, made, next, tries, delivered, applied, why)
SELECT coalesce(@signal, s.id) AS signal, s.id, coalesce(@account, s.id) AS account, coalesce(@epoch, s.added) AS epoch,
    coalesce(@kind, s.name) AS kind, coalesce(@made, s.added) AS made, coalesce(@made, s.added) AS next, 0, 0, 0, ''
FROM services AS s WHERE s.status IN ('enabled', 'paused');

-- name: AddReceipt :exec
INSERT INTO receipts (signal, service, account, epoch, kind, made, next, tries, delivered, applied, why)
VALUES (@signal, @service, @account, @epoch, @kind, @made, @next, @tries, @delivered, @applied, @why);

-- name: Signals :many
SELECT * FROM signals WHERE at >= @at AND (at > @at OR id > @id) ORDER BY at, id LIMIT @most;

-- name: Tallies :many
SELECT CAST(at / @width AS BIGINT) AS part, count(*) AS signals, CAST(sum(at % @width) AS BIGINT) AS stamps
FROM signals WHERE at >= @at GROUP BY 1;

-- name: Signal :one
SELECT * FROM signals WHERE at = @at AND id = @id;

-- name: Services :many
SELECT * FROM services ORDER BY name;

-- name: AddService :exec
INSERT INTO services (id, name, audience, push, secret, added, status, why, parked, events, about)
VALUES (@id, @name, @audience, @push, @secret, @added, @status, @why, @parked, @events, @about);

-- name: SaveService :execrows
UPDATE services SET name = @name, audience = @audience, push = @push, secret = @secret, added = @added, status = @status, why = @why, parked = @parked, events = @events, about = @about
WHERE id = @id;

-- name: DropService :execrows
DELETE FROM services WHERE id = @id;

-- name: DropWork :exec
DELETE FROM works WHERE service = @service;

-- name: DropWaiting :exec
DELETE FROM receipts WHERE service = @service AND delivered = 0;

-- name: Work :one
SELECT * FROM works WHERE service = @service;

-- name: Claim :execrows
-- One statement, so that of two nodes one has it however they are isolated.
INSERT INTO works (service, node, lease, heard) VALUES (@service, @node, @lease, 0)
ON CONFLICT (service) DO UPDATE SET node = excluded.node, lease = excluded.lease
WHERE works.node = excluded.node OR works.lease <= @now OR works.lease > @far;

-- name: Heard :exec
INSERT INTO works (service, node, lease, heard) VALUES (@service, @node, 0, @heard)
ON CONFLICT (service) DO UPDATE SET heard = excluded.heard;

-- name: DueReceipts :many
-- Of each account only the first that waits, due or not: what comes after it
-- waits for it.
SELECT r.*, n.detail, CAST(n.id IS NULL AS INTEGER) AS lost FROM receipts AS r LEFT JOIN signals AS n ON n.at = r.made AND n.id = r.signal
WHERE r.service = @service AND r.delivered = 0 AND r.next <= @next AND r.signal = (
    SELECT b.signal FROM receipts AS b WHERE b.service = r.service AND b.account = r.account AND b.delivered = 0
    ORDER BY b.epoch, b.made, b.signal LIMIT 1)
ORDER BY r.next, r.made LIMIT @most;

-- name: Deliver :exec
-- Not "= 0", by which PostgreSQL may take an index of what waits for the
-- narrower one and look through all of it, for each mark.
UPDATE receipts SET delivered = @delivered, why = @why WHERE signal = @signal AND service = @service AND delivered < 1;

-- name: Apply :exec
UPDATE receipts SET applied = @applied WHERE signal = @signal AND service = @service AND applied = 0;

-- name: PutOff :exec
UPDATE receipts SET next = @next, tries = tries + 1, why = @why WHERE signal = @signal AND service = @service AND delivered < 1;

-- name: Hurry :exec
UPDATE receipts SET next = @next WHERE service = @service AND delivered = 0 AND next > @next;

-- name: Afresh :exec
UPDATE receipts SET next = @next, tries = 0 WHERE service = @service AND delivered = 0;

-- name: Receipts :many
SELECT * FROM receipts WHERE account = @account ORDER BY made DESC, epoch DESC, signal, service LIMIT @most;

-- name: ReceiptsOf :many
SELECT * FROM receipts WHERE account = @account AND epoch = @epoch ORDER BY made DESC, signal, service LIMIT @most;

-- name: FirstWaiting :one
SELECT * FROM receipts WHERE service = @service AND account = @account AND delivered = 0 ORDER BY epoch, made, signal LIMIT 1;

-- name: LongestWaiting :one
SELECT * FROM receipts WHERE service = @service AND delivered = 0 ORDER BY made, epoch, signal LIMIT 1;

-- name: LastApplied :one
-- Each receipt by its key: a join might look through all of them.
SELECT CAST(coalesce(max((SELECT r.applied FROM receipts AS r WHERE r.signal = n.id AND r.service = @service)), 0) AS BIGINT) AS applied
FROM (SELECT id FROM signals WHERE at <= @at ORDER BY at DESC, id DESC LIMIT @most) AS n;

-- name: Backlogs :many
SELECT service, count(*) AS waiting, CAST(min(made) AS BIGINT) AS oldest FROM receipts WHERE delivered = 0 GROUP BY service ORDER BY service;

-- name: CloseSignals :exec
DELETE FROM signals WHERE account = @account;

-- name: CloseReceipts :exec
DELETE FROM receipts WHERE account = @account;

-- What is old is looked for by its index, so many rows, and deleted by its key,
-- row by row: a statement that did both would be at the planner's mercy, which may
-- think a table empty that has grown since.

-- name: OldSessions :many
SELECT id FROM sessions WHERE ended <> 0 AND ended < @before ORDER BY ended LIMIT @most;

-- name: TrimSession :exec
DELETE FROM sessions WHERE id = @id;

-- name: OldRequests :many
SELECT id FROM requests WHERE expires < @before ORDER BY expires LIMIT @most;

-- name: TrimRequest :exec
DELETE FROM requests WHERE id = @id;

-- name: OldPasses :many
SELECT hash FROM passes WHERE expires < @before ORDER BY expires LIMIT @most;

-- name: TrimPass :exec
DELETE FROM passes WHERE hash = @hash;

-- name: OldInvitations :many
SELECT hash FROM invitations WHERE expires < @before ORDER BY expires LIMIT @most;

-- name: TrimInvitation :exec
DELETE FROM invitations WHERE hash = @hash;

-- name: OldFormers :many
SELECT account FROM formers WHERE replaced < @before ORDER BY replaced LIMIT @most;

-- name: TrimFormer :exec
DELETE FROM formers WHERE account = @account;

-- name: OldRecoveries :many
SELECT id FROM recoveries WHERE expires < @before ORDER BY expires LIMIT @most;

-- name: TrimRecovery :exec
DELETE FROM recoveries WHERE id = @id;

-- name: OldApprovals :many
SELECT account, reference FROM approvals WHERE expires < @before ORDER BY expires LIMIT @most;

-- name: TrimApproval :exec
DELETE FROM approvals WHERE account = @account AND reference = @reference;

-- name: OldDeskActs :many
SELECT id FROM desk_acts WHERE expires < @before ORDER BY expires LIMIT @most;

-- name: TrimDeskAct :exec
DELETE FROM desk_acts WHERE id = @id;

-- name: OldSentMessages :many
SELECT id FROM messages WHERE sent <> 0 AND sent < @before ORDER BY sent LIMIT @most;

-- name: TrimMessage :exec
DELETE FROM messages WHERE id = @id;

-- name: OldLostMessages :many
SELECT id FROM messages WHERE gave_up <> 0 AND gave_up < @before ORDER BY gave_up LIMIT @most;

-- name: OldSignals :many
SELECT at, id FROM signals WHERE at < @before ORDER BY at, id LIMIT @most;

-- name: TrimSignal :exec
DELETE FROM signals WHERE at = @at AND id = @id;

-- name: TrimReceipts :exec
DELETE FROM receipts WHERE signal = @signal;
