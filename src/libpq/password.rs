//! Why there was no password to send. libpq keeps the reason to itself, or writes it to stderr.

use super::params::Params;
use std::os::unix::fs::PermissionsExt;

/// What to do where the source asked for a password and libpq had none.
pub fn missing(params: &Params) -> String {
    let Some(path) = params.get("passfile") else {
        if params.get("user").is_none() {
            return "There is no user mapping, or no user in the connection string: CREATE USER MAPPING FOR CURRENT_USER \
                    SERVER ... OPTIONS (user '...', password '...');"
                .into();
        }
        return "Give the user mapping a password, or the mapping or the connection string a passfile.".into();
    };
    let unreadable = |error| format!("The passfile {path} cannot be read by this server: {error}.");
    match std::fs::metadata(path) {
        Err(error) => unreadable(error),
        // As libpq's passwordFromFile() has it.
        Ok(file) if !file.is_file() => format!("The passfile {path} is not a file."),
        Ok(file) if file.permissions().mode() & 0o077 != 0 => {
            format!(
                "The passfile {path} is ignored because users other than its owner have access to it: chmod 0600 {path}"
            )
        }
        Ok(_) => match std::fs::File::open(path) {
            Err(error) => unreadable(error),
            Ok(_) => format!("The passfile {path} has no line for this host, port, database and user."),
        },
    }
}
