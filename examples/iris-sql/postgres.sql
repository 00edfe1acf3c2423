CREATE TABLE items (
  id         bigint PRIMARY KEY,
  "values"   jsonb NOT NULL,
  prediction jsonb
);
