//! A database of a server: SQL in, text out.

use crate::Cluster;
use crate::cluster::run;
use postgres::error::DbError;
use postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};
use std::path::Path;
use std::sync::{Arc, Mutex};

pub struct Db {
    pub cluster: Arc<Cluster>,
    pub name: String,
}

impl Db {
    /// Makes the database; an older one of that name is dropped.
    pub fn create(cluster: Arc<Cluster>, name: &str) -> Db {
        let mut admin = cluster.config("postgres").connect(NoTls).unwrap();
        for statement in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            admin.batch_execute(&format!("{statement} {}", quote(name))).unwrap();
        }
        Db { cluster, name: name.into() }
    }

    pub fn connect(&self) -> Client {
        self.cluster.config(&self.name).connect(NoTls).unwrap_or_else(|e| panic!("{e:?}"))
    }

    /// A connection that keeps what the server tells meanwhile, one line a message.
    pub fn connect_listening(&self) -> (Client, Arc<Mutex<Vec<String>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let mut config = self.cluster.config(&self.name);
        config.notice_callback(move |notice| {
            ear.lock().unwrap().push(format!("{}: {}", notice.severity(), notice.message()));
        });
        (config.connect(NoTls).unwrap_or_else(|e| panic!("{e:?}")), heard)
    }

    /// Runs statements, in one transaction if there are several.
    #[track_caller]
    pub fn sql(&self, statements: &str) {
        if let Err(error) = self.connect().batch_execute(statements) {
            panic!("{}\n{statements}", describe(&error));
        }
    }

    /// Runs statements, each in a transaction of its own.
    #[track_caller]
    pub fn each<S: AsRef<str>>(&self, statements: &[S]) {
        let mut client = self.connect();
        for statement in statements {
            if let Err(error) = client.batch_execute(statement.as_ref()) {
                panic!("{}\n{}", describe(&error), statement.as_ref());
            }
        }
    }

    #[track_caller]
    pub fn rows(&self, query: &str) -> Vec<SimpleQueryRow> {
        // Not by a closure: the place to be told is the caller's.
        match rows(&mut self.connect(), query) {
            Ok(rows) => rows,
            Err(error) => panic!("{}\n{query}", describe(&error)),
        }
    }

    /// The server's major version.
    pub fn major(&self) -> u32 {
        self.value("SELECT current_setting('server_version_num')::int / 10000").parse().unwrap()
    }

    /// The schema of TimescaleDB's own functions.
    pub fn functions(&self) -> &'static str {
        match self.is("SELECT extversion < '2.12' FROM pg_extension WHERE extname = 'timescaledb'") {
            true => "_timescaledb_internal",
            false => "_timescaledb_functions",
        }
    }

    /// The first column of the first row.
    #[track_caller]
    pub fn value(&self, query: &str) -> String {
        let rows = self.rows(query);
        let Some(row) = rows.first() else { panic!("no row: {query}") };
        row.get(0).unwrap_or_default().to_owned()
    }

    /// The same, of a server that may be down.
    pub fn try_value(&self, query: &str) -> Result<String, postgres::Error> {
        let found = rows(&mut self.cluster.config(&self.name).connect(NoTls)?, query)?;
        Ok(found.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned())
    }

    /// Whether a query says true.
    #[track_caller]
    pub fn is(&self, query: &str) -> bool {
        self.value(query) == "t"
    }

    /// The error with which the server answers a statement.
    #[track_caller]
    pub fn error(&self, statement: &str) -> DbError {
        match rows(&mut self.connect(), statement) {
            Ok(_) => panic!("this went through: {statement}"),
            Err(error) => error.as_db_error().unwrap_or_else(|| panic!("{error:?}")).clone(),
        }
    }

    /// The statement is refused, by an error of its own SQLSTATE whose message, detail or hint
    /// holds each of the parts.
    #[track_caller]
    pub fn refuses(&self, statement: &str, parts: &[&str]) -> DbError {
        let error = self.error(statement);
        let text = text_of(&error);
        for part in parts {
            assert!(text.contains(part), "no \"{part}\" in the error of {statement}\n{text}");
        }
        assert_ne!(error.code().code(), "XX000", "no SQLSTATE of its own: {text}");
        error
    }

    /// The statement is refused in exactly these words; see [`text_of`].
    #[track_caller]
    pub fn refuses_with(&self, statement: &str, text: &str) {
        assert_eq!(text_of(&self.error(statement)), text, "{statement}");
    }

    /// Runs a script by psql, in a directory that its \copy commands see.
    pub fn psql(&self, script: &Path, directory: &Path) -> String {
        let mut psql = self.cluster.program("psql");
        psql.arg("--no-psqlrc").arg("--set=ON_ERROR_STOP=1").arg("--dbname").arg(&self.name);
        psql.arg("--file").arg(script).current_dir(directory);
        run(&mut psql)
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(&self.name));
        if let Ok(mut client) = self.cluster.config("postgres").connect(NoTls) {
            let _ = client.batch_execute(&drop);
        }
    }
}

pub fn rows(client: &mut Client, query: &str) -> Result<Vec<SimpleQueryRow>, postgres::Error> {
    let messages = client.simple_query(query)?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect())
}

/// An identifier, quoted.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn describe(error: &postgres::Error) -> String {
    error.as_db_error().map_or_else(|| format!("{error:?}"), text_of)
}

/// All that a user reads of an error.
pub fn text_of(error: &DbError) -> String {
    let part = |name: &str, text: Option<&str>| match text {
        Some(text) => format!("\n{name}: {text}"),
        None => String::new(),
    };
    format!(
        "{}: {} (SQLSTATE {}){}{}{}",
        error.severity(),
        error.message(),
        error.code().code(),
        part("DETAIL", error.detail()),
        part("HINT", error.hint()),
        part("CONTEXT", error.where_()),
    )
}
