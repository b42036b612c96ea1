-- +goose Up
-- What is due is read in the order of an index, and each account's first too:
-- so it costs the same however much waits, and whatever a planner believes of
-- a table that was empty when it was asked.

CREATE INDEX receipts_next ON receipts (service, next, made) WHERE delivered = 0;
CREATE INDEX receipts_first ON receipts (service, account, epoch, made, signal) WHERE delivered = 0;
CREATE INDEX passes_of_account ON passes (account);
DROP INDEX receipts_due;
DROP INDEX receipts_waiting;
