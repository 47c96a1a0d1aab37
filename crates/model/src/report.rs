//! Running scenarios, and what is printed of them.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model as Explored};

use crate::model::Model;
use crate::scenario::Scenario;

/// What a run found.
pub struct Outcome {
    /// The scenario.
    pub scenario: Scenario,
    /// Distinct states.
    pub states: usize,
    /// Steps taken.
    pub steps: usize,
    /// Length of the longest path on which a state was first reached.
    pub depth: usize,
    /// Distinct stored states of devices, and commands carried out on them.
    pub devices: (usize, usize),
    /// Distinct states of the operator, and messages answered.
    pub books: (usize, usize),
    /// How long it took.
    pub took: Duration,
    /// Whether every state within the bounds was reached.
    pub exhausted: bool,
    /// What holds and what does not, by property.
    pub properties: Vec<(Expectation, &'static str, Verdict)>,
}

/// What became of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds, or was seen.
    Holds,
    /// It does not hold: the steps that lead there, in words.
    Violated(Vec<String>),
    /// It was never seen.
    NeverSeen,
}

impl Outcome {
    /// Whether everything is as it must be.
    pub fn is_good(&self) -> bool {
        self.exhausted && self.properties.iter().all(|(_, _, verdict)| *verdict == Verdict::Holds)
    }
}

/// Explores one scenario until `property` is violated; how many steps lead there, or nothing if it never is.
pub fn bites(scenario: Scenario, property: &str, time_max: Duration) -> Option<usize> {
    let model = Model::new(scenario);
    let property = model.properties().into_iter().find(|known| known.name == property)?;
    let wanted = HasDiscoveries::AnyOf(std::iter::once(property.name).collect());
    let checker = model.checker().finish_when(wanted).timeout(time_max).spawn_bfs().join();
    let path = checker.discovery(property.name)?;
    (property.expectation == Expectation::Always).then(|| path.into_actions().len())
}

/// Explores every scenario, `workers` at a time. Stops early where something is violated. `time_max` bounds each.
pub fn run(scenarios: Vec<Scenario>, workers: usize, time_max: Duration) -> Vec<Outcome> {
    let queue = Mutex::new(scenarios.into_iter().enumerate());
    let outcomes = Mutex::new(BTreeMap::new());
    let (seen, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("nobody died with the queue").next();
                    let Some((place, scenario)) = next.filter(|_| !stop.load(Ordering::Relaxed)) else {
                        break;
                    };
                    let outcome = explore(scenario, time_max, &seen);
                    if !outcome.is_good() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    outcomes.lock().expect("nobody died with the outcomes").insert(place, outcome);
                }
            });
        }
    });
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    outcomes.into_inner().expect("nobody died with the outcomes").into_values().collect()
}

fn explore(scenario: Scenario, time_max: Duration, seen: &AtomicUsize) -> Outcome {
    let start = Instant::now();
    let model = Model::new(scenario.clone());
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).timeout(time_max).spawn_bfs();
    let mut counted = 0;
    while !checker.is_done() {
        std::thread::sleep(Duration::from_millis(100));
        let now = checker.unique_state_count();
        let all = seen.fetch_add(now - counted, Ordering::Relaxed) + now - counted;
        counted = now;
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{all} states explored; {}: {now}", scenario.name);
            let _ = std::io::stderr().flush();
        }
    }
    let checker = checker.join();
    let model = checker.model();
    let mut properties = Vec::new();
    for property in model.properties() {
        let found = checker.discovery(property.name);
        let verdict = match (&property.expectation, found) {
            (Expectation::Sometimes, Some(_)) | (Expectation::Always, None) => Verdict::Holds,
            (Expectation::Sometimes, None) => Verdict::NeverSeen,
            (_, Some(path)) => {
                let last = path.last_state().clone();
                let mut steps: Vec<String> =
                    path.into_actions().iter().map(|action| model.tell(action)).collect();
                steps.extend(model.why(property.name, &last));
                Verdict::Violated(steps)
            }
            (Expectation::Eventually, None) => Verdict::NeverSeen,
        };
        properties.push((property.expectation, property.name, verdict));
    }
    let violated = properties.iter().any(|(_, _, verdict)| matches!(verdict, Verdict::Violated(_)));
    let took = start.elapsed();
    Outcome {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        devices: model.devices.counts(),
        books: model.operator.counts(),
        took,
        exhausted: violated || took < time_max,
        scenario,
        properties,
    }
}

/// Prints what was found: the bounds of each run, then one line a property, then the sum.
pub fn print(outcomes: &[Outcome]) {
    println!(
        "{:12} {:>9} {:>10} {:>5} {:>9} {:>9} {:>7}  bounds",
        "scenario", "states", "steps", "depth", "stored", "books", "time"
    );
    for outcome in outcomes {
        println!(
            "{:12} {:>9} {:>10} {:>5} {:>9} {:>9} {:>5.1} s  {}",
            outcome.scenario.name,
            outcome.states,
            outcome.steps,
            outcome.depth,
            outcome.devices.0,
            outcome.books.0,
            outcome.took.as_secs_f64(),
            outcome.scenario.bounds(),
        );
    }
    println!();
    let mut lines: Vec<(&str, &str, usize, Vec<&str>, bool)> = Vec::new();
    for outcome in outcomes {
        for (expectation, name, verdict) in &outcome.properties {
            let word = if *expectation == Expectation::Sometimes { "sometimes" } else { "always" };
            let line = match lines.iter_mut().find(|line| line.1 == *name) {
                Some(line) => line,
                None => {
                    lines.push((word, name, 0, Vec::new(), true));
                    lines.last_mut().expect("just pushed")
                }
            };
            line.2 += outcome.states;
            if *verdict != Verdict::Holds {
                line.3.push(outcome.scenario.name);
                line.4 = false;
            }
        }
    }
    for (word, name, states, scenarios, good) in lines {
        let verdict = match (word, good) {
            ("sometimes", true) => "seen".to_owned(),
            ("sometimes", false) => format!("NEVER SEEN in {}", scenarios.join(", ")),
            (_, true) => format!("holds in {states} states"),
            (_, false) => format!("VIOLATED in {}", scenarios.join(", ")),
        };
        println!("{word:9} {name:55} {verdict}");
    }
    for outcome in outcomes {
        if !outcome.exhausted {
            println!("\n{}: the time was up before every state was reached", outcome.scenario.name);
        }
        for (_, name, verdict) in &outcome.properties {
            if let Verdict::Violated(steps) = verdict {
                println!("\n{}: \"{name}\" is violated by these steps:", outcome.scenario.name);
                steps.iter().enumerate().for_each(|(at, step)| println!("  {:2}. {step}", at + 1));
            }
        }
    }
    println!("\nstates explored: {}", outcomes.iter().map(|outcome| outcome.states).sum::<usize>());
}
