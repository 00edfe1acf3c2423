CREATE TABLE items (
  id         integer PRIMARY KEY,
  "values"   text NOT NULL,
  prediction text
);
