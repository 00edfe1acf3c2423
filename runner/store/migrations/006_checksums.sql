-- What the bytes of a mini-batch were when it was planned; NULL where nobody
-- asked.

ALTER TABLE mini_batches ADD COLUMN checksum INTEGER;                         -- CRC-32C
ALTER TABLE ledger ADD COLUMN checksum INTEGER;                               -- CRC-32C
