-- +goose NO TRANSACTION
-- +goose Up
-- Nodes of the version before work on meanwhile, so nothing is locked for an
-- index. A step that was cut off leaves one that is not whole; it begins anew.

-- What is due is read in the order of an index, and each account's first too:
-- so it costs the same however much waits, and whatever a planner believes of
-- a table that was empty when it was asked.
DROP INDEX IF EXISTS receipts_next;
CREATE INDEX CONCURRENTLY receipts_next ON receipts (service, next, made) WHERE delivered = 0;
DROP INDEX IF EXISTS receipts_first;
CREATE INDEX CONCURRENTLY receipts_first ON receipts (service, account, epoch, made, signal) WHERE delivered = 0;
DROP INDEX CONCURRENTLY IF EXISTS receipts_due;
DROP INDEX CONCURRENTLY IF EXISTS receipts_waiting;

DROP INDEX IF EXISTS passes_of_account;
CREATE INDEX CONCURRENTLY passes_of_account ON passes (account);

-- By these what is old is found, so that it can be deleted a few rows at a time.
DROP INDEX IF EXISTS sessions_ended;
CREATE INDEX CONCURRENTLY sessions_ended ON sessions (ended) WHERE ended <> 0;
DROP INDEX IF EXISTS requests_expire;
CREATE INDEX CONCURRENTLY requests_expire ON requests (expires);
DROP INDEX IF EXISTS passes_expire;
CREATE INDEX CONCURRENTLY passes_expire ON passes (expires);
DROP INDEX IF EXISTS invitations_expire;
CREATE INDEX CONCURRENTLY invitations_expire ON invitations (expires);
DROP INDEX IF EXISTS formers_replaced;
CREATE INDEX CONCURRENTLY formers_replaced ON formers (replaced);
DROP INDEX IF EXISTS recoveries_expire;
CREATE INDEX CONCURRENTLY recoveries_expire ON recoveries (expires);
DROP INDEX IF EXISTS approvals_expire;
CREATE INDEX CONCURRENTLY approvals_expire ON approvals (expires);
DROP INDEX IF EXISTS desk_acts_expire;
CREATE INDEX CONCURRENTLY desk_acts_expire ON desk_acts (expires);
DROP INDEX IF EXISTS messages_sent;
CREATE INDEX CONCURRENTLY messages_sent ON messages (sent) WHERE sent <> 0;
DROP INDEX IF EXISTS messages_given_up;
CREATE INDEX CONCURRENTLY messages_given_up ON messages (gave_up) WHERE gave_up <> 0;
