//! The power is cut at every step of a script: before and after each operation, and at each byte of each write.

use crate::model::{Model, apply, contents, put};
use counterfoil_ta::env::{Batch, Freshness, Store};
use counterfoil_tre::testing::{FaultyMedium, SeededRandom, Survival, open_store};

#[derive(Debug, Clone)]
enum Step {
    Commit(Batch),
    Compact,
    Reopen,
}

fn script(seed: u64) -> Vec<Step> {
    let mut draw = SeededRandom::new(seed);
    let mut steps = Vec::new();
    for n in 0..9 {
        let mut batch = Batch::new();
        for _ in 0..=draw.below(2) {
            let key = vec![draw.below(3) as u8];
            if draw.below(4) == 0 { batch.delete(key) } else { batch.put(key, vec![n; draw.below(24)]) }
        }
        steps.push(Step::Commit(batch));
        match draw.below(6) {
            0 => steps.push(Step::Compact),
            1 => steps.push(Step::Reopen),
            _ => {}
        }
    }
    steps.push(Step::Compact);
    steps.push(Step::Reopen);
    steps.push(Step::Commit(put("last", b"one")));
    steps
}

/// Runs `script` until it ends or the power goes. Returns what was acknowledged, and what it would be with the commit
/// in flight.
fn run(medium: &FaultyMedium, counted: bool, script: &[Step]) -> (Model, Model) {
    let mut acknowledged = Model::new();
    let Ok(mut store) = open_store(medium, "w", counted) else { return (acknowledged.clone(), acknowledged) };
    for step in script {
        match step {
            Step::Commit(batch) => {
                let mut after = acknowledged.clone();
                apply(&mut after, batch);
                if store.commit(batch).is_err() {
                    return (acknowledged, after);
                }
                acknowledged = after;
            }
            Step::Compact => {
                if store.compact().is_err() {
                    break;
                }
            }
            Step::Reopen => match open_store(medium, "w", counted) {
                Ok(again) => store = again,
                Err(_) => break,
            },
        }
    }
    (acknowledged.clone(), acknowledged)
}

fn check(
    medium: &FaultyMedium,
    counted: bool,
    before: &Model,
    after: &Model,
    at: &dyn std::fmt::Debug,
) -> Model {
    let store = open_store(medium, "w", counted).unwrap_or_else(|e| panic!("{at:?}: {e}"));
    let found = contents(&store);
    assert!(found == *before || found == *after, "{at:?}: {found:?} is neither {before:?} nor {after:?}");
    let freshness = if counted { Freshness::Proven } else { Freshness::Unprovable };
    assert_eq!(store.freshness(), freshness, "{at:?}");
    found
}

#[test]
fn nothing_is_lost_or_torn_wherever_the_power_goes() {
    for (seed, counted) in [(1, false), (2, true)] {
        let script = script(seed);
        let dry = FaultyMedium::new();
        run(&dry, counted, &script);
        let history = dry.history();
        assert!(history.len() > 30);
        for (index, operation) in history.iter().enumerate() {
            for step in 0..=operation.steps() {
                let medium = FaultyMedium::new();
                medium.cut_at(index, step);
                let (before, after) = run(&medium, counted, &script);
                assert!(medium.is_off());
                let mixed = Survival::Mixed((index * 1_000 + step) as u64);
                let survivals = [mixed, Survival::Everything, Survival::Zeros, Survival::Nothing];
                // Of an unsynced write nothing is nothing, however far it came.
                let distinct = if step == 0 || operation.steps() == 1 { 4 } else { 3 };
                for survival in survivals.into_iter().take(distinct) {
                    let at = (seed, index, operation, step, survival);
                    let medium = medium.fork();
                    medium.power_cycle(survival);
                    let found = check(&medium, counted, &before, &after, &at);
                    // And it goes on from there.
                    let mut store = open_store(&medium, "w", counted).unwrap();
                    store.commit(&put("on", b"and on")).unwrap();
                    medium.power_cycle(Survival::Nothing);
                    let mut went_on = found;
                    apply(&mut went_on, &put("on", b"and on"));
                    check(&medium, counted, &went_on, &went_on, &at);
                }
            }
        }
    }
}

#[test]
fn what_was_read_after_a_killed_process_survives_a_power_cut() {
    let script = script(3);
    let dry = FaultyMedium::new();
    run(&dry, true, &script);
    for (index, operation) in dry.history().iter().enumerate() {
        for step in [0, operation.steps() / 2, operation.steps()] {
            let medium = FaultyMedium::new();
            medium.cut_at(index, step);
            let (before, after) = run(&medium, true, &script);
            medium.restart_process();
            let at = (index, operation, step);
            let found = check(&medium, true, &before, &after, &at);
            medium.power_cycle(Survival::Nothing);
            check(&medium, true, &found, &found, &at);
        }
    }
}

#[test]
fn the_power_may_go_again_while_it_is_being_repaired() {
    let script = script(4);
    let dry = FaultyMedium::new();
    run(&dry, true, &script);
    for (index, operation) in dry.history().iter().enumerate().step_by(3) {
        let medium = FaultyMedium::new();
        medium.cut_at(index, operation.steps() / 2);
        let (before, after) = run(&medium, true, &script);
        medium.power_cycle(Survival::Mixed(index as u64));
        medium.clear_history();
        let repair = medium.fork();
        check(&repair, true, &before, &after, &index);
        for (second, operation) in repair.history().iter().enumerate() {
            for step in [0, operation.steps() / 2, operation.steps()] {
                for survival in [Survival::Nothing, Survival::Everything, Survival::Mixed(second as u64)] {
                    let medium = medium.fork();
                    medium.cut_at(second, step);
                    assert!(open_store(&medium, "w", true).is_err());
                    medium.power_cycle(survival);
                    check(&medium, true, &before, &after, &(index, second, operation, step, survival));
                }
            }
        }
    }
}
