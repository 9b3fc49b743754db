//! The commands about one container, timed in interleaved rounds.

use std::time::{Duration, Instant};

use runtime_tests::{Bench, Contents};

use crate::contestant::{Contestant, Verb};
use crate::table::{Samples, Table};

const GAP: Duration = Duration::from_millis(50);
const GAPS: [&str; 2] = ["back to back", "after 50 ms"];

/// What is timed, and what must be there before.
struct Scenario {
    what: &'static str,
    verb: Verb,
    /// Made for each sample, outside the clock.
    before: Option<Verb>,
    /// Undoes a sample, outside the clock.
    after: Option<Verb>,
    /// Runs all the time; the samples are about it.
    beside: bool,
}

impl Scenario {
    const fn alone(what: &'static str, verb: Verb) -> Self {
        Self {
            what,
            verb,
            before: None,
            after: None,
            beside: false,
        }
    }

    const fn about_running(what: &'static str, verb: Verb) -> Self {
        Self {
            beside: true,
            ..Self::alone(what, verb)
        }
    }
}

/// All commands, back to back and with a gap before each.
pub fn measure(contestants: &[Contestant], bench: &Bench, rounds: usize) -> Vec<Table> {
    let made = Some(Verb::Create(Contents::True));
    let scenarios = [
        Scenario::alone("run", Verb::Run(Contents::True)),
        Scenario {
            after: Some(Verb::Delete),
            ..Scenario::alone("create", Verb::Create(Contents::True))
        },
        Scenario {
            before: made,
            after: Some(Verb::Delete),
            ..Scenario::alone("start", Verb::Start)
        },
        Scenario::about_running("state", Verb::State),
        Scenario::about_running("kill", Verb::Kill),
        Scenario::about_running("exec", Verb::Exec),
        Scenario {
            before: made,
            ..Scenario::alone("delete --force", Verb::Delete)
        },
    ];
    let one = |scenario: &Scenario| interleave(scenario, contestants, bench, rounds);
    scenarios.iter().flat_map(one).collect()
}

/// `run` of a Docker-like container.
pub fn measure_docker(contestants: &[Contestant], bench: &Bench, rounds: usize) -> Vec<Table> {
    let scenario = Scenario::alone("run, Docker-like", Verb::Run(Contents::Docker));
    interleave(&scenario, contestants, bench, rounds)
}

/// `run` alone, back to back, under a name that says what the host is like.
pub fn measure_run(
    what: String,
    contestants: &[Contestant],
    bench: &Bench,
    rounds: usize,
) -> Table {
    let scenario = Scenario::alone("run", Verb::Run(Contents::True));
    let mut tables = interleave(&scenario, contestants, bench, rounds);
    tables.truncate(1);
    let mut table = tables.remove(0);
    table.what = what;
    table
}

/// A container that is deleted whatever happens.
struct Fixture<'a> {
    contestant: &'a Contestant,
    bench: &'a Bench,
    id: String,
}

impl<'a> Fixture<'a> {
    fn start(contestant: &'a Contestant, bench: &'a Bench) -> Result<Self, String> {
        let id = bench.id(&contestant.name, 0);
        let fixture = Self {
            contestant,
            bench,
            id,
        };
        for verb in [Verb::Create(Contents::Sleep), Verb::Start] {
            contestant.perform(bench, verb, &fixture.id)?;
        }
        // Whoever starts it returns before the program has been executed.
        std::thread::sleep(GAP);
        Ok(fixture)
    }
}

impl Drop for Fixture<'_> {
    fn drop(&mut self) {
        let _ = self.contestant.perform(self.bench, Verb::Delete, &self.id);
    }
}

fn interleave(
    scenario: &Scenario,
    contestants: &[Contestant],
    bench: &Bench,
    rounds: usize,
) -> Vec<Table> {
    let mut failures: Vec<Option<String>> = Vec::new();
    let mut fixtures = Vec::new();
    for one in contestants {
        let fixture = scenario.beside.then(|| Fixture::start(one, bench));
        let (fixture, failure) = match fixture {
            Some(Ok(fixture)) => (Some(fixture), None),
            Some(Err(failure)) => (None, Some(failure)),
            None => (None, None),
        };
        fixtures.push(fixture);
        failures.push(failure);
    }
    let mut times = vec![[Vec::new(), Vec::new()]; contestants.len()];
    // Round 0 warms the caches and finds out who cannot.
    for turn in 0..2 * (rounds + 1) {
        let (round, gap) = (turn / 2, turn % 2);
        for (index, one) in contestants.iter().enumerate() {
            if failures[index].is_some() {
                continue;
            }
            if gap == 1 {
                std::thread::sleep(GAP);
            }
            let id = match &fixtures[index] {
                Some(fixture) => fixture.id.clone(),
                None => bench.id(&one.name, turn + 1),
            };
            match sample(scenario, one, bench, &id) {
                Ok(_) if round == 0 => {}
                Ok(time) => times[index][gap].push(time as f64 / 1000.0),
                Err(failure) => failures[index] = Some(failure),
            }
        }
    }
    let rows = |gap: usize| {
        let row = |(index, one): (usize, &Contestant)| Samples {
            name: one.name.clone(),
            values: times[index][gap].clone(),
            failure: failures[index].clone(),
        };
        contestants.iter().enumerate().map(row).collect()
    };
    let table = |gap: usize| Table {
        what: scenario.what.to_owned(),
        unit: "ms",
        gap: GAPS[gap],
        rows: rows(gap),
    };
    vec![table(0), table(1)]
}

fn sample(scenario: &Scenario, one: &Contestant, bench: &Bench, id: &str) -> Result<u64, String> {
    if let Some(verb) = scenario.before {
        one.perform(bench, verb, id)?;
    }
    let time = one.time(bench, scenario.verb, id);
    if time.is_err() || scenario.after.is_some() {
        // After a failure there may be nothing to delete.
        let deleted = if scenario.beside {
            Ok(())
        } else {
            one.perform(bench, Verb::Delete, id)
        };
        if time.is_ok() {
            deleted?;
        }
    }
    time
}

/// Whole lives, `create`, `start`, `delete --force`, several at a time: milliseconds
/// for one, as whoever waits for all of them sees it.
pub fn measure_lifecycles(
    contestants: &[Contestant],
    bench: &Bench,
    rounds: usize,
    lives: usize,
) -> Vec<Table> {
    let at_a_time = |parallel: usize| {
        let mut rows: Vec<Samples> = contestants
            .iter()
            .map(|one| Samples {
                name: one.name.clone(),
                values: Vec::new(),
                failure: None,
            })
            .collect();
        for _ in 0..rounds {
            for (one, row) in contestants.iter().zip(&mut rows) {
                if row.failure.is_some() {
                    continue;
                }
                match live(one, bench, parallel, lives) {
                    Ok(time) => row.values.push(time),
                    Err(failure) => row.failure = Some(failure),
                }
            }
        }
        Table {
            what: format!("lifecycle, {parallel} at a time"),
            unit: "ms",
            gap: "back to back",
            rows,
        }
    };
    [1, 2, 4, 8].map(at_a_time).into()
}

fn live(one: &Contestant, bench: &Bench, parallel: usize, lives: usize) -> Result<f64, String> {
    // The directories are made before they are raced for.
    bench.bundle(Contents::True);
    bench.state_root(&one.name);
    let each = lives.div_ceil(parallel);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let lane = |lane: usize| {
            scope.spawn(move || -> Result<(), String> {
                for number in 0..each {
                    let id = bench.id(&one.name, 1_000_000 * (lane + 1) + number);
                    let lived = [Verb::Create(Contents::True), Verb::Start]
                        .iter()
                        .try_for_each(|verb| one.perform(bench, *verb, &id));
                    let deleted = one.perform(bench, Verb::Delete, &id);
                    lived.and(deleted)?;
                }
                Ok(())
            })
        };
        let lanes: Vec<_> = (0..parallel).map(lane).collect();
        lanes
            .into_iter()
            .try_for_each(|lane| lane.join().map_err(|_| "a lane panicked".to_owned())?)
    })?;
    Ok(begun.elapsed().as_secs_f64() * 1000.0 / (each * parallel) as f64)
}
