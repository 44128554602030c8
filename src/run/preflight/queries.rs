//! What the checks ask the source. All of it is sent at once, so that it takes one round trip.

use crate::catalog;
use crate::core::inventory::{Server, Timescaledb};
use crate::core::options::{Keep, Mode, Options};
use crate::core::scope::Scope;
use crate::target::{database, privileges, roles};

pub(super) const COLLATIONS_USED: &str = include_str!("../../../sql/preflight/collations_used.sql");
pub(super) const UNREADABLE: &str = include_str!("../../../sql/preflight/unreadable.sql");
pub(super) const UNSUPPORTED: &str = include_str!("../../../sql/preflight/unsupported.sql");
pub(super) const DEFINERS: &str = include_str!("../../../sql/preflight/definers.sql");
pub(super) const EXTENSIONS: &str = include_str!("../../../sql/preflight/extensions.sql");
pub(super) const CHANGED_PRIVILEGES: &str = include_str!("../../../sql/preflight/changed_privileges.sql");
pub(super) const EVENT_TRIGGERS: &str = include_str!("../../../sql/preflight/event_triggers.sql");
pub(super) const OBJECTS: &str = include_str!("../../../sql/preflight/objects.sql");
pub(super) const TRANSACTION_IDS: &str = include_str!("../../../sql/preflight/transaction_ids.sql");

pub(super) const CONNECTIONS: &str = include_str!("../../../sql/preflight/connections.sql");
pub(super) const ENDPOINT: &str = include_str!("../../../sql/preflight/endpoint.sql");
pub(super) const POLICIES: &str = include_str!("../../../sql/preflight/due_policies.sql");

pub(super) fn of_chunks(timescaledb: &Timescaledb) -> String {
    format!("{}{}", catalog::queries::settings(timescaledb), include_str!("../../../sql/preflight/of_chunks.sql"))
}

/// The partitions, and the dimensions of hypertables, that hash a value.
pub(super) fn hashes(server: &Server) -> impl Iterator<Item = String> {
    let dimensions = server.timescaledb.as_ref().map(|_| include_str!("../../../sql/preflight/hash_dimensions.sql"));
    let queries = [include_str!("../../../sql/preflight/hash_partitions.sql")].into_iter().chain(dimensions);
    queries.map(|query| format!("{}{query}", include_str!("../../../sql/preflight/hashed_types.sql")))
}

/// What [`super::check_servers`] asks, in its order.
pub(super) fn of_servers(policies: bool) -> Vec<String> {
    let queries = [CONNECTIONS].into_iter().chain(policies.then_some(POLICIES)).chain([ENDPOINT]);
    queries.map(str::to_owned).collect()
}

/// All that [`super::check`] asks, in its order.
pub(super) fn all(scope: &Scope, options: &Options, fresh: bool) -> Vec<String> {
    let (server, makes) = (&scope.inventory.server, options.mode != Mode::Data);
    let whole = makes && fresh && scope.inventory.selection.only.is_none();
    let if_so = |so: bool, query: &'static str| so.then_some(query).into_iter().map(str::to_owned);
    let first = [COLLATIONS_USED.to_owned(), catalog::queries::collations_used()];
    (first.into_iter())
        .chain(if_so(!server.superuser, UNREADABLE))
        .chain([UNSUPPORTED.to_owned()])
        .chain(server.timescaledb.iter().map(of_chunks))
        .chain(hashes(server))
        .chain([catalog::queries::OVERLOADS.to_owned()])
        .chain(makes.then(|| roles::query(&scope.inventory)))
        .chain(if_so(makes && server.superuser, roles::PASSWORDS))
        .chain(if_so(makes && options.owners != Keep::Keep, DEFINERS))
        .chain(if_so(makes, EXTENSIONS))
        .chain([database::QUERY.to_owned()])
        .chain(if_so(whole, privileges::QUERY))
        .chain(if_so(whole && options.privileges == Keep::Keep, CHANGED_PRIVILEGES))
        .chain(if_so(makes, EVENT_TRIGGERS))
        .chain(if_so(fresh, OBJECTS))
        .chain([super::disk_space::query(&scope.inventory, options), TRANSACTION_IDS.to_owned()])
        .collect()
}
