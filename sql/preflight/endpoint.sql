-- Which server and which of its processes answers.
-- Run on: source. PostgreSQL 13 and later.
-- Returns: one JSON object. `server` is the same in every session of one server until it restarts.
SELECT json_build_object(
    'server', json_build_array(
        (SELECT system_identifier::text FROM pg_control_system()), pg_postmaster_start_time(), pg_is_in_recovery(),
        (SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = current_database())),
    'name', format('%s, started %s', coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a local socket'),
                   date_trunc('second', pg_postmaster_start_time())),
    'in_recovery', pg_is_in_recovery(),
    'pid', pg_backend_pid()
)::text
