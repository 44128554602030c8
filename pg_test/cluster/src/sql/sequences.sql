-- Run on either side. Names of the user's sequences, quoted.
SELECT c.oid::regclass AS name
FROM pg_class c
WHERE c.relkind = 'S'
  AND c.relnamespace::regnamespace::text !~ '^(_timescaledb|timescale_migrate)'
ORDER BY 1;
