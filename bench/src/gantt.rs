//! What each worker of a run did when: a letter for the phase of its task, a point where it had none.

use cluster::Db;

const WIDTH: usize = 100;
const IDLE: char = '.';

/// Prints a line for each worker of the only run in this database.
pub fn print(target: &Db) {
    let Ok(span) = target.try_value("SELECT extract(epoch FROM ended_at - started_at) FROM timescale_migrate.run")
    else {
        return;
    };
    let Ok(seconds) = span.parse::<f64>() else { return };
    let tasks = target.rows(
        "SELECT dense_rank() OVER (ORDER BY t.worker), t.phase,
                extract(epoch FROM t.started_at - r.started_at), extract(epoch FROM t.ended_at - r.started_at)
         FROM timescale_migrate.task_log t JOIN timescale_migrate.run r ON r.id = t.run
         WHERE t.worker IS NOT NULL AND t.ended_at IS NOT NULL",
    );
    let mut lines: Vec<Vec<char>> = Vec::new();
    for row in &tasks {
        let number = |column: usize| row.get(column).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let worker = number(0) as usize;
        while lines.len() < worker {
            lines.push(vec![IDLE; WIDTH]);
        }
        let place = |time: f64| ((time / seconds * WIDTH as f64) as usize).min(WIDTH - 1);
        let letter = row.get(1).and_then(|phase| phase.chars().next()).unwrap_or('?');
        lines[worker - 1][place(number(2))..=place(number(3))].fill(letter);
    }
    println!("    what its workers did in {seconds:.2} s; each letter is the first of a phase's name");
    for line in lines {
        let busy = line.iter().filter(|letter| **letter != IDLE).count();
        println!("    {} {} %", line.iter().collect::<String>(), busy * 100 / WIDTH);
    }
}
