CREATE TABLE items (
  id         bigint PRIMARY KEY,
  `values`   json NOT NULL,
  prediction json NULL
);
