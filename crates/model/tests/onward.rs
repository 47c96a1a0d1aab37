//! The smallest scenario: it is exhausted, it holds, and a property that does not hold is found with its steps.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use counterfoil_model::report::{bites, run};
use counterfoil_model::scenario::{Goal, Intent, scenarios};

const LONG: Duration = Duration::from_secs(600);

#[test]
fn every_state_of_the_smallest_scenario_is_reached_and_holds() {
    let mut chosen = scenarios(false);
    chosen.retain(|scenario| scenario.name == "onward");
    let outcomes = run(chosen.clone(), 1, LONG);
    let [outcome] = outcomes.as_slice() else { panic!("one scenario") };
    assert!(outcome.is_good());
    assert!(outcome.states > 1_000 && outcome.exhausted, "{} states", outcome.states);
    let again = run(chosen, 1, LONG);
    assert_eq!(again[0].states, outcome.states, "the same states each time");
}

#[test]
fn what_does_not_hold_is_found() {
    let mut scenario = scenarios(false).into_iter().find(|scenario| scenario.name == "onward").unwrap();
    assert_eq!(bites(scenario.clone(), "no payment has two owners", LONG), None);
    assert_eq!(bites(scenario.clone(), "no such property", LONG), None);
    // Nothing can be reclaimed where nobody refuses and nobody is asked for an amount: the goal is never seen.
    scenario.intents.retain(|(intent, _)| !matches!(intent, Intent::Refuse(_)));
    scenario.goals = vec![Goal::Reclaimed];
    let outcomes = run(vec![scenario], 1, LONG);
    assert!(!outcomes[0].is_good());
}
