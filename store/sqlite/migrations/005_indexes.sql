-- +goose Up
-- What is due is read in the order of an index, and each account's first too:
-- so it costs the same however much waits.
CREATE INDEX receipts_next ON receipts (service, next, made) WHERE delivered = 0;
CREATE INDEX receipts_first ON receipts (service, account, epoch, made, signal) WHERE delivered = 0;
DROP INDEX receipts_due;
DROP INDEX receipts_waiting;

CREATE INDEX passes_of_account ON passes (account);

-- By these what is old is found, so that it can be deleted a few rows at a time.
CREATE INDEX sessions_ended ON sessions (ended) WHERE ended <> 0;
CREATE INDEX requests_expire ON requests (expires);
CREATE INDEX passes_expire ON passes (expires);
CREATE INDEX invitations_expire ON invitations (expires);
CREATE INDEX formers_replaced ON formers (replaced);
CREATE INDEX recoveries_expire ON recoveries (expires);
CREATE INDEX approvals_expire ON approvals (expires);
CREATE INDEX desk_acts_expire ON desk_acts (expires);
CREATE INDEX messages_sent ON messages (sent) WHERE sent <> 0;
CREATE INDEX messages_given_up ON messages (gave_up) WHERE gave_up <> 0;
